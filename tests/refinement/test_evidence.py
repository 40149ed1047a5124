"""Sources of evidence, each by itself."""

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.refinement import (
    AnotherTeacher,
    ClassNames,
    EvidenceContext,
    OutOfFold,
    Rules,
)
from skllkd.refinement.cross_fitting import (
    by_linear_model,
    by_student,
    folds_of,
    out_of_fold,
)
from skllkd.students import SklearnStudent

CLASSES = {"sports": "games", "politics": "votes"}


def context(texts, classes=CLASSES, **changes):
    made = EvidenceContext.of(texts, classes)
    return EvidenceContext(**{**vars(made), **changes})


# ---- class names


def test_class_names_are_compared_by_the_encoder_given():
    of_text = {
        "goal": [1.0, 0.0],
        "law": [0.0, 1.0],
        "sports: games": [1.0, 0.1],
        "politics: votes": [0.1, 1.0],
    }
    texts = ["goal", "law"]
    log_prob = ClassNames().log_prob(
        context(texts, embed=lambda some: np.array([of_text[text] for text in some]))
    )
    assert log_prob.argmax(axis=1).tolist() == [0, 1]
    sharper = ClassNames(temperature=0.01).log_prob(
        context(texts, embed=lambda some: np.array([of_text[text] for text in some]))
    )
    assert sharper.min() < log_prob.min()


def test_class_names_stand_aside_without_an_encoder():
    assert ClassNames().log_prob(context(["goal"])) is None


# ---- rules


def test_rules_that_hold_are_counted_and_the_rest_is_silence():
    rules = Rules(
        {
            "politics": [lambda text: "vote" in text, lambda text: "law" in text],
            "sports": lambda text: "goal" in text,
        }
    )
    log_prob = rules.log_prob(context(["vote on a law", "goal", "goal vote", "rain"]))
    proba = np.exp(log_prob)
    odds = proba[:3, 1] / proba[:3, 0]
    np.testing.assert_allclose(odds, np.exp([2, -1, 0]))
    assert np.isnan(log_prob[3]).all()
    assert rules.log_prob(context(["rain"])) is None


def test_rules_of_an_unknown_class_are_a_named_error():
    rules = Rules({"sport": lambda text: True})
    with pytest.raises(InvalidParameterError, match=r"'sports'.*got 'sport'"):
        rules.log_prob(context(["goal"]))


# ---- another teacher


def test_another_teacher_is_asked_in_the_user_s_order_and_may_be_silent():
    def by_word(texts):
        return [["politics", "sports", None]["vgx".index(text[0])] for text in texts]

    asked = AnotherTeacher(by_word).log_prob(context(["vote", "goal", "x"]))
    assert asked[:2].argmax(axis=1).tolist() == [1, 0]
    assert np.isnan(asked[2]).all()
    silent = AnotherTeacher(lambda texts: [None] * len(texts))
    assert silent.log_prob(context(["vote"])) is None


# ---- out-of-fold predictions


def linear_proba(features, label, weight, fold, n_classes=2):
    model = by_linear_model(features, label, weight, n_classes)
    return out_of_fold(model, label, weight, fold, n_classes, seed=0)


def test_equal_texts_share_their_fold_and_folds_are_even():
    texts = [f"text {i % 50}" for i in range(200)]
    fold = folds_of(texts, 4, seed=0)
    assert [len(set(fold[[i, i + 50, i + 100, i + 150]])) for i in range(50)] == [
        1
    ] * 50
    assert np.bincount(fold[:50]).tolist() == [13, 13, 12, 12]
    assert folds_of(np.zeros((7, 2)), 4, seed=0).tolist() != fold[:7].tolist()


def clusters(n_rows=200):
    rng = np.random.RandomState(0)
    label = np.arange(n_rows) % 2
    features = rng.normal(size=(n_rows, 8)) + 4 * label[:, None] - 2
    return features.astype(np.float32), label


