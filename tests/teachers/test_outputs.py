"""Answers that a function may give."""

import numpy as np
import pytest
from skllkd._core.classes import as_classes
from skllkd.exceptions import (
    TeacherOutputError,
)
from skllkd.teachers.outputs import log_prob_of_output

AB = as_classes(["a", "b"])
ABC = as_classes(["a", "b", "c"])


def proba(output, n_texts, classes=ABC):
    return np.exp(log_prob_of_output(output, n_texts, classes))


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
