"""Callables, precomputed answers, calibration, prompts and label trees."""

import gc

import numpy as np
import pytest
from sklearn.base import clone
from skllkd._core.classes import as_classes
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    TeacherOutputError,
)
from skllkd.teachers import (
    BatchCalibration,
    CallableTeacher,
    ContextualCalibration,
    PrecomputedTeacher,
    as_teacher,
    log_prob_of_output,
)
from skllkd.teachers.calibration import as_class_prior, mean_bias, normalise

AB = as_classes(["a", "b"])
ABC = as_classes(["a", "b", "c"])


def proba(output, n_texts, classes=ABC):
    return np.exp(log_prob_of_output(output, n_texts, classes))


# ---- what a callable may answer


@pytest.mark.parametrize(
    "output",
    [
        [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]],
        np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], dtype=np.float32),
        ([0.7, 0.2, 0.1], [0.1, 0.1, 0.8]),  # a tuple of two rows is no pair
    ],
)
def test_probabilities(output):
    np.testing.assert_allclose(
        proba(output, 2), [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], rtol=1e-6
    )


@pytest.mark.parametrize("output", [["b", "c"], ("b", "c"), np.array(["b", "c"])])
def test_labels_are_certain(output):
    np.testing.assert_array_equal(proba(output, 2), [[0, 1, 0], [0, 0, 1]])


def test_labels_with_confidences_leave_the_rest_to_the_others():
    output = (["b", "a"], [0.8, 1])
    np.testing.assert_allclose(proba(output, 2), [[0.1, 0.8, 0.1], [1, 0, 0]])


def test_a_confidence_below_chance_leaves_the_label_the_likeliest():
    rows = proba((["b", "c"], [0.0, 0.2]), 2)
    np.testing.assert_array_equal(rows.argmax(axis=1), [1, 2])
    np.testing.assert_allclose(rows.sum(axis=1), 1)


def test_a_label_that_is_nan_in_a_pair_is_no_answer():
    rows = log_prob_of_output((["a", float("nan")], [0.9, 0.5]), 2, AB)
    np.testing.assert_allclose(np.exp(rows[0]), [0.9, 0.1])
    assert np.isnan(rows[1]).all()


def test_a_tuple_of_rows_of_any_float_type_is_rows():
    rows = (np.array([0.7, 0.3], np.float32), np.array([0.2, 0.8], np.float32))
    np.testing.assert_allclose(proba(rows, 2, AB), rows, rtol=1e-6)


@pytest.mark.parametrize("none", [None, float("nan"), [float("nan")] * 2])
def test_a_row_of_probabilities_may_be_missing(none):
    rows = log_prob_of_output([none, [0.25, 0.75]], 2, AB)
    np.testing.assert_allclose(rows, [[np.nan] * 2, np.log([0.25, 0.75])])
    rows = log_prob_of_output([np.array([0.25, 0.75]), none], 2, AB)
    np.testing.assert_allclose(rows, [np.log([0.25, 0.75]), [np.nan] * 2])


def test_none_and_nan_are_no_answer():
    rows = log_prob_of_output(["a", None, float("nan")], 3, AB)
    np.testing.assert_array_equal(np.isnan(rows).any(axis=1), [False, True, True])
    rows = log_prob_of_output([[0.5, 0.5], [np.nan, np.nan]], 2, AB)
    np.testing.assert_array_equal(np.isnan(rows).any(axis=1), [False, True])


