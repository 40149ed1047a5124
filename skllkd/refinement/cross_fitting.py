"""Out-of-fold predictions from labels that may be wrong, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.progress import progress_bar
from skllkd.students import SklearnStudent, Student

#: From rows to train on and rows to predict to the distributions of the latter.
FitPredict = Callable[[IntArray, IntArray], FloatArray]

#: Inverse strength of the ridge of the linear model, on features of variance 1.
_C = 0.01
#: Texts a step when a student is trained.
_BATCH_SIZE = 128
#: The same for scikit-learn's classifiers: a step costs them more than its rows do.
_BATCH_SIZE_OF_SKLEARN = 1024
#: The largest number of texts that a model is trained on.
_MOST_TEXTS = 50_000


def folds_of(texts: Any, n_folds: int, seed: int) -> IntArray:
    """Return the fold of each text, in [0, n_folds); equal texts share theirs.

    A copy of a text in another fold would repeat the label of the first.
    """
    group = np.arange(len(texts))
    if not isinstance(texts, np.ndarray):
        first: dict[str, int] = {}
        group = np.array([first.setdefault(text, len(first)) for text in texts])
    fold = np.arange(group.max() + 1) % n_folds
    np.random.RandomState(seed).shuffle(fold)
    return np.asarray(fold[group])


def out_of_fold(
    fit_predict: FitPredict,
    label: IntArray,
    weight: FloatArray,
    fold: IntArray,
    n_classes: int,
    seed: int,
    verbose: int = 0,
) -> FloatArray:
    """Return distributions of each text by a model trained on the other folds.

    Rows with the label -1 or of weight 0 are predicted and not trained on. Where the
    other folds hold fewer than two classes the rows are NaN.
    """
    rng = np.random.RandomState(seed)
    proba = np.full((len(label), n_classes), np.nan)
    with progress_bar(len(label), "refinement", "text", verbose) as bar:
        for test in range(fold.max() + 1):
            rows = np.flatnonzero(fold == test)
            train = np.flatnonzero((fold != test) & (label >= 0) & (weight > 0))
            train = np.sort(rng.permutation(train)[:_MOST_TEXTS])
            if len(np.unique(label[train])) > 1:
                proba[rows] = fit_predict(train, rows)
            bar.update(len(rows))
    return proba


def by_linear_model(
    features: npt.NDArray[np.float32],
    label: IntArray,
    weight: FloatArray,
    n_classes: int,
) -> FitPredict:
    """Return a function that trains a logistic regression on features and predicts."""
    from sklearn.linear_model import LogisticRegression  # slow to import

    mean, scale = features.mean(axis=0), features.std() or 1

    def fit_predict(train: IntArray, rows: IntArray) -> FloatArray:
        model = LogisticRegression(C=_C)
        scaled = (features[train] - mean) / scale
        model.fit(scaled, label[train], sample_weight=weight[train])
        proba = np.zeros((len(rows), n_classes))
        proba[:, model.classes_] = model.predict_proba((features[rows] - mean) / scale)
        return proba

    return fit_predict


def by_student(
    student: Student,
    n_epochs: int,
    label: IntArray,
    weight: FloatArray,
    n_classes: int,
    seed: int,
) -> FitPredict:
    """Return a function that trains a student, which has begun to fit, and predicts."""
    one_hot, start = np.eye(n_classes), student.snapshot()
    rng = np.random.RandomState(seed)
    is_sklearn = isinstance(student, SklearnStudent)
    batch_size = _BATCH_SIZE_OF_SKLEARN if is_sklearn else _BATCH_SIZE

    def fit_predict(train: IntArray, rows: IntArray) -> FloatArray:
        student.restore(start)
        starts = range(0, len(train), batch_size)
        for epoch in range(n_epochs):
            order = rng.permutation(train)
            for i, first in enumerate(starts):
                some = order[first : first + batch_size]
                progress = (epoch + (i + 1) / len(starts)) / n_epochs
                student.train_step(some, one_hot[label[some]], weight[some], progress)
        proba = student.predict_rows(rows)
        student.restore(start)  # the next labels must not start from what these taught
        return proba

    return fit_predict
