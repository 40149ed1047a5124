"""Texts as a list of strings, from any column of strings."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from skllkd._core.params import shown
from skllkd.exceptions import InvalidParameterError, SkllkdWarning

_HALF_PAIR = re.compile("[\ud800-\udfff]")


def as_texts(X: Any, name: str = "X") -> list[str]:
    """Return the texts of any one-dimensional column of strings as a list."""
    if isinstance(X, (str, bytes)):
        raise InvalidParameterError(
            f"`{name}` must be a collection of texts; got a bare "
            f"{type(X).__name__}: {shown(X)}. Put it in a list: [text]."
        )
    X = only_column(X)
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        raise InvalidParameterError(
            f"`{name}` must have one dimension, one text an entry; got a "
            f"{type(X).__name__} of shape {tuple(shape)}. Select the column that "
            f'holds the texts, e.g. {name}["text"].'
        )
    texts = column_entries(X, name)
    if not texts:
        raise InvalidParameterError(
            f"`{name}` must hold at least one text; got an empty {type(X).__name__}. "
            "Check the filter or the file it came from."
        )
    wrong = [row for row, text in enumerate(texts) if not isinstance(text, str)]
    if wrong:
        row = wrong[0]
        others = f" and {len(wrong) - 1} more such rows" if len(wrong) > 1 else ""
        raise InvalidParameterError(
            f"`{name}` must hold strings only; got {shown(texts[row])} "
            f"({type(texts[row]).__name__}) at row {row}{others}. Drop these rows, "
            'replace them by "" (an empty text counts as unlabelled), or convert '
            "them with str()."
        )
    return _whole_characters(texts, name)


def _whole_characters(texts: list[str], name: str) -> list[str]:
    """Replace halves of surrogate pairs in texts, and warn of their number."""
    broken = [row for row, t in enumerate(texts) if not t.isascii() and is_broken(t)]
    if not broken:
        return texts
    warnings.warn(
        f"{len(broken)} of the texts in `{name}` hold half a surrogate pair, as half an "
        f"emoji is (the first at row {broken[0]}); it is read as U+FFFD.",
        SkllkdWarning,
        stacklevel=4,
    )
    texts = list(texts)
    for row in broken:
        texts[row] = _HALF_PAIR.sub("\ufffd", texts[row])
    return texts


def is_broken(text: str) -> bool:
    """Return whether a text holds half a surrogate pair, which UTF-8 does not have."""
    return _HALF_PAIR.search(text) is not None


def only_column(X: Any) -> Any:
    """Return the column of a table that has one, as ColumnTransformer gives it."""
    shape = getattr(X, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] != 1:
        return X
    if isinstance(X, np.ndarray):
        return X[:, 0]
    if hasattr(X, "column_names"):  # an Arrow table
        return X[X.column_names[0]]
    return X[X.columns[0]] if hasattr(X, "columns") else X


def column_entries(X: Any, name: str) -> list[Any]:
    """Return the entries of a column in whichever way its library offers."""
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(X, method):
            return list(getattr(X, method)())
    if isinstance(X, Sequence):
        return list(X)
    if hasattr(X, "__array__"):
        return list(np.asarray(X).tolist())
    raise InvalidParameterError(
        f"`{name}` must be an ordered collection, as a list, an array or a "
        f"Series; got {type(X).__name__}. Turn it into a list first: list({name}). To "
        "predict texts as they come, give the iterator to `predict_stream`."
    )


def is_blank(text: str) -> bool:
    """Return whether a text is empty or white space only."""
    return not text.strip()


def without_half_pairs(value: Any) -> tuple[Any, int]:
    """Replace halves of surrogate pairs in all strings of a JSON value; count them.

    Half of an emoji is no character: neither UTF-8 nor a tokenizer has it.
    """
    if isinstance(value, str):
        return _HALF_PAIR.subn("\ufffd", value)
    if isinstance(value, dict):
        pairs = [
            (*without_half_pairs(k), *without_half_pairs(v)) for k, v in value.items()
        ]
        return {k: v for k, _, v, _ in pairs}, sum(n + m for _, n, _, m in pairs)
    if isinstance(value, list):
        parts = [without_half_pairs(part) for part in value]
        return [part for part, _ in parts], sum(n for _, n in parts)
    return value, 0
