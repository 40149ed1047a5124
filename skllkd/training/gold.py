"""The gold labels of some texts, read from a mapping or a column."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, IntArray, is_missing, nan_rows
from skllkd._core.classes import Classes
from skllkd._core.labels import label_entries
from skllkd._core.params import shown
from skllkd._core.tags import as_indicator, names_of
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.training.targets import blank_rows


def gold_columns(gold: Any, texts: Any, classes: Classes) -> IntArray | None:
    """Return the column of each text's gold label, -1 for none; None without any.

    Columns are those of `classes`, in their order. Equal texts share a label. Warns of
    labels of blank texts, which take no part. Of several classes a text, rows of 0 and 1,
    and rows of -1 for none.
    """
    if classes.multilabel:
        column = _tags(gold, texts, classes)
    else:
        column = _columns(_entries(gold, texts), len(texts), classes)
    _drop_blank(column, blank_rows(texts))
    _share_with_copies(column, texts, classes)
    return column if (column >= 0).any() else None


def _columns(given: dict[int, Any], n_texts: int, classes: Classes) -> IntArray:
    """Return the column of the label of each text, -1 for none."""
    column = np.full(n_texts, -1)
    for row, label in given.items():
        if label not in classes.names:
            raise InvalidParameterError(
                f"`gold` must hold names in `classes`, {shown(list(classes.names))}; got "
                f"{shown(label)} at row {row}."
            )
        column[row] = classes.names.index(label)
    return column


def _tags(gold: Any, texts: Any, classes: Classes) -> IntArray:
    """Return the labels, several a text, as rows of 0 and 1; of -1 for none."""
    tags = np.full((len(texts), len(classes)), -1)
    if isinstance(gold, Mapping):
        place = _places(texts)
        given = {key: labels for key, labels in gold.items() if not is_missing(labels)}
        rows = [_row(key, place, texts) for key in given]
        labels = as_indicator(list(given.values()), classes, "gold")
    else:
        labels = as_indicator(gold, classes, "gold")
        _check_length(len(labels), len(texts))
        rows = np.flatnonzero(~nan_rows(labels)).tolist()
        labels = labels[rows]
    for row, has in zip(rows, labels.astype(int), strict=True):
        if tags[row, 0] >= 0 and (tags[row] != has).any():
            _refuse_two_labels(row, *_words(np.array([tags[row], has]), classes))
        tags[row] = has
    return tags


def _entries(gold: Any, texts: Any) -> dict[int, Any]:
    """Return the labels that are not missing, by row."""
    if isinstance(gold, Mapping):
        return _mapped(gold, texts)
    labels = label_entries(gold, "gold")
    _check_length(len(labels), len(texts))
    return {row: label for row, label in enumerate(labels) if label is not None}


def _check_length(n_labels: int, n_texts: int) -> None:
    """Raise unless there is an entry for each text."""
    if n_labels != n_texts:
        raise InvalidParameterError(
            f"`gold` must hold an entry for each text, None where there is no label; got "
            f"{n_labels} for {n_texts} texts. Of a few texts give a mapping: "
            "{row or text: label}."
        )


def _mapped(gold: Mapping[Any, Any], texts: Any) -> dict[int, Any]:
    """Return the labels of a mapping of rows or texts, by row."""
    place = _places(texts)
    given: dict[int, Any] = {}
    labels = label_entries(list(gold.values()), "gold")
    for key, label in zip(gold, labels, strict=True):
        row = _row(key, place, texts)
        if label is not None and given.setdefault(row, label) != label:
            _refuse_two_labels(row, given[row], label)
    return given


def _places(texts: Any) -> dict[Any, int]:
    """Return the first row of each text; none of rows of numbers."""
    if isinstance(texts, np.ndarray):
        return {}
    return {text: row for row, text in reversed(list(enumerate(texts)))}


def _row(key: Any, place: dict[Any, int], texts: Any) -> int:
    """Return the row of a key of the mapping: a row, or a text of the pool."""
    if isinstance(key, str):
        if key in place:
            return place[key]
        of = "rows of numbers" if isinstance(texts, np.ndarray) else "the texts"
        raise InvalidParameterError(
            f"`gold` must have keys among {of}, or row numbers; got {shown(key)}."
        )
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        if 0 <= key < len(texts):
            return int(key)
        raise InvalidParameterError(
            f"`gold` must have rows in [0, {len(texts)}) as keys; got {key}."
        )
    raise InvalidParameterError(
        f"`gold` must have rows or texts as keys; got {shown(key)} "
        f"({type(key).__name__})."
    )


def _drop_blank(column: IntArray, is_blank: BoolArray) -> None:
    """Drop the labels of blank texts."""
    dropped = np.flatnonzero(is_blank & _has_label(column))
    if len(dropped):
        warnings.warn(
            f"{len(dropped)} of the gold labels are of empty texts, as that at row "
            f"{dropped[0]}. They take no part.",
            MissingLabelWarning,
            stacklevel=5,
        )
        column[dropped] = -1


def _share_with_copies(column: IntArray, texts: Any, classes: Classes) -> None:
    """Give copies of a text its gold label, or raise if they have several."""
    if isinstance(texts, np.ndarray):
        return
    row_of: dict[str, int] = {}
    for row in np.flatnonzero(_has_label(column)).tolist():
        first = row_of.setdefault(texts[row], row)
        if not np.array_equal(column[first], column[row]):
            _refuse_two_labels(row, *_words(column[[first, row]], classes))
    for row, text in enumerate(texts):
        if text in row_of:
            column[row] = column[row_of[text]]


def _has_label(column: IntArray) -> BoolArray:
    """Return which texts have a label."""
    return (column >= 0) if column.ndim == 1 else (column[:, 0] >= 0)


def _words(column: IntArray, classes: Classes) -> list[Any]:
    """Return labels as the user gave them."""
    if column.ndim == 1:
        return [classes.names[k] for k in column]
    return list(names_of(column, classes.names))


def _refuse_two_labels(row: int, one: Any, other: Any) -> None:
    """Raise for a text with two gold labels."""
    raise InvalidParameterError(
        f"`gold` must hold one label for a text; got {one!r} and {other!r} for that at "
        f"row {row}. Decide on one, or leave both out."
    )
