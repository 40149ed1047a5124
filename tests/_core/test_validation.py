import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from skllkd._core.classes import Classes, Multilabel, as_classes
from skllkd._core.params import check_number, check_option
from skllkd._core.texts import as_texts
from skllkd.exceptions import (
    InvalidParameterError,
    SkllkdWarning,
)

TEXTS = ["one text", "", "and ünïcode"]


@pytest.mark.parametrize(
    "column",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS, index=[7, 3, 5]),
        pd.Series(TEXTS, dtype="string"),
        pl.Series(TEXTS),
        pa.array(TEXTS),
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        np.array(TEXTS, dtype=object)[:, None],
        pd.DataFrame({"text": TEXTS}),
        pl.DataFrame({"text": TEXTS}),
    ],
    ids=lambda column: f"{type(column).__module__}.{type(column).__name__}",
)
def test_every_kind_of_column_gives_the_same_list_of_str(column):
    texts = as_texts(column)
    assert texts == TEXTS
    assert {type(text) for text in texts} == {str}


@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_table_of_one_column_is_that_column(table):
    assert as_texts(table({"text": TEXTS})) == TEXTS


def test_half_an_emoji_is_replaced_and_counted():
    with pytest.warns(SkllkdWarning, match=r"2 of the texts.*row 1\).*U\+FFFD"):
        texts = as_texts(["whole \U0001f600", "half \ud83d", "x", "\ude00\ud83d"])
    assert texts == ["whole \U0001f600", "half \ufffd", "x", "\ufffd\ufffd"]


def test_hugging_face_column():
    datasets = pytest.importorskip("datasets")
    column = datasets.Dataset.from_dict({"text": TEXTS})["text"]
    assert as_texts(column) == TEXTS


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("a bare string", ["`X`", "'a bare string'", "[text]"]),
        (b"bytes", ["`X`", "bytes"]),
        ([], ["`X`", "at least one", "empty list"]),
        (np.array([], dtype=object), ["at least one"]),
        (["a", None, "b"], ["`X`", "None", "row 1", "NoneType"]),
        (["a", "b", float("nan")], ["nan", "row 2", "float"]),
        (pd.Series(["a", pd.NA], dtype="string"), ["row 1", "NAType"]),
        (["a", 3, 4], ["3", "row 1", "1 more"]),
        (np.array([["a", "x"], ["b", "y"]]), ["shape (2, 2)", "Select the column"]),
        (pd.DataFrame({"text": ["a"], "id": ["1"]}), ["DataFrame", 'X["text"]']),
        (pl.DataFrame({"text": ["a"], "id": ["1"]}), ["DataFrame"]),
        ({"a", "b"}, ["set", "list(X)"]),
        ({"a": "b"}, ["dict"]),
        (iter(["a"]), ["iterator", "list(X)"]),
        (7, ["int"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_bad_texts_are_refused_with_what_where_and_the_mend(bad, named):
    with pytest.raises(InvalidParameterError) as caught:
        as_texts(bad)
    for part in named:
        assert part in str(caught.value)


def test_classes_keep_their_order_and_descriptions():
    classes = as_classes({"outage": "something is down", "billing": None})
    assert classes.names == ("outage", "billing")
    assert classes.descriptions == ("something is down", "")
    assert as_classes(classes) is classes


def test_classes_may_be_integers_or_booleans():
    assert as_classes(np.array([2, 1])).names == (2, 1)
    assert as_classes([False, True]).words == ("False", "True")


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (None, ["`classes`", "None"]),
        ("spam", ["'spam'"]),
        (["spam"], ["at least 2", "1: ['spam']", "other"]),
        ([], ["at least 2", "0"]),
        (["a", " "], ["empty", "place 1"]),
        (["a", ""], ["empty"]),
        (["a", "b", "a"], ["repeat", "'a'", "2 times"]),
        (["a", "a "], ["repeat"]),
        (["1", 1], ["int, str"]),
        ([0.5, 1.5], ["float"]),
        ([True, 1], ["bool, int"]),
        ({"spam", "ham"}, ["set", "sorted(classes)"]),
        (iter(["spam", "ham"]), ["iterator"]),
        (7, ["int"]),
    ],
)
def test_bad_classes_are_refused(bad, named):
    with pytest.raises(InvalidParameterError) as caught:
        as_classes(bad)
    for part in named:
        assert part in str(caught.value)


def test_tags_are_a_value_that_clones_compare_and_pickle():
    tags = Multilabel({"urgent": "cannot wait", "billing": None})
    assert as_classes(tags) == Classes(
        ("urgent", "billing"), ("cannot wait", ""), multilabel=True
    )
    for twin in (clone(tags, safe=False), pickle.loads(pickle.dumps(tags))):
        assert twin == tags
        assert hash(twin) == hash(tags)
    assert eval(repr(tags)) == tags == Multilabel(tags)
    assert tags != Multilabel(["billing", "urgent"])
    assert tags != Multilabel({"billing": None, "urgent": "cannot wait"})  # the order
    assert Multilabel(["a", "b"]) == Multilabel(np.array(["a", "b"]))
    assert as_classes(Multilabel(["a", "b"])) != as_classes(["a", "b"])


def test_one_tag_is_enough_and_none_is_not():
    assert as_classes(Multilabel(["urgent"])).names == ("urgent",)
    for bad, named in [([], "at least 1"), (["a", "a"], "repeat"), ({"a"}, "set")]:
        with pytest.raises(InvalidParameterError, match=named):
            Multilabel(bad)


@pytest.mark.parametrize("value", [1, "0.5", None, float("nan"), True, -0.1])
def test_numbers_out_of_range_are_refused(value):
    with pytest.raises(InvalidParameterError, match=r"`momentum`.*\[0, 1\)"):
        check_number(value, "momentum", 0, 1, open_high=True)


def test_numbers_in_range_pass():
    check_number(np.float64(0.5), "x", 0, 1)
    check_number(0, "x", 0, 1, open_high=True)
    with pytest.raises(InvalidParameterError, match="integer"):
        check_number(1.5, "x", 1, integer=True)
    with pytest.raises(InvalidParameterError, match=r"\(0, 1\]"):
        check_number(0, "x", 0, 1, open_low=True)


def test_options():
    check_option(None, "weight", ["product", None])
    with pytest.raises(InvalidParameterError, match="'product', None; got 'mean'"):
        check_option("mean", "weight", ["product", None])
