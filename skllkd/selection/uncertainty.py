"""How unsure a distribution is."""

from __future__ import annotations

import numpy as np

from skllkd._core.arrays import FloatArray


def normalised_entropy(proba: FloatArray) -> FloatArray:
    """Return the entropy of each distribution as a share of the largest possible.

    Parameters
    ----------
    proba : ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1.

    Returns
    -------
    ndarray of shape (n_rows,)
        The entropies divided by log(n_classes), in [0, 1].
    """
    entropy_nats = -(proba * np.log(np.maximum(proba, 1e-12))).sum(axis=1)
    share: FloatArray = entropy_nats / np.log(proba.shape[1])
    return np.clip(share, 0.0, 1.0)


def least_confident(proba: FloatArray) -> FloatArray:
    """Return what the likeliest class lacks, as a share of the most it can lack.

    Parameters
    ----------
    proba : ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1.

    Returns
    -------
    ndarray of shape (n_rows,)
        (1 - max p) C / (C - 1), in [0, 1].
    """
    n_classes = proba.shape[1]
    lacks: FloatArray = (
        (1 - proba.max(axis=1, initial=0.0)) * n_classes / (n_classes - 1)
    )
    return np.clip(lacks, 0.0, 1.0)


def margin(proba: FloatArray) -> FloatArray:
    """Return one minus the distance between the two likeliest classes.

    Parameters
    ----------
    proba : ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1.

    Returns
    -------
    ndarray of shape (n_rows,)
        1 - (p_1 - p_2), in [0, 1].
    """
    second, first = np.partition(proba, -2, axis=1)[:, -2:].T
    unsure: FloatArray = 1 - (first - second)
    return np.clip(unsure, 0.0, 1.0)


MEASURES = {
    "entropy": normalised_entropy,
    "least_confident": least_confident,
    "margin": margin,
}


def uncertainty_of(proba: FloatArray, measure: str) -> FloatArray:
    """Return how unsure each distribution is, by a measure.

    Parameters
    ----------
    proba : ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1.
    measure : {"entropy", "least_confident", "margin"}
        The measure.

    Returns
    -------
    ndarray of shape (n_rows,)
        The uncertainties, in [0, 1].
    """
    return MEASURES[measure](proba)
