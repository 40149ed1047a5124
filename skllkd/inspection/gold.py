"""Gold labels that a classifier is judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import IntArray, nan_rows
from skllkd._core.classes import Multilabel, as_classes
from skllkd._core.params import shown
from skllkd._core.tags import as_indicator
from skllkd._core.texts import column_entries
from skllkd.exceptions import InvalidParameterError


def check_gold(y: Any, classes: npt.NDArray[Any], all_known: bool) -> None:
    """Raise if gold labels are no classes: an accuracy of 0 would hide the mistake.

    Where the classes are those of the labels of `fit`, others may be new: then only if
    none of the labels is a class.
    """
    if getattr(y, "ndim", 1) != 1:
        return  # scikit-learn says what is wrong
    labels, names = column_entries(y, "y"), set(classes.tolist())
    foreign = [label for label in labels if label not in names]
    if foreign and (all_known or len(foreign) == len(labels)):
        raise InvalidParameterError(
            f"`y` must hold labels in the classes {shown(sorted(names, key=str), 100)}; "
            f"{len(foreign):,} of {len(labels):,} are none, as {foreign[0]!r} "
            f"({type(foreign[0]).__name__}). Use the names as they are in `classes`."
        )


def gold_tags(y: Any, classes: npt.NDArray[Any]) -> IntArray:
    """Return gold labels, several a text, as rows of 0 and 1; each text has its own."""
    names = as_classes(Multilabel(classes.tolist()))
    tags = as_indicator(y, names, "y")
    missing = np.flatnonzero(nan_rows(tags))
    if len(missing):
        raise InvalidParameterError(
            "`y` must hold the gold labels of each text, an empty list of a text of no "
            f"class; got none at row {missing[0]}."
        )
    return tags.astype(np.int64)
