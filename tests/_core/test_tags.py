"""Several class names a text, in each form they are given in."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from skllkd._core.classes import Multilabel, as_classes
from skllkd._core.tags import as_indicator, holds_tags, names_of, tag_names
from skllkd.exceptions import InvalidParameterError

CLASSES = as_classes(Multilabel(["b", "a", "c"]))
NAMES = [["a"], [], ["c", "b"], None]
ROWS = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 1], [np.nan] * 3])
FORMS = {
    "lists": NAMES,
    "tuples": [("a",), (), ("c", "b"), None],
    "sets": [{"a"}, set(), {"b", "c"}, float("nan")],
    "arrays": [np.array(["a"]), np.array([]), np.array(["c", "b"]), None],
    "series of lists": pd.Series(NAMES),
    "array of lists": np.array([*NAMES, ["z"]], dtype=object)[:4],
    "matrix": ROWS,
    "rows": [[0, 1, 0], (False, False, False), np.array([1, 0, 1]), None],
    "frame in the order": pd.DataFrame(ROWS),
    "frame with names": pd.DataFrame(ROWS, columns=["b", "a", "c"])[["a", "b", "c"]],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_alike(form):
    assert holds_tags(FORMS[form])
    np.testing.assert_array_equal(as_indicator(FORMS[form], CLASSES, "y"), ROWS)


def test_sparse_matrices_are_read():
    matrix = sp.csr_matrix(ROWS[:3])
    assert holds_tags(matrix)
    np.testing.assert_array_equal(as_indicator(matrix, CLASSES, "y"), ROWS[:3])


def test_names_are_found_in_the_labels():
    assert tag_names(NAMES, "y") == ["a", "b", "c"]
    assert tag_names(ROWS, "y") == [0, 1, 2]
    assert tag_names(ROWS.tolist(), "y") == [0, 1, 2]
    assert tag_names(pd.DataFrame(ROWS, columns=["b", "a", "c"]), "y") == [
        "a",
        "b",
        "c",
    ]
    assert tag_names([[7], [3, 7], [3]], "y") == [3, 7]
    with pytest.raises(InvalidParameterError, match="one type"):
        tag_names([["a"], [1]], "y")


def test_names_that_are_numbers_are_no_indicators():
    classes = as_classes(Multilabel([0, 1, 2]))
    indicator = as_indicator([[0], [1, 2], [0, 1]], classes, "y")
    assert indicator.tolist() == [[1, 0, 0], [0, 1, 1], [1, 1, 0]]


def test_one_label_a_text_is_no_list():
    for labels in (["a", "b"], np.array([["a"], ["b"]]), [1, 2], "ab", 3, None):
        assert not holds_tags(labels)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ([["a"], ["z"]], "'z' at row 1"),
        ([["a"], "a"], r"'a' \(str\) at row 1.*\['a'\]"),
        ([["a"], [["a"]]], r"\['a'\] at row 1"),
        (np.array([[0, 1, 0], [0, 0.3, 0]]), "0.3.*at row 1.*`teacher_proba`"),
        (np.array([[0, 1], [1, 0]]), r"3 classes.*\[0, 1\] at row 0"),
        (np.array([[0, 1, np.nan]]), "nan.* at row 0"),
        ([[0.5, 1, 0]], "0.5 at row 0"),
    ],
)
def test_others_are_named(labels, named):
    with pytest.raises(InvalidParameterError, match=named):
        as_indicator(labels, CLASSES, "y")


def test_names_of_rows():
    found = names_of(ROWS, CLASSES.names)
    assert found.tolist() == [("a",), (), ("b", "c"), None]
