"""Array types, missing values in arrays, and distributions."""

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


def normalise(log_prob: FloatArray, class_bias: FloatArray | None) -> FloatArray:
    """Turn log-probabilities less a bias into distributions; NaN rows stay NaN."""
    score = log_prob if class_bias is None else log_prob - class_bias
    proba: FloatArray = score - score.max(axis=1, keepdims=True)
    np.exp(proba, out=proba)  # in place: there may be millions of texts
    proba /= proba.sum(axis=1, keepdims=True)
    return proba
