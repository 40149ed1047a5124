"""Several class names a text: as lists of names, and as rows of an indicator matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray, is_missing, nan_rows
from skllkd._core.classes import Classes, Multilabel, as_classes
from skllkd._core.params import shown
from skllkd._core.sample_weight import check_sample_weight
from skllkd._core.texts import column_entries
from skllkd.exceptions import InvalidParameterError

#: Rows of a matrix as lists of lists, and whatever else may hold a text's names.
_ROWS = (list, tuple, np.ndarray)
_COLLECTIONS = (*_ROWS, set, frozenset)


def holds_tags(labels: Any) -> bool:
    """Return whether labels are several a text: a matrix, or a list for each text."""
    if _is_matrix(labels):
        is_text = isinstance(labels, np.ndarray) and labels.dtype.kind in "US"
        return int(labels.shape[1]) > 1 and not is_text
    if isinstance(labels, (str, bytes)) or getattr(labels, "ndim", 1) != 1:
        return False
    try:
        rows = column_entries(labels, "y")
    except InvalidParameterError:
        return False
    first = next((row for row in rows if not is_missing(row)), None)
    return isinstance(first, _COLLECTIONS)


def tag_names(labels: Any, argument: str) -> list[Any]:
    """Return the class names of labels that are several a text, sorted.

    Those of a DataFrame of indicators are its columns, those of another matrix of
    indicators numbers from 0.
    """
    names = getattr(labels, "columns", None)
    if names is not None and all(isinstance(name, str) for name in names):
        return sorted(names)
    rows = _rows(labels, argument)
    known = [row for row in rows if row is not None]
    if known and (_is_matrix(labels) or _are_flags(known)):
        return list(range(len(known[0])))
    try:
        return sorted({_plain(name) for row in known for name in row})
    except TypeError as error:
        raise InvalidParameterError(
            f"`{argument}` must hold lists of class names of one type; got "
            f"{shown(known[:5])}: {error}."
        ) from error


def as_indicator(labels: Any, classes: Classes, argument: str) -> FloatArray:
    """Return labels as rows of 0 and 1, columns as the classes; NaN rows for none.

    A text's labels are a list, tuple or set of names, or a row of 0 and 1; None, NaN or
    a row of NaN where they are not known.
    """
    columns = getattr(labels, "columns", None)
    if columns is not None and {*columns} == {*classes.names}:
        labels = labels[list(classes.names)]
    rows = _rows(labels, argument)
    known = [row for row in rows if row is not None]
    read = _row_of_names
    if _is_matrix(labels) or (_are_flags(known) and len(known[0]) == len(classes)):
        read = _row_of_flags
    indicator = np.full((len(rows), len(classes)), np.nan)
    for place, row in enumerate(rows):
        if row is not None:
            indicator[place] = read(row, place, classes, argument)
    return indicator


def names_of(indicator: npt.NDArray[Any], names: Any) -> npt.NDArray[np.object_]:
    """Return the names of the classes of each row, as tuples; None for a row of NaN."""
    found = np.full(len(indicator), None, dtype=object)
    for row in np.flatnonzero(~nan_rows(np.asarray(indicator, dtype=np.float64))):
        pairs = zip(names, indicator[row], strict=True)
        found[row] = tuple(name for name, has in pairs if has)
    return found


def _rows(labels: Any, argument: str) -> list[Any]:
    """Return the rows of a matrix, or the entries of a column, None where missing."""
    if hasattr(labels, "toarray"):  # a sparse matrix
        labels = labels.toarray()
    if _is_matrix(labels):
        rows = list(np.asarray(labels))
    else:
        rows = column_entries(labels, argument)
    return [None if _is_unknown(row) else row for row in rows]


def _is_matrix(labels: Any) -> bool:
    """Return whether labels are a table with a column for each class."""
    return getattr(labels, "ndim", 1) == 2


def _is_unknown(row: Any) -> bool:
    """Return whether the labels of a text are not known."""
    if isinstance(row, _ROWS):
        return len(row) > 0 and all(map(is_missing, row))
    return is_missing(row)


def _are_flags(rows: list[Any]) -> bool:
    """Return whether rows are of one length and hold nothing but 0 and 1."""
    return (
        all(isinstance(row, _ROWS) for row in rows)
        and len({len(row) for row in rows}) == 1
        and all(_is_flag(value) for row in rows for value in row)
        and len(rows[0]) > 0
    )


def _is_flag(value: Any) -> bool:
    """Return whether a value says yes or no."""
    return isinstance(value, (int, float, np.number, np.bool_)) and value in (0, 1)


def _row_of_flags(
    row: Any, place: int, classes: Classes, argument: str
) -> npt.NDArray[Any]:
    """Return a row of 0 and 1, or raise if it is none."""
    if len(row) != len(classes) or not all(map(_is_flag, row)):
        raise InvalidParameterError(
            f"`{argument}` must hold 0 or 1 for each of the {len(classes)} classes "
            f"{shown(list(classes.names))}, or lists of names; got "
            f"{shown(np.asarray(row).tolist())} at row {place}. Give probabilities as "
            "`teacher_proba`."
        )
    return np.asarray(row, dtype=np.float64)


def _row_of_names(
    row: Any, place: int, classes: Classes, argument: str
) -> npt.NDArray[Any]:
    """Return names as a row of 0 and 1, or raise if one is no class."""
    if not isinstance(row, _COLLECTIONS):
        raise InvalidParameterError(
            f"`{argument}` must hold a list of class names for each text, an empty one "
            f"for a text of no class; got {shown(row)} ({type(row).__name__}) at row "
            f"{place}. Put a single name in a list: [{shown(row, 30)}]."
        )
    has = np.zeros(len(classes))
    for name in map(_plain, row):
        if isinstance(name, _COLLECTIONS) or name not in classes.names:
            raise InvalidParameterError(
                f"`{argument}` must hold names in `classes`, "
                f"{shown(list(classes.names))}; got {shown(name)} at row {place}."
            )
        has[classes.names.index(name)] = 1
    return has


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as the Python object it stands for."""
    return value.item() if isinstance(value, np.generic) else value


def tag_confidence(proba: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Return the confidence of each text: the smallest of those of its classes.

    That of a class is the larger of p and 1 - p, with the threshold moved to one half.
    """
    low, high = np.maximum(thresholds, 1e-12), np.maximum(1 - thresholds, 1e-12)
    has = proba >= thresholds
    moved = np.where(has, 1 - (1 - proba) / (2 * high), proba / (2 * low))
    confidence: FloatArray = np.maximum(moved, 1 - moved).min(axis=1)
    return confidence


def gold_tags(y: Any, names: Any) -> IntArray:
    """Return gold labels, several a text, as rows of 0 and 1; each text has its own."""
    tags = as_indicator(y, as_classes(Multilabel(list(names))), "y")
    missing = np.flatnonzero(nan_rows(tags))
    if len(missing):
        raise InvalidParameterError(
            "`y` must hold the gold labels of each text, an empty list of a text of no "
            f"class; got none at row {missing[0]}."
        )
    return tags.astype(np.int64)


def tags_accuracy(
    predicted: npt.NDArray[Any], y: Any, names: Any, sample_weight: Any
) -> float:
    """Return the share of the texts of which all classes are the gold labels."""
    gold = gold_tags(y, names)
    if len(gold) != len(predicted):
        raise InvalidParameterError(
            f"`y` must hold the labels of each of the {len(predicted)} texts; got "
            f"{len(gold)}."
        )
    is_right = (predicted == gold).all(axis=1)
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, len(is_right))
    return float(np.average(is_right, weights=sample_weight))
