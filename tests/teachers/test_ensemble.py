"""Several teachers as one: means of log-probabilities."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from skllkd import LLKDClassifier
from skllkd._core.arrays import normalise
from skllkd._fitted import fitted_state
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.students import SklearnStudent
from skllkd.teachers import (
    BatchCalibration,
    CalibratedTeacher,
    CallableTeacher,
    EnsembleTeacher,
    PrecomputedTeacher,
)

from tests.conftest import TOPICS, GoldTeacher

AB = ["a", "b"]
TEXTS = [f"text {i}" for i in range(30)]


def proba_teacher(seed, bias=0.0, calibration=None):
    """Return a teacher with random answers that lean to the second class."""
    log_odds = np.random.RandomState(seed).normal(bias, 1.5, len(TEXTS))
    p = 1 / (1 + np.exp(log_odds))
    proba = np.column_stack([p, 1 - p])
    return PrecomputedTeacher(TEXTS, proba, calibration=calibration)


def test_the_calibrated_mean_is_the_mean_of_the_calibrated():
    members = [proba_teacher(0, 2), proba_teacher(1, -1), proba_teacher(2)]
    weights = [1.0, 2.0, 5.0]
    labels = EnsembleTeacher(members, weights=weights).label(TEXTS, AB)
    calibrated = [
        np.log(
            clone(m).set_params(calibration=BatchCalibration()).label(TEXTS, AB).proba
        )
        for m in members
    ]
    mean = np.average(calibrated, axis=0, weights=weights)
    np.testing.assert_allclose(labels.proba, normalise(mean, None))
    raw = EnsembleTeacher(members, weights=weights, calibration=None).label(TEXTS, AB)
    np.testing.assert_array_equal(raw.log_prob, labels.log_prob)
    assert np.abs(raw.proba - labels.proba).max() > 0.05


def test_few_texts_later_use_the_calibration_of_the_pool():
    members = [proba_teacher(s, 2, calibration=BatchCalibration()) for s in range(3)]
    teacher = EnsembleTeacher(members)
    pool = teacher.label(TEXTS, AB)
    few = teacher.label(TEXTS[3:5], AB, class_bias=pool.class_bias)
    np.testing.assert_allclose(few.proba, pool.proba[3:5])
    np.testing.assert_array_equal(few.class_bias, pool.class_bias)


def test_a_label_without_confidence_does_not_decide_alone():
    certain = PrecomputedTeacher(["x"], ["a"])
    doubtful = PrecomputedTeacher(["x"], [[0.2, 0.8]])
    teacher = EnsembleTeacher([certain, doubtful], calibration=None)
    labels = teacher.label(["x"], AB)
    assert np.isfinite(labels.log_prob).all()
    odds = np.exp(labels.log_prob[0, 0] - labels.log_prob[0, 1])
    np.testing.assert_allclose(odds, np.sqrt(1e12 * 0.25), rtol=1e-6)


def test_a_text_is_missing_only_if_every_member_misses_it():
    first = PrecomputedTeacher(["x", "y"], ["a", None])
    second = PrecomputedTeacher(["x", "y", "z"], [[0.5, 0.5], [0.3, 0.7], [0.9, 0.1]])
    teacher = EnsembleTeacher([first, second], calibration=None)
    with pytest.warns(MissingLabelWarning, match="2 of 5 texts.*1 empty"):
        labels = teacher.label(["x", "y", "z", "new", ""], AB)
    np.testing.assert_array_equal(labels.missing, [0, 0, 0, 1, 1])
    assert labels.error.tolist() == [
        *[""] * 3,
        "without a usable answer",
        "empty or white space",
    ]
    assert labels.source.tolist() == ["store", "store", "store", "", ""]
    assert (labels.n_blank, labels.n_reused, labels.n_asked) == (1, 3, 0)
    mean = EnsembleTeacher([first, second], calibration=None).label(["y", "z"], AB)
    np.testing.assert_allclose(mean.proba, [[0.3, 0.7], [0.9, 0.1]])


def test_reasons_are_joined():
    budget = CallableTeacher(lambda ts: ["a"] * len(ts), cache_key="k", max_calls=0)
    silent = PrecomputedTeacher(["x"], [None])
    with (
        pytest.warns(MissingLabelWarning),
        pytest.warns(UserWarning, match="^max_calls=0 is reached"),
    ):
        labels = EnsembleTeacher([budget, silent]).label(["x"], AB)
    assert (
        labels.error[0] == "not sent: max_calls=0 is reached; without a usable answer"
    )


def test_counts_and_plans_are_sums():
    asked = []

    def function(texts):
        asked.extend(texts)
        return ["a"] * len(texts)

    members = [function, PrecomputedTeacher(TEXTS, ["b"] * 30), proba_teacher(0)]
    teacher = EnsembleTeacher([*members, CallableTeacher(lambda ts: ["a"] * len(ts))])
    plan = teacher.plan(TEXTS[:5], AB)
    assert (plan.n_texts, plan.n_calls, plan.n_to_ask) == (5, 10, 5)
    labels = teacher.label([*TEXTS[:5], TEXTS[0]], AB)
    assert (labels.n_asked, labels.n_reused, labels.usage.n_calls) == (10, 1, 10)
    assert set(labels.source) == {"model"}
    again = teacher.label(TEXTS[:5], AB)
    assert (again.n_asked, again.n_reused, set(again.source)) == (0, 5, {"store"})
    assert asked == TEXTS[:5]
    more = clone(teacher).label(TEXTS[:6], AB)
    assert (more.n_asked, more.n_reused) == (2, 5)


def test_a_clone_shares_functions_and_fitted_members_and_clones_specifications():
    pipeline = make_pipeline(CountVectorizer(), LogisticRegression()).fit(
        TEXTS[10:12], AB
    )
    gold = GoldTeacher(TEXTS, TOPICS * 6)
    teacher = EnsembleTeacher([gold, pipeline, proba_teacher(0)])
    twin = clone(teacher)
    assert twin.teachers[0] is gold
    assert twin.teachers[1] is pipeline
    assert twin.teachers[2] is not teacher.teachers[2]
    assert pickle.loads(pickle.dumps(EnsembleTeacher([proba_teacher(0)]))).label(
        TEXTS, AB
    )


def test_rows_of_numbers():
    X = np.random.RandomState(0).normal(size=(40, 2))
    members = [LogisticRegression().fit(X, X[:, i] > 0) for i in (0, 1)]
    labels = EnsembleTeacher(members).label(X, [False, True])
    assert not labels.missing.any()
    assert labels.proba.shape == (40, 2)


def test_an_ensemble_teaches(news, tmp_path):
    texts, gold = news
    rng = np.random.RandomState(0)
    noisy = [
        [g if rng.rand() < 0.8 else TOPICS[rng.randint(5)] for g in gold]
        for _ in range(3)
    ]
    members = [PrecomputedTeacher(texts, (y, [0.7] * len(y))) for y in noisy]
    for member in members:
        member.calibration = BatchCalibration()
    classifier = LLKDClassifier(
        EnsembleTeacher(members),
        TOPICS[::-1],
        student=SklearnStudent(),
        random_state=0,
        verbose=0,
    ).fit(texts[:300])
    single = np.mean([a == b for a, b in zip(noisy[0][:300], gold[:300], strict=True)])
    assert np.mean(classifier.pseudo_labels_ == np.array(gold[:300])) > single + 0.05
    np.testing.assert_allclose(
        classifier.label(texts[5:7]), classifier.teacher_proba_[5:7]
    )
    raw = fitted_state(classifier).uncalibrated(classifier.teacher_proba_)
    assert raw.shape == (300, 5)
    assert classifier.score(texts[300:]) > 0.3
    classifier.report(texts[300:])
    classifier.partial_fit(texts[300:])
    joblib.dump(classifier, tmp_path / "c.joblib")
    loaded = joblib.load(tmp_path / "c.joblib").set_params(teacher=classifier.teacher)
    np.testing.assert_allclose(loaded.label(texts[:3]), classifier.label(texts[:3]))


def test_bad_parameters_are_named():
    one = proba_teacher(0)

    def label(teachers=(one,), **parameters):
        EnsembleTeacher(teachers, **parameters).label(TEXTS, AB)

    with pytest.raises(InvalidParameterError, match="`calibration`.*'platt'"):
        label(calibration="platt")
    for bad in ([], one, None):
        with pytest.raises(InvalidParameterError, match="`teachers` must list"):
            label(bad)
    with pytest.raises(InvalidParameterError, match="`teacher`.*got str"):
        label(["gpt"])
    for bad in ([1, 2], [0], [-1], [np.nan], "x", [None]):
        with pytest.raises(InvalidParameterError, match="`weights` must hold 1"):
            label(weights=bad)
    calibrated = CalibratedTeacher(one, TEXTS, ["a", "b"] * 15)
    with pytest.raises(InvalidParameterError, match="CalibratedTeacher.*place 1"):
        label([one, calibrated])
