"""Out-of-fold predictions from labels that may be wrong, in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray
from skllkd.students import Student

#: Inverse strength of the ridge of the linear model, on features of variance 1.
_C = 0.01
#: Texts a step when a student is trained.
_BATCH_SIZE = 128


def folds_of(texts: Any, n_folds: int, seed: int) -> IntArray:
    """Return the fold of each text, in [0, n_folds); equal texts share theirs.

    A copy of a text in another fold would repeat the label of the first.
    """
    n_texts = len(texts)
    group = np.arange(n_texts)
    if not isinstance(texts, np.ndarray):
        first: dict[str, int] = {}
        group = np.array([first.setdefault(text, len(first)) for text in texts])
    fold = np.arange(group.max() + 1) % n_folds
    np.random.RandomState(seed).shuffle(fold)
    return np.asarray(fold[group])


def linear_proba(
    features: Any, label: IntArray, weight: FloatArray, fold: IntArray, n_classes: int
) -> FloatArray:
    """Return out-of-fold distributions of a logistic regression on features.

    Rows with the label -1 are predicted and not trained on. Where the other folds hold
    fewer than two classes the rows are NaN.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import

    features = (features - features.mean(axis=0)) / (features.std() or 1)
    proba = np.full((len(label), n_classes), np.nan)
    for test in range(fold.max() + 1):
        train = np.flatnonzero((fold != test) & (label >= 0) & (weight > 0))
        if len(np.unique(label[train])) < 2:
            continue
        model = LogisticRegression(C=_C)
        model.fit(features[train], label[train], sample_weight=weight[train])
        rows = np.flatnonzero(fold == test)
        proba[rows] = 0
        proba[np.ix_(rows, model.classes_)] = model.predict_proba(features[rows])
    return proba


def student_proba(
    student: Student,
    n_epochs: int,
    label: IntArray,
    weight: FloatArray,
    fold: IntArray,
    n_classes: int,
    seed: int,
) -> FloatArray:
    """Return out-of-fold distributions of a student that has begun to fit its pool."""
    one_hot, start = np.eye(n_classes), student.snapshot()
    rng = np.random.RandomState(seed)
    proba = np.full((len(label), n_classes), np.nan)
    for test in range(fold.max() + 1):
        train = np.flatnonzero((fold != test) & (label >= 0) & (weight > 0))
        if len(np.unique(label[train])) < 2:
            continue
        student.restore(start)
        starts = range(0, len(train), _BATCH_SIZE)
        for epoch in range(n_epochs):
            order = rng.permutation(train)
            for i, first in enumerate(starts):
                rows = order[first : first + _BATCH_SIZE]
                progress = (epoch + (i + 1) / len(starts)) / n_epochs
                student.train_step(rows, one_hot[label[rows]], weight[rows], progress)
        rows = np.flatnonzero(fold == test)
        proba[rows] = student.predict_rows(rows)
    return proba
