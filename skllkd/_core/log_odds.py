"""Probabilities of yes or no, as logarithms: exact also where one is nearly certain."""

from __future__ import annotations

import numpy as np

from skllkd._core.arrays import FloatArray


def log_complement(log_prob: FloatArray) -> FloatArray:
    """Return log(1 - p) of log p."""
    with np.errstate(divide="ignore"):
        near_one = np.log(-np.expm1(log_prob))
        complement: FloatArray = np.where(
            log_prob > -0.5, near_one, np.log1p(-np.exp(log_prob))
        )
    return complement


def log_odds(log_prob: FloatArray) -> FloatArray:
    """Return log(p / (1 - p)) of log p; infinite where p is 0 or 1."""
    return log_prob - log_complement(log_prob)


def log_prob_of_odds(odds: FloatArray) -> FloatArray:
    """Return log p of log(p / (1 - p))."""
    with np.errstate(invalid="ignore"):  # no answer stays none
        # As scipy's log_expit, which takes half a second to import.
        log_prob: FloatArray = -np.logaddexp(0.0, -odds)
    return log_prob


def yes_no_columns(log_prob: FloatArray) -> FloatArray:
    """Return log(1 - p) and log p of log p, as two columns: no and yes."""
    return np.column_stack([log_complement(log_prob), log_prob])
