"""Labels in any form: read as what they are, or refused by name."""

from decimal import Decimal
from enum import Enum, IntEnum

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from skllkd._core.labels import gold_entries, label_entries
from skllkd.exceptions import InvalidParameterError

from tests.choices import Choices, built


class Word(str, Enum):  # noqa: UP042  as users of older Python have it
    A = "a"
    B = "b"


Number = IntEnum("Number", {"ZERO": 0, "ONE": 1})
WORDS, NUMBERS, FLAGS = ["b", "a", "b"], [1, 0, 1], [True, False, True]
FORMS = {
    "list": (WORDS, list),
    "tuple": (WORDS, tuple),
    "array of str": (WORDS, np.array),
    "array of objects": (WORDS, lambda v: np.array(v, dtype=object)),
    "list of numpy str": (WORDS, lambda v: [np.str_(x) for x in v]),
    "enumeration": (WORDS, lambda v: list(map(Word, v))),
    "series": (WORDS, lambda v: pd.Series(v, index=[9, 9, -1])),
    "categories": (WORDS, lambda v: pd.Series(v, dtype="category")),
    "categorical": (WORDS, lambda v: pd.Categorical(v, ["z", "b", "a"], ordered=True)),
    "pandas strings": (WORDS, lambda v: pd.Series(v, dtype="string")),
    "index": (WORDS, pd.Index),
    "polars": (WORDS, pl.Series),
    "polars categories": (WORDS, lambda v: pl.Series(v, dtype=pl.Categorical)),
    "polars enum": (WORDS, lambda v: pl.Series(v, dtype=pl.Enum(["a", "b"]))),
    "arrow": (WORDS, pa.array),
    "arrow chunks": (WORDS, lambda v: pa.chunked_array([v[:1], v[1:]])),
    "arrow dictionary": (WORDS, lambda v: pa.array(v).dictionary_encode()),
    "arrow large strings": (WORDS, lambda v: pa.array(v, pa.large_string())),
    "polars table": (WORDS, lambda v: pl.DataFrame({"label": v})),
    "arrow table": (WORDS, lambda v: pa.table({"label": v})),
    "digits": (["1", "0", "1"], list),
    "ints": (NUMBERS, list),
    "int8": (NUMBERS, lambda v: np.array(v, np.int8)),
    "uint64": (NUMBERS, lambda v: np.array(v, np.uint64)),
    "list of numpy ints": (NUMBERS, lambda v: [np.int32(x) for x in v]),
    "int enumeration": (NUMBERS, lambda v: list(map(Number, v))),
    "whole floats": (NUMBERS, lambda v: [float(x) for x in v]),
    "float array": (NUMBERS, lambda v: np.array(v, np.float32)),
    "list of numpy floats": (NUMBERS, lambda v: [np.float32(x) for x in v]),
    "objects, floats and ints": (NUMBERS, lambda v: np.array([1, 0.0, 1], object)),
    "nullable ints": (NUMBERS, lambda v: pd.Series(v, dtype="Int64")),
    "arrow-backed ints": (NUMBERS, lambda v: pd.Series(v, dtype="int64[pyarrow]")),
    "polars ints": (NUMBERS, pl.Series),
    "tensor": (NUMBERS, torch.tensor),
    "flags": (FLAGS, list),
    "array of flags": (FLAGS, np.array),
    "list of numpy flags": (FLAGS, lambda v: [np.bool_(x) for x in v]),
    "nullable flags": (FLAGS, lambda v: pd.Series(v, dtype="boolean")),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_holds_the_same_labels(form):
    expected, of = FORMS[form]
    found = label_entries(of(expected), "y")
    assert found == expected
    assert {type(label) for label in found} == {type(expected[0])}


@pytest.mark.parametrize("of", [np.array, pd.DataFrame], ids=["array", "frame"])
def test_a_table_of_one_column_is_that_column(of):
    with pytest.warns(DataConversionWarning):  # as scikit-learn's own estimators do
        assert label_entries(of([[label] for label in WORDS]), "y") == WORDS


GAPS = {
    "None": [1, None],
    "NaN": np.array([1.0, np.nan]),
    "numpy NaN": [np.float32(1), np.float32("nan")],
    "NA": pd.Series([1, pd.NA], dtype="Int64"),
    "polars": pl.Series([1, None]),
    "arrow": pa.array([1, None]),
    "category": pd.Series([1, None], dtype="category"),
    "objects": np.array([1, pd.NaT], dtype=object),
}


@pytest.mark.parametrize("gap", GAPS)
def test_a_gap_is_none_and_leaves_the_others_as_they_are(gap):
    found = label_entries(GAPS[gap], "y")
    assert found == [1, None] and type(found[0]) is int


NONE_OF_LABELS = {
    "a word": "ab",
    "bytes": b"ab",
    "a number": 3,
    "an array of no dimension": np.array("ab"),
    "a set": {"a", "b"},
    "a mapping": {"a": 1},
    "a generator": iter("ab"),
    "two columns": np.full((2, 2), "a"),
    "two columns of a frame": pd.DataFrame({"a": ["x"], "b": ["y"]}),
    "two columns of an Arrow table": pa.table({"a": ["x"], "b": ["y"]}),
    "two columns of polars": pl.DataFrame({"a": ["x"], "b": ["y"]}),
    "a sparse matrix": sparse.csr_matrix([[0, 1]]),
    "bytes in an array": np.array([b"a", b"b"]),
    "lists": [["a"], ["b"]],
    "objects of lists": pd.Series([["a"], ["b"]]),
    "dicts": [{"label": "a"}],
    "dates": pd.Series(pd.to_datetime(["2024-05-01"])),
    "decimals": [Decimal(1)],
    "complex": np.array([1j]),
    "fractions": [0.5, 1.0],
    "infinities": [np.inf],
    "words and numbers": ["a", 1],
    "words and flags": ["a", True],
    "flags and numbers": [True, 1],
    "a frame in a list": [pd.DataFrame()],
    "an array in a list": [np.array(["a", "b"])],
}


@pytest.mark.parametrize("name", NONE_OF_LABELS)
def test_others_are_refused_by_the_name_of_the_parameter(name):
    with pytest.raises(InvalidParameterError, match="`gold`"):
        label_entries(NONE_OF_LABELS[name], "gold")


ODD = [None, True, "", b"a", 1j, pd.NA, pd.NaT, Decimal(1), np.str_("a"), np.int64(1)]
ODD += [np.bool_(True), np.float32(1), np.array(1), ["a"], ("a",), {"a"}, Word.A]
KINDS = [lambda c: c.of(ODD), Choices.integer, Choices.number, lambda c: c.text(1)]
containers = st.sampled_from([list, tuple, lambda v: np.array(v, object), set, iter])


def labels(choices):
    """Make labels of one kind, or each of any."""
    kinds = KINDS if choices.below(2) else [choices.of(KINDS)]
    return choices.several(lambda c: c.of(kinds)(c), 5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@given(values=built(labels), of=containers)
def test_anything_is_labels_of_one_type_or_a_named_error(values, of):
    try:
        column = of(values)
    except (TypeError, ValueError):  # no such container
        return
    try:
        found = label_entries(column, "y")
    except InvalidParameterError as error:
        if "`y`" in str(error):
            return
        raise
    assert len(found) == len(values)
    assert {type(label) for label in found} - {type(None)} in (
        *({kind} for kind in (str, int, bool)),
        set(),
    )


def test_gold_labels_are_classes_or_some_of_them_are():
    assert gold_entries(["a", "c"], ["a", "b"], 2, all_known=False) == ["a", "c"]
    for odd in (["a", "c"], ["a", None], ["a"], [], ["a", 1]):
        with pytest.raises(InvalidParameterError, match="`y`"):
            gold_entries(odd, ["a", "b"], 2)
    for odd in (["c", "d"], [0, 1], ["0", "1"]):
        names = ["a", "b"] if odd != ["0", "1"] else [0, 1]
        with pytest.raises(InvalidParameterError, match="2 of 2 are none"):
            gold_entries(odd, names, 2, all_known=False)
