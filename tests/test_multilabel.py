"""A classifier of texts that have none, one or several of the classes."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skllkd import LLKDClassifier, Multilabel
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    TeacherOutputError,
)
from skllkd.metrics import agreement_lower_bound, expected_agreement
from skllkd.selection import AcceptReject, LLKDSelection, RankedImportance, SelectAll
from skllkd.students import (
    FrozenEncoderStudent,
    GeneralizedCrossEntropy,
    SklearnStudent,
    TransformerStudent,
)

WORDS = {
    "fruit": "apple pear plum",
    "animal": "bear wolf deer",
    "town": "street bridge",
}
NAMES = sorted(WORDS)


def make(n_texts, seed):
    rng = np.random.RandomState(seed)
    texts, tags = [], []
    for i in range(n_texts):
        names = [name for name in WORDS if rng.uniform() < 0.4]
        words = [rng.choice(WORDS[name].split()) for name in names]
        texts.append(" ".join([*words, f"thing {i % 13}"]))
        tags.append(names)
    return texts, tags


TEXTS, TAGS = make(120, 0)
OTHERS, OTHER_TAGS = make(60, 1)


def indicator(tags):
    return np.array([[name in names for name in NAMES] for names in tags]).astype(int)


def share_right(classifier):
    """Return the share of texts and classes that are right; of no class it is .6."""
    return np.mean(classifier.predict(OTHERS) == indicator(OTHER_TAGS))


def new(**params):
    defaults = {"student": SklearnStudent(), "n_epochs": 12, "random_state": 0}
    defaults["batch_size"] = 60
    return LLKDClassifier(**defaults | {"verbose": 0} | params)


def teacher(texts):
    """Answer with probabilities, in the order of WORDS."""
    return [
        [
            0.9 if any(w in text for w in words.split()) else 0.2
            for words in WORDS.values()
        ]
        for text in texts
    ]


@pytest.fixture(scope="module")
def labelled():
    return new().fit(TEXTS, TAGS)


@pytest.fixture(scope="module")
def taught():
    return new(teacher=teacher, classes=Multilabel(WORDS)).fit(TEXTS)


def test_labels_are_learned_and_predicted_as_an_indicator(labelled):
    assert labelled.classes_.tolist() == NAMES
    predicted = labelled.predict(OTHERS)
    assert predicted.dtype == np.int64
    np.testing.assert_array_equal(predicted, indicator(OTHER_TAGS))
    proba = labelled.predict_proba(OTHERS)
    assert proba.shape == (60, 3)
    assert not np.allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(labelled.thresholds_, [0.5] * 3)
    np.testing.assert_array_equal(predicted, proba >= 0.5)
    assert labelled.pseudo_labels_[0] == tuple(sorted(TAGS[0]))
    assert labelled.times_selected_.shape == (120, 3)
    assert labelled.agreement_ == 1


@pytest.mark.parametrize(
    "form",
    [
        indicator(TAGS),
        indicator(TAGS).tolist(),
        sp.csr_matrix(indicator(TAGS)),
        pd.DataFrame(indicator(TAGS), columns=NAMES)[NAMES[::-1]],
        pd.Series(TAGS),
        [set(names) for names in TAGS],
    ],
    ids=["array", "rows", "sparse", "frame", "series", "sets"],
)
def test_labels_in_every_form_teach_the_same(form, labelled):
    same = new().fit(TEXTS, form)
    np.testing.assert_array_equal(
        same.predict_proba(OTHERS), labelled.predict_proba(OTHERS)
    )
    assert len(same.classes_) == 3


def test_a_teacher_s_probabilities_are_learned_column_by_column(taught):
    assert taught.classes_.tolist() == NAMES  # sorted, and the teacher's are not
    in_order = np.array(teacher(TEXTS))[:, [list(WORDS).index(name) for name in NAMES]]
    np.testing.assert_allclose(taught.teacher_proba_, in_order)
    np.testing.assert_array_equal(taught.predict(OTHERS), indicator(OTHER_TAGS))
    given = new(classes=Multilabel(WORDS)).fit(TEXTS, teacher_proba=teacher(TEXTS))
    np.testing.assert_array_equal(given.predict(OTHERS), taught.predict(OTHERS))


def test_one_class_is_enough():
    has = [name == "fruit" for name in ["fruit", "town"] * 40]
    texts = [f"{'apple' if yes else 'street'} {i}" for i, yes in enumerate(has)]
    classifier = new(classes=Multilabel(["fruit"])).fit(texts, [[int(y)] for y in has])
    assert classifier.predict(["apple 3", "street 4"]).tolist() == [[1], [0]]
    assert classifier.predict_proba(["apple"]).shape == (1, 1)


@pytest.mark.parametrize("kind", ["transformer", "architecture", "frozen"])
def test_students_with_an_encoder(kind, tiny_path):
    student = {
        "transformer": TransformerStudent(
            tiny_path,
            learning_rate=1e-3,
            linear_probe_epochs=3,
            loss=GeneralizedCrossEntropy(0.3),
            device="cpu",
        ),
        "architecture": TransformerStudent(
            tiny_path, learning_rate=1e-2, pooling="architecture", device="cpu"
        ),
        "frozen": FrozenEncoderStudent(tiny_path, learning_rate=0.03, device="cpu"),
    }[kind]
    classifier = new(student=student, selection=SelectAll(), batch_size=32)
    classifier.fit(TEXTS, TAGS)
    epoch, loss = classifier.history_["epoch"], classifier.history_["loss"]
    first, last = loss[epoch == 0].mean(), loss[epoch == 11].mean()
    assert 3 * np.log(2) == pytest.approx(first, rel=0.3)  # the sum over the classes
    assert last < 0.95 * first
    assert classifier.predict(OTHERS).shape == (60, 3)
    twin = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(
        twin.predict_proba(OTHERS), classifier.predict_proba(OTHERS)
    )


def test_a_student_learns_each_class_as_a_binary_problem():
    """Column k is what a classifier of two classes learns from that column."""
    every = RankedImportance(share=1.0)  # which draws nothing
    both = new(selection=every).fit(TEXTS, TAGS)
    for k in range(3):
        y = np.where(indicator(TAGS)[:, k], "yes", "no")
        alone = new(selection=every).fit(TEXTS, y)
        np.testing.assert_allclose(
            both.predict_proba(OTHERS)[:, k], alone.predict_proba(OTHERS)[:, 1]
        )
        np.testing.assert_array_equal(both.times_selected_[:, k], alone.times_selected_)


def test_texts_without_labels_take_no_part():
    tags = [None if row % 3 else names for row, names in enumerate(TAGS)]
    with pytest.warns(MissingLabelWarning, match="80 of 120 texts have no label"):
        classifier = new().fit(TEXTS, tags)
    assert classifier.pseudo_labels_[1] is None
    assert not classifier.times_selected_[1::3].any()
    blank = ["", *TEXTS[1:]]
    with pytest.warns(MissingLabelWarning, match="1 empty"):
        assert not new().fit(blank, TAGS).times_selected_[0].any()


def test_a_class_that_no_text_has():
    tags = [[name for name in names if name != "town"] for names in TAGS]
    given = Multilabel(NAMES)
    with pytest.raises(TeacherOutputError, match="'town'"):
        new(classes=given).fit(TEXTS, tags)
    with pytest.warns(MissingLabelWarning, match="'town'"):
        classifier = new(classes=given, on_missing_class="warn").fit(TEXTS, tags)
    assert not classifier.predict(OTHERS)[:, 2].any()


def test_learning_goes_on():
    classifier = new(selection=LLKDSelection()).fit(TEXTS[:60], TAGS[:60])
    n_steps = len(classifier.history_["epoch"])
    classifier.partial_fit(TEXTS[60:], TAGS[60:])
    assert classifier.times_selected_.shape == (60, 3)
    assert len(classifier.teacher_thresholds_) == 2 * n_steps
    assert np.isfinite(classifier.teacher_thresholds_).all()
    assert share_right(classifier) > 0.95
    with pytest.raises(InvalidParameterError, match=r"\['a', 'b'\] after Multilabel"):
        classifier.set_params(classes=["a", "b"]).partial_fit(TEXTS, ["a"] * 120)


def test_early_stopping_keeps_the_student_of_the_largest_f1():
    ended = []
    classifier = new(early_stopping=True, n_iter_no_change=3, callbacks=[ended.append])
    classifier.fit(TEXTS, TAGS)
    agreement = classifier.validation_agreement_
    assert len(agreement) == len(ended)
    assert agreement[-1] == ended[-1].agreement
    assert max(agreement) > 0.9
    assert ((agreement >= 0) & (agreement <= 1)).all()


def test_weights_of_texts():
    weight = np.ones(120)
    wrong = np.arange(0, 120, 2)
    weight[wrong] = 0
    tags = [NAMES if row in wrong else names for row, names in enumerate(TAGS)]
    weighted = new().fit(TEXTS, tags, sample_weight=weight)
    assert share_right(weighted) > 0.9 > share_right(new().fit(TEXTS, tags))


def test_texts_are_asked_for_within_a_budget():
    asked = []

    def counted(texts):
        asked.extend(texts)
        return teacher(texts)

    classifier = new(
        teacher=counted,
        classes=Multilabel(WORDS),
        refine=None,
        acquisition=AcceptReject(50, initial=0.5, n_rounds=1),
    ).fit(TEXTS)
    assert len(asked) <= 50
    assert classifier.times_selected_.any(axis=1).sum() <= 50


# ---- thresholds


def test_thresholds_follow_the_teacher_s_probabilities():
    """The surer the teacher is of few texts, the higher the threshold may lie."""
    rng = np.random.RandomState(0)
    proba = np.clip(np.array(teacher(TEXTS)) + rng.normal(0, 0.1, (120, 3)), 0, 1)
    classifier = new(classes=Multilabel(WORDS), refine=None)
    classifier.fit(TEXTS, teacher_proba=proba)
    assert classifier.thresholds_.shape == (3,)
    assert not np.allclose(classifier.thresholds_, 0.5)
    predicted = classifier.predict(OTHERS)
    np.testing.assert_array_equal(
        predicted, classifier.predict_proba(OTHERS) >= classifier.thresholds_
    )


def test_gold_labels_give_thresholds():
    """A teacher that is sure of nothing, and gold labels of which there are enough."""
    proba = np.full((120, 3), 0.4)
    proba[:, 1:] += 0.3 * indicator(TAGS)[:, 1:]
    proba[:2, 0] = 0.9  # else it has no text
    gold = dict(enumerate(TAGS[:110]))
    given = {"teacher_proba": proba[:, [NAMES.index(name) for name in WORDS]]}
    without = new(classes=Multilabel(WORDS), refine=None).fit(TEXTS, **given)
    found = new(classes=Multilabel(WORDS), refine=None).fit(TEXTS, **given, gold=gold)
    has = found.predict(TEXTS)[:, 1:]
    assert np.mean(has == indicator(TAGS)[:, 1:]) > 0.95
    assert not np.allclose(found.thresholds_, without.thresholds_)


# ---- scikit-learn


def test_scores(labelled, taught):
    right = (labelled.predict(OTHERS) == indicator(OTHER_TAGS)).all(axis=1)
    assert labelled.score(OTHERS, indicator(OTHER_TAGS)) == right.mean()
    assert labelled.score(OTHERS, OTHER_TAGS) == right.mean()
    # without gold labels: the micro-F1 that the teacher's probabilities lead to expect
    proba, has = taught.label(OTHERS), taught.predict(OTHERS)
    f1 = 2 * (proba * has).sum() / (proba.sum() + has.sum())
    assert taught.score(OTHERS) == pytest.approx(f1)
    assert expected_agreement(taught, OTHERS) == pytest.approx(f1)
    assert 0 < agreement_lower_bound(taught, OTHERS) < f1
    with pytest.raises(InvalidParameterError, match="'river' at row 1"):
        labelled.score(OTHERS[:2], [["fruit"], ["river"]])


def test_searches_and_scores_of_scikit_learn():
    search = GridSearchCV(
        new(teacher=teacher, classes=Multilabel(WORDS), n_epochs=4),
        {"selection": [LLKDSelection(), SelectAll()]},
        scoring="f1_micro",
        cv=2,
    ).fit(TEXTS, indicator(TAGS))
    assert search.best_score_ > 0.9
    assert search.predict(OTHERS).shape == (60, 3)
    pipeline = make_pipeline(FunctionTransformer(), new())
    assert cross_val_score(pipeline, TEXTS, indicator(TAGS), cv=2).mean() > 0.8


def test_clones_tags_and_notebooks(labelled, taught):
    assert clone(taught).classes == Multilabel(WORDS)
    assert taught.__sklearn_tags__().classifier_tags.multi_label
    assert "3 classes" in labelled._repr_html_()


def test_predictions_of_a_stream(labelled):
    parts = list(labelled.predict_stream(iter(OTHERS), chunk_size=25))
    np.testing.assert_array_equal(np.concatenate(parts), labelled.predict(OTHERS))
