"""Array types, and missing values in arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def is_missing(value: Any) -> bool:
    """Return whether a value stands for none: None, NaN or NA.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    bool
        Whether it is missing.
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def is_numeric_table(X: Any) -> bool:
    """Return whether an input is rows of numbers rather than texts.

    Parameters
    ----------
    X : object
        The input.

    Returns
    -------
    bool
        Whether it is an array with two dimensions and numbers in it.
    """
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "biuf"


def nan_rows(rows: FloatArray) -> BoolArray:
    """Return which rows hold a NaN: the texts without an answer.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_classes)
        Probabilities or log-probabilities.

    Returns
    -------
    ndarray of shape (n_rows,), bool
        Whether a row holds a NaN.
    """
    return np.asarray(np.isnan(rows).any(axis=1))
