"""Answers that a function may give."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from skllkd import Multilabel
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


@pytest.mark.parametrize("classes", [AB, as_classes(Multilabel(["a", "b"]))])
@pytest.mark.parametrize(
    "odd", [np.array(1), torch.tensor(0.5), 0.5, "xy", {0.3, 0.7}, {0: 0.3, 1: 0.7}]
)
def test_a_column_without_entries_in_order_is_refused_and_shown(odd, classes):
    for columns in ({"a": [0.7, 0.3], "b": odd}, {"a": odd, "b": odd}):
        with pytest.raises(
            TeacherOutputError, match="entry for each text; got "
        ) as said:
            log_prob_of_output(columns, 2, classes)
        assert "0.5" in str(said.value) or not isinstance(odd, (float, torch.Tensor))


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


def tables(columns):
    """Return columns as data frames, an Arrow table and a mapping."""
    return [pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns), columns]


@pytest.mark.parametrize("place", range(4))
def test_columns_with_names_are_found_by_them(place):
    columns = {"text": ["x", "y"], "b": [0.9, None], "a": [0.1, None]}
    rows = proba(tables(columns)[place], 2, AB)
    np.testing.assert_allclose(rows[0], [0.1, 0.9])
    assert np.isnan(rows[1]).all()
    prefixed = {f"proba_{name}": columns[name] for name in "ba"}
    np.testing.assert_allclose(proba(tables(prefixed)[place], 2, AB), rows)
    labelled = {"label": ["b", None], "score": [0.8, None]}
    rows = proba(tables(labelled)[place], 2, AB)
    np.testing.assert_allclose(rows[0], [0.2, 0.8])
    assert np.isnan(rows[1]).all()
    for wrong in ({"a": [0.1, 0.2], "c": [0.9, 0.8]}, {"x": [1, 2], "y": [3, 4]}):
        with pytest.raises(
            TeacherOutputError, match=r"column for each of \['a', 'b'\]"
        ):
            proba(tables(wrong)[place], 2, AB)


def test_numbered_columns_are_names_of_numbers_alone():
    frame = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]])
    np.testing.assert_allclose(proba(frame, 2, AB), frame)
    np.testing.assert_allclose(proba(frame, 2, as_classes([1, 0])), frame[[1, 0]])


@pytest.mark.parametrize(
    "output",
    [
        [{"label": "b", "score": 0.9}, {"label": "a", "score": 0.6}],
        [[{"label": "b", "score": 0.9}], [{"label": "a", "score": 0.6}]],
        [
            [{"label": "b", "score": 0.9}, {"label": "a", "score": 0.1}],
            [{"label": "a", "score": 0.6}, {"label": "b", "score": 0.4}],
        ],
        [{"b": 0.9, "a": 0.1}, {"a": 0.6}],
        [("b", 0.9), ("a", 0.6)],
        (("b", np.float32(0.9)), ("a", 0.6)),
        (["b", "a"], [0.9, 0.6]),
        (np.array(["b", "a"]), torch.tensor([0.9, 0.6])),
        (pd.Series(["b", "a"], index=[7, 3]), pl.Series([0.9, 0.6])),
        torch.tensor([[0.1, 0.9], [0.6, 0.4]], requires_grad=True),
        torch.tensor([[0.1, 0.9], [0.6, 0.4]]).to_sparse(),
        torch.tensor([[0.1, 0.9], [0.6, 0.4]], dtype=torch.bfloat16),
        [torch.tensor([0.1, 0.9], dtype=torch.half), torch.tensor([0.6, 0.4])],
        sparse.csr_matrix([[0.1, 0.9], [0.6, 0.4]]),
        [["0.1", "0.9"], ["0.6", "0.4"]],
        pa.array([[0.1, 0.9], [0.6, 0.4]]),
        torch.tensor([[-0.1j, -0.9j], [-0.6j, -0.4j]]).conj().imag,
        np.array([(0.9, 0.1), (0.4, 0.6)], dtype=[("b", float), ("a", float)]),
        np.rec.fromarrays([[0.9, 0.4], [0.1, 0.6]], names="b,a"),
        pa.record_batch({"b": [0.9, 0.4], "x": ["", ""], "a": [0.1, 0.6]}),
        pl.Series([{"b": 0.9, "a": 0.1}, {"b": 0.4, "a": 0.6}]),
        [
            {"sequence": "x", "labels": ["b", "a"], "scores": [0.9, 0.1]},
            {"sequence": "y", "labels": ["a", "b"], "scores": [0.6, 0.4]},
        ],
    ],
    ids=str,
)
def test_forms_of_answers(output):
    found = proba(output, 2, AB)
    np.testing.assert_allclose(found, [[0.1, 0.9], [0.6, 0.4]], atol=5e-3)


@pytest.mark.parametrize(
    "output",
    [
        [["b"], ["a"]],
        [("b",), np.array(["a"])],
        np.array([["b"], ["a"]]),
        [np.str_("b"), np.array("a")],
        pd.Series(["b", "a"], dtype="category"),
        pa.chunked_array([["b"], ["a"]]),
        pd.DataFrame({"label": ["b", "a"]}),
        {"label": ["b", "a"]},
    ],
    ids=str,
)
def test_forms_of_labels(output):
    np.testing.assert_array_equal(proba(output, 2, AB), [[0, 1], [1, 0]])


def test_masked_rows_are_no_answer():
    masked = np.ma.masked_array([[0.1, 0.9], [0.6, 0.4]], [[False] * 2, [True] * 2])
    rows = proba(masked, 2, AB)
    np.testing.assert_allclose(rows[0], [0.1, 0.9])
    assert np.isnan(rows[1]).all()


def test_a_share_of_the_scores_is_for_the_classes_that_are_not_named():
    rows = proba([{"b": 0.5, "c": 0.3}, None], 2, ABC)
    np.testing.assert_allclose(rows[0], [0.2, 0.5, 0.3])
    assert np.isnan(rows[1]).all()


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        ([{"label": "LABEL_0", "score": 0.9}] * 2, ["'LABEL_0'", "row 0"]),
        ([{"label": "a", "score": "0,9"}, None], ["'0,9'", "row 0", "decimal point"]),
        ((["a", "b"], ["high", "low"]), ["'high'", "row 0"]),
        ((["a", "b"], [0.9, "90 %"]), ["'90 %'", "row 1"]),
        ([[0.5, 0.5], ["0,5", "0,5"]], ["'0,5'", "row 1"]),
        ([[0.5, 0.5], [1j, 0]], ["row 1"]),
        ([[0.5, 0.5], [10**400, 0]], ["row 1"]),
        (np.array([[0.5, 0.5], [1j, 0]]), ["row 0"]),
        ((["a", "b"], np.array([0.5, 1j])), ["0j", "row 0"]),
        ({"a": [0.1, "x"], "b": [0.9, 0.5]}, ["'x'", "row 1"]),
        ({"a": [0.1], "b": [0.9, 0.5]}, ["one length"]),
        ([{"a": 0.9, "b": 0.9}] * 2, ["sum to 1", "row 0"]),
        ([{"a": 1.5}] * 2, ["1.5", "row 0"]),
        ([[{"label": "a"}, {"label": "a"}]] * 2, ["twice", "row 0"]),
        ([{"a": 1.0}, "b"], ["one form", "'b'", "row 1"]),
        ([{"a": 1.0}], ["1 for 2"]),
        ([{"a"}, {"b"}], ["{'a'}", "row 0"]),
        ([["a", "b"], ["a"]], ["['a', 'b']", "row 0"]),
        (["a", {"b": []}], ["{'b': []}", "row 1"]),
        (iter("ab"), ["str_ascii_iterator", "list of a generator"]),
        (np.full((2, 2, 1), 0.5), ["(2, 2, 1)"]),
        (b"ab", ["bytes"]),
        ([b"a", b"b"], ["b'a'", "row 0"]),
        (pl.DataFrame({"a": [0.5]}).lazy(), ["LazyFrame"]),
        (torch.empty(2, 2, device="meta"), ["tensor", "softmax"]),
        (
            torch.complex(torch.ones(2, 2), torch.ones(2, 2)).conj(),
            ["complex", "row 0"],
        ),
        ([{"labels": ["a", "b"], "scores": [1.0]}] * 2, ["2 labels and 1", "row 0"]),
        ([{"labels": ["a", "b"], "scores": [0.9, 0.9]}] * 2, ["sum to 1", "row 0"]),
    ],
)
def test_odd_answers_are_refused_with_value_and_row(output, parts):
    with pytest.raises(TeacherOutputError) as caught:
        log_prob_of_output(output, 2, AB)
    for part in parts:
        assert part in str(caught.value)
