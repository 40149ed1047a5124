"""Class priors over imbalanced pools, and confidence learned from gold labels."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from skllkd import LLKDClassifier
from skllkd._core.arrays import normalise
from skllkd._core.classes import as_classes
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
from skllkd.teachers.calibration import as_class_prior, mean_bias, pool_bias
from skllkd.teachers.outputs import log_prob_of_output

AB = as_classes(["a", "b"])
EMOTIONS = ["anger", "disgust", "fear", "guilt", "joy", "sadness", "shame"]


def simulated(n_texts, shares, *, bias=None, sharpness=1.0, clear=2.0, seed=0):
    """Return log-probabilities of a biased teacher, and the right classes."""
    rng = np.random.RandomState(seed)
    n_classes = len(shares)
    gold = rng.choice(n_classes, n_texts, p=shares)
    score = rng.normal(size=(n_texts, n_classes))
    score[np.arange(n_texts), gold] += clear
    score = sharpness * score + (0 if bias is None else np.asarray(bias))
    return score - np.logaddexp.reduce(score, axis=1, keepdims=True), gold


def accuracy(log_prob, bias, gold):
    return np.mean(normalise(log_prob, bias).argmax(axis=1) == gold)


# ---- the preference for some labels


def biased_log_prob(n_texts=4000, shares=(0.5, 0.5), bias=(0.0, 2.0), seed=0):
    """Return log-probabilities of a teacher that prefers the second class."""
    rng = np.random.RandomState(seed)
    gold = rng.choice(len(shares), n_texts, p=shares)
    evidence = rng.normal(scale=0.5, size=(n_texts, len(shares)))
    evidence[np.arange(n_texts), gold] += 2
    score = evidence + np.array(bias)
    return score - np.logaddexp.reduce(score, axis=1, keepdims=True), gold


def test_batch_calibration_takes_the_preference_out():
    log_prob, gold = biased_log_prob()
    calibrated = accuracy(log_prob, mean_bias(log_prob, None), gold)
    assert accuracy(log_prob, None, gold) < 0.8
    assert calibrated > 0.98


def test_calibration_leaves_labels_without_a_confidence_alone():
    log_prob = log_prob_of_output(["a", "a", "a", "b"], 4, AB)
    rows = normalise(log_prob, mean_bias(log_prob, None))
    np.testing.assert_array_equal(rows, [[1, 0], [1, 0], [1, 0], [0, 1]])
    only_a = normalise(log_prob[:3], mean_bias(log_prob[:3], None))
    np.testing.assert_array_equal(only_a, [[1, 0]] * 3)


def test_calibration_of_improbable_labels_keeps_their_ranking():
    """Long labels have log-probabilities far below 1e-12."""
    log_prob = np.array([[-75.0, -70.0], [-70.0, -75.0]] * 3)
    rows = normalise(log_prob, mean_bias(log_prob, None))
    np.testing.assert_array_equal(rows.argmax(axis=1), [1, 0] * 3)
    assert rows.max() > 0.99


def test_the_class_prior_moves_mass_to_the_frequent_class():
    log_prob, _ = biased_log_prob(shares=(0.9, 0.1))
    even = normalise(log_prob, mean_bias(log_prob, None))
    prior = normalise(log_prob, mean_bias(log_prob, np.array([0.9, 0.1])))
    odds = prior[:, 0] / prior[:, 1] / (even[:, 0] / even[:, 1])
    np.testing.assert_allclose(odds, 9)


def test_normalise_keeps_missing_rows_and_takes_impossible_classes():
    log_prob = np.array([[np.nan, np.nan], [0.0, -np.inf], [-800.0, -800.0]])
    rows = normalise(log_prob, None)
    assert np.isnan(rows[0]).all()
    np.testing.assert_array_equal(rows[1:], [[1, 0], [0.5, 0.5]])
    assert np.isfinite(mean_bias(log_prob, None)).all()
    assert np.isfinite(normalise(log_prob[1:], mean_bias(log_prob, None))).all()


def test_a_prior_by_name_follows_the_classes():
    np.testing.assert_allclose(as_class_prior({"b": 3, "a": 1}, AB), [0.25, 0.75])
    assert as_class_prior(None, AB) is None


def test_changing_the_calibration_asks_nothing_and_a_given_bias_is_used():
    asked = []

    def function(texts):
        asked.append(texts)
        return [[0.9, 0.1], [0.8, 0.2]][: len(texts)]

    raw = CallableTeacher(function).label(["x", "y"], AB)
    batch = CallableTeacher(function, calibration=BatchCalibration()).label(
        ["x", "y"], AB
    )
    assert len(asked) == 1
    np.testing.assert_array_equal(raw.proba.argmax(axis=1), [0, 0])
    np.testing.assert_array_equal(batch.proba.argmax(axis=1), [0, 1])
    np.testing.assert_allclose(batch.raw_proba, raw.proba)
    one = CallableTeacher(function, calibration=BatchCalibration())
    alone = one.label(["y"], AB, class_bias=batch.class_bias)
    np.testing.assert_allclose(alone.proba[0], batch.proba[1])


# ---- pools whose classes are not equally frequent


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("shares", "bias"),
    [
        ([0.85, 0.15], [0.0, 3.0]),
        ([0.85, 0.15], [2.0, 0.0]),
        ([0.6, 0.25, 0.1, 0.05], [0.0, 2.0, 1.0, 3.0]),
    ],
)
def test_an_estimated_prior_beats_batch_calibration_where_classes_are_imbalanced(
    shares, bias, seed
):
    """The clearer the teacher, the nearer to the prior that is known."""
    for clear, gain in ((3.0, 0.4), (5.0, 0.95)):
        log_prob, gold = simulated(3000, shares, bias=bias, clear=clear, seed=seed)
        batch = accuracy(log_prob, mean_bias(log_prob, None), gold)
        estimated = accuracy(log_prob, pool_bias(log_prob, None), gold)
        known = accuracy(log_prob, pool_bias(log_prob, np.array(shares)), gold)
        assert known > batch + 0.04
        assert estimated > batch + gain * (known - batch)


@pytest.mark.parametrize("seed", range(4))
def test_the_shares_are_estimated_between_equal_and_true(seed):
    shares = [0.85, 0.15]
    found = []
    for clear in (2.0, 3.0, 5.0):
        log_prob, gold = simulated(3000, shares, bias=[0, 3], clear=clear, seed=seed)
        posterior = normalise(log_prob, pool_bias(log_prob, None))
        found.append(posterior.mean(axis=0)[0])
    true = np.mean(gold == 0)
    assert 0.5 < found[0] < found[1] < found[2]
    np.testing.assert_allclose(found[2], true, atol=0.03)


@pytest.mark.parametrize("seed", range(4))
def test_a_balanced_pool_is_calibrated_as_by_batch(seed):
    log_prob, gold = simulated(2000, [0.5, 0.5], bias=[0, 3], clear=3.0, seed=seed)
    batch = accuracy(log_prob, mean_bias(log_prob, None), gold)
    assert abs(accuracy(log_prob, pool_bias(log_prob, None), gold) - batch) < 0.01


def test_a_given_balanced_prior_is_batch_calibration():
    """With equal shares a balanced pool is weighted all but equally."""
    log_prob, _ = simulated(2000, [0.5, 0.5], bias=[0, 3], clear=3.0)
    found = pool_bias(log_prob, np.array([0.5, 0.5])) - np.log(2)
    difference = found - mean_bias(log_prob, None)
    assert abs(difference[0] - difference[1]) < 0.1


def test_pools_with_missing_and_certain_rows():
    log_prob, _ = simulated(500, [0.8, 0.2], bias=[0, 2])
    with_gaps = np.concatenate([log_prob, np.full((50, 2), np.nan)])
    for prior in (None, np.array([0.8, 0.2])):
        np.testing.assert_allclose(
            pool_bias(with_gaps, prior), pool_bias(log_prob, prior)
        )
    with np.errstate(divide="ignore"):
        certain = np.log(np.eye(2)[[0, 0, 0, 1]])
    bias = pool_bias(certain, None)
    assert np.isfinite(bias).all()
    np.testing.assert_array_equal(normalise(certain, bias), np.exp(certain))
    np.testing.assert_array_equal(pool_bias(np.full((3, 2), np.nan), None), [0, 0])
    one_class = pool_bias(certain[:3], None)
    assert np.isfinite(one_class).all()


def test_a_prior_to_be_estimated_is_a_parameter():
    log_prob, gold = simulated(1000, [0.85, 0.15], bias=[0, 3], clear=3.0)
    texts = [f"text {i}" for i in range(1000)]
    proba = np.exp(log_prob)

    def right(class_prior=None):
        calibration = BatchCalibration(class_prior)
        teacher = PrecomputedTeacher(texts, proba, calibration=calibration)
        labels = teacher.label(texts, ["a", "b"])
        few = teacher.label(texts[:3], ["a", "b"], class_bias=labels.class_bias)
        np.testing.assert_allclose(few.proba, labels.proba[:3])
        return np.mean(labels.proba.argmax(axis=1) == gold)

    assert right("em") > right() + 0.005
    assert right({"b": 0.15, "a": 0.85}) > right() + 0.005
    ensemble = EnsembleTeacher([PrecomputedTeacher(texts, proba)])
    ensemble.set_params(calibration__class_prior="em")
    chosen = ensemble.label(texts, ["a", "b"]).proba.argmax(axis=1)
    assert np.mean(chosen == gold) == right("em")
    assert EnsembleTeacher([]).calibration.class_prior is None


# ---- gold labels


def expected_calibration_error(proba, gold, n_bins=10):
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == gold
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    return sum(
        abs(confidence[bins == b].mean() - right[bins == b].mean()) * np.mean(bins == b)
        for b in np.unique(bins)
    )


class Counting:
    """A teacher too sure of itself, that counts the texts it is asked about."""

    def __init__(self, n_texts=1500, seed=0):
        shares = np.full(7, 1 / 7)
        self.texts = [f"text {i}" for i in range(n_texts)]
        log_prob, self.gold = simulated(
            n_texts, shares, bias=np.arange(7) / 2, sharpness=4.0, seed=seed
        )
        self.proba_of = dict(zip(self.texts, np.exp(log_prob), strict=True))
        self.n_asked = 0

    def __call__(self, texts):
        self.n_asked += len(texts)
        return [self.proba_of[text] for text in texts]

    def names(self, rows):
        return [EMOTIONS[i] for i in self.gold[rows]]


def teachers(function):
    """Return the ways to the same answers."""
    proba = [function.proba_of[text] for text in function.texts]
    stored = PrecomputedTeacher(function.texts, proba, calibration=BatchCalibration())
    plain = CallableTeacher(function, calibration=BatchCalibration(), cache_key="sure")
    return {
        "callable": plain,
        "precomputed": stored,
        "ensemble": EnsembleTeacher([plain, stored]),
    }


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
@pytest.mark.parametrize("kind", ["callable", "precomputed", "ensemble"])
def test_gold_labels_mend_the_confidence(kind, method):
    function = Counting()
    teacher = teachers(function)[kind]
    pool, n_gold = function.texts, 300
    before = teacher.label(pool, EMOTIONS)
    n_asked = function.n_asked
    calibrated = CalibratedTeacher(
        teacher, pool[:n_gold], function.names(slice(n_gold)), method=method
    )
    after = calibrated.label(pool, EMOTIONS)
    assert function.n_asked == n_asked  # all of it was in the store
    assert after.n_asked == 0
    np.testing.assert_allclose(after.proba.sum(axis=1), 1)
    chosen = [labels.proba.argmax(axis=1) for labels in (before, after)]
    np.testing.assert_array_equal(*chosen)
    error = [
        expected_calibration_error(labels.proba[n_gold:], function.gold[n_gold:])
        for labels in (before, after)
    ]
    assert error[0] > 0.08
    assert error[1] < 0.6 * error[0]
    few = calibrated.label(pool[5:8], EMOTIONS, class_bias=after.class_bias)
    np.testing.assert_allclose(few.proba, after.proba[5:8])


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_texts_without_an_answer_stay_without(method):
    function = Counting(100)
    proba = [function.proba_of[text] for text in function.texts]
    proba[3] = np.full(7, np.nan)
    teacher = PrecomputedTeacher(function.texts, proba)
    calibrated = CalibratedTeacher(
        teacher, function.texts[:50], function.names(slice(50)), method=method
    )
    with pytest.warns(MissingLabelWarning):
        labels = calibrated.label([*function.texts[:5], "new"], EMOTIONS)
    np.testing.assert_array_equal(labels.missing, [0, 0, 0, 1, 0, 1])
    assert np.isnan(labels.proba[3]).all()
    assert np.isfinite(labels.proba[[0, 1, 2, 4]]).all()


def test_gold_texts_that_are_new_are_asked_about_and_counted():
    function = Counting(100)
    teacher = CalibratedTeacher(
        CallableTeacher(function), function.texts[:50], function.names(slice(50))
    )
    plan = teacher.plan(function.texts[40:], EMOTIONS)
    assert plan.n_calls == 100
    labels = teacher.label(function.texts[40:], EMOTIONS)
    assert (labels.n_asked, labels.usage.n_calls, function.n_asked) == (100, 100, 100)
    assert teacher.label(function.texts[40:], EMOTIONS).n_asked == 0


def test_what_cannot_be_learned_from_is_named():
    function = Counting(100)
    teacher = PrecomputedTeacher(
        function.texts, [function.proba_of[text] for text in function.texts]
    )
    names = function.names(slice(None))

    def label(texts, y, **parameters):
        CalibratedTeacher(teacher, texts, y, **parameters).label(
            function.texts, EMOTIONS
        )

    with pytest.raises(InvalidParameterError, match="at least 10.*got 9"):
        label(function.texts[:9], names[:9])
    with pytest.raises(InvalidParameterError, match=r"`y`.*'happy'"):
        label(function.texts[:20], [*names[:19], "happy"])
    with pytest.raises(InvalidParameterError, match="`y`.*20 texts; got 19"):
        label(function.texts[:20], names[:19])
    with pytest.raises(InvalidParameterError, match="`method`.*'platt'"):
        label(function.texts[:20], names[:20], method="platt")


def test_it_teaches_and_is_cloned_and_pickled(news):
    texts, gold = news
    topics = sorted(set(gold))
    rng = np.random.RandomState(0)
    said = [y if rng.rand() < 0.8 else topics[rng.randint(5)] for y in gold]
    teacher = PrecomputedTeacher(
        texts, (said, [0.99] * len(said)), calibration=BatchCalibration()
    )
    calibrated = CalibratedTeacher(teacher, texts[:100], gold[:100], method="isotonic")
    assert clone(calibrated).get_params(deep=False).keys() == (
        calibrated.get_params(deep=False).keys()
    )
    classifier = LLKDClassifier(
        clone(calibrated), topics, student=SklearnStudent(), random_state=0, verbose=0
    ).fit(texts[:300])
    sure = classifier.teacher_proba_.max(axis=1).mean()
    assert abs(sure - 0.84) < 0.06
    assert 0.2 < classifier.score(texts[300:]) < 0.84
    classifier.report(texts[300:])
    np.testing.assert_allclose(
        classifier.label(texts[3:5]), classifier.teacher_proba_[3:5]
    )
    twin = pickle.loads(pickle.dumps(calibrated))
    np.testing.assert_allclose(
        twin.label(texts, topics).proba, calibrated.label(texts, topics).proba
    )


def test_the_display_shows_no_curve_from_before_that_it_cannot_know(tmp_path):
    from skllkd import ReliabilityDisplay

    rng = np.random.RandomState(0)
    texts = [f"{'ab'[i % 2]} text {i}" for i in range(200)]
    gold = ["ab"[i % 2] for i in range(200)]
    said = [g if rng.rand() < 0.8 else "ab"[g == "a"] for g in gold]
    teacher = PrecomputedTeacher(
        texts, (said, [0.99] * 200), calibration=BatchCalibration()
    )
    calibrated = CalibratedTeacher(teacher, texts[:50], gold[:50])
    clf = LLKDClassifier(calibrated, ["a", "b"], student=SklearnStudent()).fit(texts)
    display = ReliabilityDisplay.from_estimator(clf, texts, gold)
    assert list(display.curves) == ["teacher, calibrated", "student"]
    assert display.calibration_error("teacher, calibrated") < 0.1
    copy = pickle.loads(pickle.dumps(clf))
    assert fitted_state(copy).uncalibrated(clf.teacher_proba_) is None
    clf.set_params(teacher=teacher).fit(texts)
    assert fitted_state(clf).uncalibrated(clf.teacher_proba_) is not None
