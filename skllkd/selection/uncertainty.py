"""Uncertainty of a distribution."""

from __future__ import annotations

import numpy as np

from skllkd._core.arrays import FloatArray


def normalised_entropy(proba: FloatArray) -> FloatArray:
    """Return the entropy of each row divided by log(n_classes), in [0, 1]."""
    entropy_nats = -(proba * np.log(np.maximum(proba, 1e-12))).sum(axis=1)
    share: FloatArray = entropy_nats / np.log(proba.shape[1])
    return np.clip(share, 0.0, 1.0)
