"""Labelling in rounds, through the classifier."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.selection import AcceptReject, SelectAll
from skllkd.students import SklearnStudent
from skllkd.teachers import (
    BatchCalibration,
    CallableTeacher,
)

from tests.conftest import TOPICS, GoldTeacher


@pytest.fixture
def texts_and_gold(news, monkeypatch):
    """Return texts and topics, to be labelled in rounds of short training."""
    monkeypatch.setattr("skllkd.training.acquisition._MIN_STEPS", 5)
    return news[0][:200], news[1][:200]


def classifier(texts, gold, budget=0.4, **parameters):
    return LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        acquisition=AcceptReject(budget),
        refine=None,
        selection=SelectAll(),
        student=SklearnStudent(),
        batch_size=100,
        random_state=0,
        verbose=0,
        **parameters,
    )


@pytest.mark.parametrize(("budget", "n_bought"), [(0.4, 80), (50, 50), (1000, 200)])
def test_the_budget_is_spent_and_no_more(texts_and_gold, budget, n_bought):
    texts, gold = texts_and_gold
    clf = classifier(texts, gold, budget).fit(texts)
    asked = clf.teacher.asked
    assert len(asked) == len(set(asked)) == n_bought == clf.n_teacher_calls_
    known = ~np.isnan(clf.teacher_proba_[:, 0])
    assert set(asked) == {
        text for text, is_known in zip(texts, known, strict=True) if is_known
    }
    said = [label for label in clf.pseudo_labels_ if label is not None]
    assert said == [g for g, is_known in zip(gold, known, strict=True) if is_known]
    assert (clf.times_selected_[known] == 3).all()
    assert (clf.times_selected_[~known] == 0).all()


def test_the_same_seed_buys_the_same(texts_and_gold):
    texts, gold = texts_and_gold
    first, again = (classifier(texts, gold).fit(texts) for _ in range(2))
    np.testing.assert_array_equal(first.teacher_proba_, again.teacher_proba_)
    np.testing.assert_array_equal(
        first.predict_proba(texts), again.predict_proba(texts)
    )


def test_after_the_first_texts_the_unsure_ones_are_bought(monkeypatch):
    """Half of the texts say their class; the others are noise nobody can learn."""
    monkeypatch.setattr("skllkd.training.acquisition._MIN_STEPS", 20)
    rng = np.random.RandomState(0)
    rows = np.zeros((400, 2))
    rows[:200, 0] = np.where(np.arange(200) % 2, 3.0, -3.0)
    label = np.where(np.arange(400) < 200, np.arange(400) % 2, rng.randint(2, size=400))
    clf = LLKDClassifier(
        CallableTeacher(lambda given: np.eye(2)[[label_of(row) for row in given]]),
        [0, 1],
        acquisition=AcceptReject(200, initial=0.2),
        student=SklearnStudent(vectorizer="passthrough"),
        random_state=0,
        verbose=0,
    )
    rows[:, 1] = np.arange(400) / 1e6  # to know a row again

    def label_of(row):
        return label[round(row[1] * 1e6)]

    clf.fit(rows)
    bought = ~np.isnan(clf.teacher_proba_[:, 0])
    assert bought.sum() == 200
    assert bought[200:].mean() > 0.75  # at random it would be half
    assert bought[:200].mean() < 0.25


def test_calibration_is_that_of_the_random_first_texts(texts_and_gold):
    texts, gold = texts_and_gold
    teacher = CallableTeacher(GoldTeacher(texts, gold), calibration=BatchCalibration())
    clf = classifier(texts, gold).set_params(teacher=teacher).fit(texts)
    order = np.random.RandomState(
        np.random.RandomState(0).randint(2**31 - 1)
    ).permutation(200)
    first = np.sort(order[:24])  # 0.3 of 80
    alone = teacher.label([texts[i] for i in first], TOPICS)
    np.testing.assert_allclose(clf._fitted.class_bias, alone.class_bias)


@pytest.mark.parametrize(
    "bad",
    [
        {"budget": 0},
        {"budget": 1.5},
        {"budget": True},
        {"initial": 0},
        {"n_rounds": 0},
        {"confident_seed": 2},
    ],
)
def test_bad_parameters_are_named_before_labels_are_bought(texts_and_gold, bad):
    texts, gold = texts_and_gold
    clf = classifier(texts, gold).set_params(acquisition=AcceptReject(**bad))
    with pytest.raises(InvalidParameterError, match=f"`{next(iter(bad))}`"):
        clf.fit(texts)
    assert not clf.teacher.asked


def test_it_needs_a_teacher_and_a_new_pool(texts_and_gold):
    texts, gold = texts_and_gold
    clf = classifier(texts, gold)
    with pytest.raises(InvalidParameterError, match="`acquisition`"):
        clone(clf).set_params(teacher=None).fit(texts, gold)
    with pytest.raises(InvalidParameterError, match="`acquisition`"):
        clf.fit(texts, teacher_proba=np.full((200, 5), 0.2))
    with pytest.raises(InvalidParameterError, match="`acquisition`"):
        clone(clf).set_params(acquisition="uncertain").fit(texts)
    clf.partial_fit(texts)  # the first is a fit
    asked = len(clf.teacher.asked)
    with pytest.raises(InvalidParameterError, match="`acquisition`"):
        clf.partial_fit(texts)
    assert len(clf.teacher.asked) == asked


def test_the_budget_is_a_grid_parameter(texts_and_gold):
    texts, gold = texts_and_gold
    search = GridSearchCV(
        classifier(texts, gold), {"acquisition__budget": [20, 100]}, cv=2
    ).fit(texts, gold)
    assert search.best_params_ == {"acquisition__budget": 100}


def test_empty_texts_and_a_teacher_that_knows_nothing_of_some(texts_and_gold):
    texts, gold = texts_and_gold
    pool = [*texts[:60], *[" "] * 20]
    clf = classifier(texts, gold, budget=0.5)
    with pytest.warns(UserWarning, match="empty or white space"):
        clf.fit(pool)
    assert np.isnan(clf.teacher_proba_[60:]).all()
    assert clf.n_teacher_calls_ <= 40
