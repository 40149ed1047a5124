"""Array types, and missing values in arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
#: Weights of a network, by name.
Weights = dict[str, Float32Array]


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN or NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def is_numeric_table(X: Any) -> bool:
    """Return whether an input is rows of numbers rather than texts."""
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "biuf"


def nan_rows(rows: FloatArray) -> BoolArray:
    """Return the mask of rows that hold a NaN: texts without an answer."""
    return np.asarray(np.isnan(rows).any(axis=1))
