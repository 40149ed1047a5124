"""Check of sample weights."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from skllkd._core.arrays import FloatArray
from skllkd._core.params import shown
from skllkd.exceptions import InvalidParameterError


def check_sample_weight(value: Any, n_texts: int) -> FloatArray:
    """Return a weight for each text, or raise unless they are that."""
    try:
        if isinstance(value, (Number, np.number)):
            raise ValueError(f"got {shown(value)}")
        weight: FloatArray = _check_sample_weight(
            value, np.empty((n_texts, 1)), dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():  # which scikit-learn refuses from 1.9 on
            raise ValueError("all are 0")
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"`sample_weight` must hold a number of at least 0 for each of the {n_texts} "
            f"texts, not all 0: {error}"
        ) from error
    return weight
