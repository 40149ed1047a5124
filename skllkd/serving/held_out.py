"""Texts and labels of a cascade: those put aside for the threshold, and who is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import _safe_indexing

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows
from skllkd._core.labels import label_entries
from skllkd.exceptions import InvalidParameterError


def keys_of(texts: Any) -> list[Any]:
    """Return keys by which equal texts, or rows of numbers, are equal."""
    if isinstance(texts, np.ndarray):
        return [row.tobytes() for row in np.ascontiguousarray(texts)]
    return list(texts)


def split(
    texts: Any, share: float, random_state: np.random.RandomState
) -> tuple[IntArray, IntArray]:
    """Return the rows to learn from, and rows of other, distinct texts to hold out."""
    keys = keys_of(texts)
    first_row = {key: row for row, key in reversed(list(enumerate(keys)))}
    if len(first_row) < 2:
        raise InvalidParameterError(
            "`X` must hold at least 2 distinct texts, one to learn from and one to hold "
            f"out; got {len(first_row)} (n_samples={len(keys)}: 1 sample is too few)."
        )
    distinct = list(first_row)
    n_out = min(max(1, round(share * len(distinct))), len(distinct) - 1)
    chosen = random_state.permutation(len(distinct))[:n_out]
    out = {distinct[i] for i in chosen}
    learned = [row for row, key in enumerate(keys) if key not in out]
    return np.array(learned), np.sort([first_row[key] for key in out])


def columns_of_labels(y: Any, classes: npt.NDArray[Any]) -> IntArray:
    """Return the column of each label: -1 for a class unknown, -2 for no label."""
    column = {name: k for k, name in enumerate(classes.tolist())}
    return np.array(
        [-2 if e is None else column.get(e, -1) for e in label_entries(y, "y")]
    )


def take_rows(values: Any, rows: IntArray) -> Any:
    """Return some rows of texts, numbers or labels."""
    return _safe_indexing(values, rows)


def known_and_right(
    predicted: IntArray, truth: Sequence[int] | IntArray
) -> tuple[BoolArray, BoolArray]:
    """Return which rows have a true label, and where the prediction is it."""
    truth = np.asarray(truth)
    known, is_right = truth != -2, predicted == truth
    if truth.ndim == 2:  # of several classes a text all must be right
        known, is_right = known.all(axis=1), is_right.all(axis=1)
    return known, is_right[known]


def holds_strings(X: Any) -> bool:
    """Return whether an input is a column of texts; a pipeline's tags do not say it."""
    has_one_dimension = np.ndim(X) == 1 if hasattr(X, "shape") else True
    is_column = has_one_dimension and hasattr(X, "__iter__")
    return is_column and isinstance(next(iter(X), None), str)


def most_probable(proba: FloatArray) -> IntArray:
    """Return the most probable column of each row, -2 where a row is NaN."""
    known = ~nan_rows(proba)
    columns = np.full(len(proba), -2)
    columns[known] = proba[known].argmax(axis=1)
    return columns