def test_integer_and_boolean_labels():
    numbers = as_classes([3, 1])
    np.testing.assert_array_equal(proba(np.array([1, 3]), 2, numbers), [[0, 1], [1, 0]])
    flags = as_classes([False, True])
    np.testing.assert_array_equal(proba([True, False], 2, flags), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("output", "named"),
    [
        ([[0.5, 0.5]], ["(2, 2)", "(1, 2)"]),
        ([[0.5, 0.3, 0.2], [1, 0, 0]], ["(2, 2)", "(2, 3)"]),
        ([[0.5, 0.5], [1]], ["shape (2, 2)"]),
        ([[0.5, 0.5], [0.9, 0.9]], ["row 1", "[0.9, 0.9]", "1 such row"]),
        ([[1.5, -0.5], [0.9, 0.1]], ["row 0", "-0.5"]),
        ([[np.nan, 1.0], [0.9, 0.1]], ["row 0"]),
        ([["x", "y"], ["x", "y"]], ["numbers"]),
        (["a", "z"], ["'z'", "row 1", "['a', 'b']"]),
        (["a"], ["1 for 2"]),
        ((["a", "b"], [0.5, 1.5]), ["1.5", "row 1", "[0, 1]"]),
        ((["a", "b"], [0.5]), ["confidence"]),
        (None, ["NoneType"]),
        ("a", ["str"]),
        (0.5, ["float"]),
    ],
)
def test_what_is_no_labelling_is_refused(output, named):
    with pytest.raises(TeacherOutputError) as caught:
        log_prob_of_output(output, 2, AB)
    for part in named:
        assert part in str(caught.value)


# ---- callables


def counting(answers):
    """Return a function that labels by its first word, and the list of its texts."""

    def function(texts):
        answers.append(list(texts))
        return [text.split()[0] for text in texts]

    return function


