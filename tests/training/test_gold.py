"""Gold labels as they are given: by row, by text, as a column."""

import numpy as np
import pandas as pd
import pytest
from skllkd._core.classes import as_classes
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.training.gold import gold_columns

TEXTS = ["a", "b", "c", "b", " "]
CLASSES = as_classes(["spam", "ham"])


@pytest.mark.parametrize(
    "gold",
    [
        {0: "ham", 2: "spam"},
        {"a": "ham", 2: "spam", 1: None},
        {np.int64(0): np.str_("ham"), "c": "spam"},
        ["ham", None, "spam", float("nan"), None],
        np.array(["ham", None, "spam", None, None], dtype=object),
        pd.Series(["ham", pd.NA, "spam", None, np.nan], index=[4, 3, 2, 1, 0]),
    ],
)
def test_every_form_gives_the_columns_of_the_classes_as_given(gold):
    assert gold_columns(gold, TEXTS, CLASSES).tolist() == [1, -1, 0, -1, -1]


@pytest.mark.parametrize("gold", [{3: "ham"}, {"b": "ham"}, [None, "ham", *[None] * 3]])
def test_equal_texts_share_a_label(gold):
    assert gold_columns(gold, TEXTS, CLASSES).tolist() == [-1, 1, -1, 1, -1]


@pytest.mark.parametrize("gold", [{}, [None] * 5, {0: np.nan}])
def test_no_label_is_none(gold):
    assert gold_columns(gold, TEXTS, CLASSES) is None


def test_integer_classes_with_gaps_are_no_floats():
    gold = pd.Series([1, None, 0, None, None])
    columns = gold_columns(gold, TEXTS, as_classes([1, 0]))
    assert columns.tolist() == [0, -1, 1, -1, -1]


def test_a_label_of_an_empty_text_is_dropped_with_a_warning():
    with pytest.warns(MissingLabelWarning, match="1 of the gold labels.*row 4"):
        assert gold_columns({4: "ham"}, TEXTS, CLASSES) is None


def test_rows_of_numbers_take_rows_and_columns():
    rows = np.eye(3)
    assert gold_columns({2: "ham"}, rows, CLASSES).tolist() == [-1, -1, 1]
    with pytest.raises(InvalidParameterError, match="rows of numbers.*got 'a'"):
        gold_columns({"a": "ham"}, rows, CLASSES)


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ({1: "eggs"}, r"names in `classes`, \['spam', 'ham'\]; got 'eggs' at row 1"),
        (["ham", "Ham", None, None, None], "got 'Ham' at row 1"),
        (["ham"], "an entry for each text.*got 1 for 5 texts"),
        ({5: "ham"}, r"rows in \[0, 5\) as keys; got 5"),
        ({-1: "ham"}, "got -1"),
        ({"d": "ham"}, "among the texts.*got 'd'"),
        ({True: "ham"}, r"got True \(bool\)"),
        ({1.0: "ham"}, r"got 1.0 \(float\)"),
        ({"b": "ham", 3: "spam"}, "got 'ham' and 'spam' for that at row 3"),
        ({"b": "ham", 1: "spam"}, "got 'ham' and 'spam' for that at row 1"),
        ("ham", "a column of labels"),
        (7, "ordered collection"),
    ],
)
def test_mistakes_are_named(gold, message):
    with pytest.raises(InvalidParameterError, match=message):
        gold_columns(gold, TEXTS, CLASSES)