@pytest.mark.parametrize("kind", ["linear", "student"])
def test_a_label_that_the_others_contradict_is_predicted_right(kind):
    features, gold = clusters()
    label = gold.copy()
    wrong = [3, 50, 81, 120]
    label[wrong] = 1 - label[wrong]
    label[-20:] = -1  # without a label
    fold = folds_of(features, 4, seed=0)
    if kind == "linear":
        proba = linear_proba(features, label, np.ones(200), fold)
    else:
        linear = SGDClassifier(loss="log_loss", alpha=1.0, random_state=0)
        student = SklearnStudent(linear, vectorizer="passthrough")
        student.begin_fit(features, 2, seed=0)
        model = by_student(student, 3, label, np.ones(200), 2, seed=0)
        proba = out_of_fold(model, label, np.ones(200), fold, 2, seed=0)
    np.testing.assert_array_equal(proba.argmax(axis=1), gold)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_a_row_has_no_part_in_its_own_prediction():
    features, label = clusters(40)
    fold = folds_of(features, 4, seed=0)
    proba = linear_proba(features, label, np.ones(40), fold)
    label[7] = 1 - label[7]
    changed = linear_proba(features, label, np.ones(40), fold)
    same = np.isclose(proba, changed).all(axis=1)
    np.testing.assert_array_equal(same, fold == fold[7])


def test_a_student_forgets_the_labels_it_was_taught_before():
    features, gold = clusters()
    fold, weight = folds_of(features, 4, seed=0), np.ones(200)
    student = SklearnStudent(vectorizer="passthrough")
    student.begin_fit(features, 2, seed=0)

    def proba_of(label):
        model = by_student(student, 3, label, weight, 2, seed=0)
        return out_of_fold(model, label, weight, fold, 2, seed=0)

    first = proba_of(gold)
    proba_of(1 - gold)
    np.testing.assert_array_equal(proba_of(gold), first)


def test_models_of_large_pools_learn_from_a_part(monkeypatch):
    monkeypatch.setattr("skllkd.refinement.cross_fitting._MOST_TEXTS", 30)
    label, learned = np.arange(200) % 2, []

    def fit_predict(train, rows):
        learned.append(train)
        return np.full((len(rows), 2), 0.5)

    fold = folds_of(np.zeros((200, 1)), 4, seed=0)
    proba = out_of_fold(fit_predict, label, np.ones(200), fold, 2, seed=0)
    assert [len(rows) for rows in learned] == [30] * 4
    assert all((fold[rows] != test).all() for test, rows in enumerate(learned))
    assert (proba == 0.5).all()


def test_rows_of_weight_nothing_are_not_learned_from():
    features, gold = clusters()
    label, weight = gold.copy(), np.ones(200)
    label[:120], weight[:120] = 1 - label[:120], 0
    fold = folds_of(features, 4, seed=0)
    proba = linear_proba(features, label, weight, fold)
    np.testing.assert_array_equal(proba.argmax(axis=1), gold)


def test_an_absent_class_has_no_probability_and_one_class_says_nothing():
    features, label = clusters(40)
    fold = folds_of(features, 4, seed=0)
    proba = linear_proba(features, label, np.ones(40), fold, 5)
    assert proba.shape == (40, 5)
    assert (proba[:, 2:] == 0).all()
    alone = linear_proba(features, np.zeros(40, dtype=int), np.ones(40), fold)
    assert np.isnan(alone).all()


def test_out_of_fold_learns_labels_of_the_teacher_s_texts_by_rank_in_class():
    labels = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])
    teacher_proba = np.where([[True], [True], [True], [False]], labels[::-1], np.nan)
    seen = []

    def cross_fit(*arguments):
        seen.append(arguments)

    found = OutOfFold(3).log_prob(
        context(
            ["a", "b", "c", "d"],
            teacher_proba=teacher_proba,
            labels=labels,
            out_of_fold=cross_fit,
        )
    )
    assert found is None
    ((label, weight, n_folds),) = seen
    assert label.tolist() == [0, 0, 1, -1]
    np.testing.assert_allclose(weight, [1.5, 0.5, 1, 0])
    assert n_folds == 3