def test_each_distinct_text_is_asked_once_and_blanks_never():
    asked = []
    teacher = CallableTeacher(counting(asked), batch_size=2)
    with pytest.warns(MissingLabelWarning, match=r"2 of 6 .*2 empty"):
        labels = teacher.label(["a 1", "b 1", "a 1", "", " \n", "a 2"], AB)
    assert asked == [["a 1", "b 1"], ["a 2"]]
    np.testing.assert_array_equal(labels.missing, [0, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(labels.proba[0], [1, 0])
    assert (labels.n_asked, labels.n_blank, labels.n_reused) == (3, 2, 1)


def test_a_plain_function_is_not_asked_again_by_a_clone_in_this_process():
    asked = []
    function = counting(asked)
    CallableTeacher(function).label(["a 1"], AB)
    again = clone(CallableTeacher(function)).label(["a 1", "b 2"], AB)
    assert asked == [["a 1"], ["b 2"]]
    assert again.n_asked == 1
    CallableTeacher(function).label(["a 1"], ABC)  # other classes, other question
    assert len(asked) == 3


def test_answers_of_a_dead_function_are_let_go():
    from skllkd.teachers import callable as _callable

    gc.collect()
    before = len(_callable._answers_of)
    function = counting([])
    CallableTeacher(function).label(["a 1"], AB)
    assert len(_callable._answers_of) == before + 1
    del function
    gc.collect()
    assert len(_callable._answers_of) == before


def test_a_cache_key_shares_answers_between_functions_and_store_false_shares_none():
    first, second, third = [], [], []
    CallableTeacher(counting(first), cache_key="mine").label(["a 1"], AB)
    CallableTeacher(counting(second), cache_key="mine").label(["a 1"], AB)
    assert (first, second) == ([["a 1"]], [])
    function = counting(third)
    for _ in range(2):
        CallableTeacher(function, cache_key="mine", store=False).label(["a 1"], AB)
    assert len(third) == 2


def test_what_was_answered_before_an_error_is_kept():
    asked = []

    def fails_on_b(texts):
        asked.append(texts)
        if "b" in texts and len(asked) < 3:
            raise ConnectionError("no answer")
        return texts

    teacher = CallableTeacher(fails_on_b, batch_size=1, cache_key="flaky")
    with pytest.raises(ConnectionError):
        teacher.label(["a", "b", "c"], ABC)
    labels = clone(teacher).set_params(function=fails_on_b).label
    asked.append("again")
    assert labels(["a", "b", "c"], ABC).n_asked == 2
    assert asked == [["a"], ["b"], "again", ["b"], ["c"]]


def test_no_answer_is_not_stored_as_one():
    answers = iter([[None, "b"], ["a"]])
    teacher = CallableTeacher(lambda texts: next(answers), cache_key="shy")
    with pytest.warns(MissingLabelWarning, match="1 without a usable answer"):
        teacher.label(["x", "y"], AB)
    labels = teacher.label(["x", "y"], AB)
    assert labels.n_asked == 1
    assert not labels.missing.any()


def test_as_teacher():
    def function(texts):
        return texts

    assert as_teacher(function).function is function
    teacher = PrecomputedTeacher([], [])
    assert as_teacher(teacher) is teacher
    with pytest.raises(InvalidParameterError, match="`teacher`.*got str"):
        as_teacher("gpt")


def test_bad_teacher_parameters_are_named():
    def label(**parameters):
        CallableTeacher(lambda texts: texts, **parameters).label(["a", "b"], AB)

    with pytest.raises(InvalidParameterError, match="`calibration`.*'platt'"):
        label(calibration="platt")
    with pytest.raises(InvalidParameterError, match="`batch_size`"):
        label(batch_size=0)
    with pytest.raises(InvalidParameterError, match="`cache_key`"):
        label(cache_key=" ")
    for bad in ([0.5, 0.3, 0.2], 0.5, [1, 0], {"a": 0.5, "z": 0.5}):
        with pytest.raises(InvalidParameterError, match="`class_prior`"):
            label(calibration=BatchCalibration(bad))
    with pytest.raises(InvalidParameterError, match='`class_prior="em"`'):
        label(calibration=ContextualCalibration("em"))
    with pytest.raises(InvalidParameterError, match="`store`.*True"):
        label(store=True, cache_key="k")
    with pytest.raises(InvalidParameterError, match="`function`"):
        CallableTeacher("gpt").label(["a"], AB)


# ---- precomputed answers


def test_precomputed_answers_are_found_by_text():
    teacher = PrecomputedTeacher(["x", "y", "z"], (["a", "b", None], [0.9, 0.6, 0.5]))
    labels = teacher.label(["y", "x", "y"], AB)
    np.testing.assert_allclose(labels.proba, [[0.4, 0.6], [0.9, 0.1], [0.4, 0.6]])
    assert (labels.n_asked, labels.n_reused) == (0, 3)
    with pytest.warns(MissingLabelWarning, match="2 of 3"):
        assert teacher.label(["y", "z", "new"], AB).missing.tolist() == [
            False,
            True,
            True,
        ]


def test_repeated_texts_have_the_mean_of_their_answers():
    teacher = PrecomputedTeacher(["x", "x", "x", "x"], ["a", "b", "b", None])
    np.testing.assert_allclose(teacher.label(["x"], AB).proba, [[1 / 3, 2 / 3]])


def test_texts_without_an_answer_are_not_reused():
    teacher = PrecomputedTeacher(["y", "z"], ["a", None])
    with pytest.warns(MissingLabelWarning, match="2 of 3"):
        assert teacher.label(["y", "z", "new"], AB).n_reused == 1


def test_precomputed_contextual_calibration_is_impossible():
    teacher = PrecomputedTeacher(["x"], ["a"], calibration=ContextualCalibration())
    with pytest.raises(InvalidParameterError, match="Contextual"):
        teacher.label(["x"], AB)


# ---- calibration


def biased_log_prob(n_texts=4000, shares=(0.5, 0.5), bias=(0.0, 2.0), seed=0):
    """Return log-probabilities of a teacher that prefers the second class."""
    rng = np.random.RandomState(seed)
    gold = rng.choice(len(shares), n_texts, p=shares)
    evidence = rng.normal(scale=0.5, size=(n_texts, len(shares)))
    evidence[np.arange(n_texts), gold] += 2
    score = evidence + np.array(bias)
    return score - np.logaddexp.reduce(score, axis=1, keepdims=True), gold


def accuracy(log_prob, bias, gold):
    return np.mean(normalise(log_prob, bias).argmax(axis=1) == gold)


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


def test_contextual_calibration_asks_about_texts_without_content():
    asked = []

    def function(texts):
        asked.extend(texts)
        return [
            [0.2, 0.8] if text in ("N/A", "[MASK]", "...") else [0.4, 0.6]
            for text in texts
        ]

    teacher = CallableTeacher(function, calibration=ContextualCalibration())
    labels = teacher.label(["x", "y"], AB)
    assert asked == ["x", "y", "N/A", "[MASK]", "..."]
    assert (labels.n_asked, labels.n_reused) == (5, 0)
    odds = (0.4 / 0.2) / (0.6 / 0.8)
    np.testing.assert_allclose(labels.proba[0, 0] / labels.proba[0, 1], odds)
