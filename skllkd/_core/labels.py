"""Labels of texts, read from any column of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import column_or_1d

from skllkd._core.arrays import is_missing
from skllkd._core.params import shown
from skllkd._core.sample_weight import check_sample_weight
from skllkd._core.texts import column_entries, only_column
from skllkd.exceptions import InvalidParameterError


def label_entries(y: Any, name: str) -> list[Any]:
    """Return labels as strings, integers or booleans, None for none; named errors else.

    A gap turns a column of integers into floats: whole numbers are integers again.
    """
    labels = [_plain(label) for label in column_entries(_one_column(y, name), name)]
    for row, label in enumerate(labels):
        if not isinstance(label, (str, int, float, type(None))):
            raise InvalidParameterError(
                f"`{name}` must hold one label a text, a string or a whole number; got "
                f"{shown(label)} ({type(label).__name__}) at row {row}."
            )
    labels = _whole_numbers(labels, name)
    kinds = sorted({type(label).__name__ for label in labels} - {"NoneType"})
    if len(kinds) > 1:
        raise InvalidParameterError(
            f"`{name}` must hold labels of one type; got {' and '.join(kinds)} in "
            f"{shown(labels[:10])}."
        )
    return labels


def gold_entries(
    y: Any, names: list[Any], n_texts: int, *, all_known: bool = True, name: str = "y"
) -> list[Any]:
    """Return gold labels, checked: an accuracy of 0 would hide a mistake in them.

    Where the classes are those of the labels of `fit`, others may be new: then it is
    an error only if none of the labels is a class.
    """
    labels, known = label_entries(y, name), set(names)
    if len(labels) != n_texts or not labels:
        raise InvalidParameterError(
            f"`{name}` must hold a label for each of the {n_texts} texts; got "
            f"{len(labels)}."
        )
    if None in labels:
        raise InvalidParameterError(
            f"`{name}` must hold a label for each text; got None at row "
            f"{labels.index(None)}. Leave such texts out."
        )
    foreign = [label for label in labels if label not in known]
    other_type = any(type(label) is not type(names[0]) for label in foreign)
    if foreign and (all_known or other_type or len(foreign) == len(labels)):
        raise InvalidParameterError(
            f"`{name}` must hold labels in the classes "
            f"{shown(sorted(names, key=str), 100)}; {len(foreign):,} of {len(labels):,} "
            f"are none, as {foreign[0]!r} ({type(foreign[0]).__name__}). Use the names "
            "as they are in `classes`."
        )
    return labels


def gold_accuracy(
    predicted: npt.NDArray[Any],
    y: Any,
    classes: npt.NDArray[Any],
    sample_weight: Any,
    *,
    all_known: bool,
) -> float:
    """Return the share of predictions that are the gold labels."""
    gold = gold_entries(y, classes.tolist(), len(predicted), all_known=all_known)
    pairs = zip(predicted.tolist(), gold, strict=True)
    is_right = [found == label for found, label in pairs]
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, len(is_right))
    return float(np.average(is_right, weights=sample_weight))


def _one_column(y: Any, name: str) -> Any:
    """Return a column of labels, the only one of a table too."""
    shape = getattr(y, "shape", None)
    if isinstance(y, (str, bytes)) or shape == ():
        raise InvalidParameterError(
            f"`{name}` must be a column of labels, one a text; got {shown(y)}."
        )
    if getattr(y, "ndim", 1) != 1:
        try:
            return column_or_1d(y, warn=True)
        except (TypeError, ValueError) as error:
            raise InvalidParameterError(
                f"`{name}` must be one column of labels: {error}"
            ) from error
    return only_column(y)


def _plain(label: Any) -> Any:
    """Return a label as the Python object it stands for, None for a missing one."""
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, str):
        return str.__str__(label)  # of an enumeration, too
    if isinstance(label, int) and not isinstance(label, bool):
        return int(label)
    return None if is_missing(label) else label


def _whole_numbers(labels: list[Any], name: str) -> list[Any]:
    """Return labels with 1.0 as 1; raise for a number that is not whole."""
    numbers = [label for label in labels if isinstance(label, float)]
    broken = [number for number in numbers if not number.is_integer()]
    if broken:
        raise InvalidParameterError(
            f"Unknown label type: continuous. `{name}` must hold class labels; got "
            f"numbers that are not whole, as {broken[0]!r}."
        )
    if not numbers:
        return labels
    return [int(label) if isinstance(label, float) else label for label in labels]
