"""Scores of labels that need no gold label."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray

_N_FOLDS = 5
#: Lowest probability that a label is predicted with.
_FLOOR = 1e-3


def agreement(proba: FloatArray, by_name: IntArray | None, known: IntArray) -> float:
    """Return Cohen's kappa of labels with those by class names; NaN without any."""
    from sklearn.metrics import confusion_matrix

    if by_name is None or not len(known):
        return math.nan
    labels = np.arange(proba.shape[1])
    counts = confusion_matrix(proba.argmax(axis=1), by_name[known], labels=labels)
    joint = counts / counts.sum()
    by_chance = joint.sum(axis=0) @ joint.sum(axis=1)
    if by_chance == 1:  # all of one class
        return 0.0
    return float((np.trace(joint) - by_chance) / (1 - by_chance))


def predictability(proba: FloatArray, features: Any) -> float:
    r"""Return how much of the labels a linear model predicts; 1 for all, 0 for nothing.

    The information about the labels that a linear model finds in the features, out of
    fold: :math:`\sum_i \log(p_{-i}(y_i \mid x_i) / p(y_i)) / (n \log C)`. It is
    predictive V-information (Xu et al. 2020, arXiv:2002.10689) over its upper bound.
    """
    n_classes = proba.shape[1]
    if len(proba) < _N_FOLDS:
        return 0.0
    label: IntArray = proba.argmax(axis=1)
    share = np.bincount(label, minlength=n_classes) / len(label)
    predicted = _out_of_fold(label, features, n_classes)
    rows = np.arange(len(label))
    information = np.log(predicted[rows, label]) - np.log(share[label])
    return float(information.mean() / np.log(n_classes))


def _out_of_fold(label: IntArray, features: Any, n_classes: int) -> FloatArray:
    """Predict the distribution of each label by a linear model that has not seen it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold

    predicted = np.full((len(label), n_classes), _FLOOR)
    folds = KFold(_N_FOLDS, shuffle=True, random_state=0)
    for learn, held_out in folds.split(label):
        known = np.unique(label[learn])
        if len(known) == 1:
            predicted[held_out, known[0]] = 1.0
            continue
        model = LogisticRegression(C=10.0, max_iter=1000)
        model.fit(features[learn], label[learn])
        proba = np.maximum(model.predict_proba(features[held_out]), _FLOOR)
        predicted[np.ix_(held_out, known)] = proba
    normalised: FloatArray = predicted / predicted.sum(axis=1, keepdims=True)
    return normalised
