"""Scores of predictions against gold labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray
from skllkd._core.intervals import wilson_interval
from skllkd._core.labels import gold_entries, label_entries
from skllkd.inspection.displays import ReliabilityDisplay
from skllkd.inspection.evaluation import ClassScores, Evaluation, Rival
from skllkd.refinement.gold import Accuracy

#: Number of resamples of the texts for the interval of macro-F1.
N_RESAMPLES = 1000
#: Shares of the texts, the most confident first, at which the accuracy is given.
_COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def evaluate_predictions(
    classes: Any,
    proba: FloatArray,
    gold: Any,
    rivals: dict[str, Any] | None = None,
    cost: dict[str, float] | None = None,
) -> Evaluation:
    """Evaluate predictions against gold labels.

    Parameters
    ----------
    classes : sequence of shape (n_classes,)
        The class names, in the order of the columns.
    proba : ndarray of shape (n_texts, n_classes)
        The predicted distributions.
    gold : sequence of shape (n_texts,)
        The gold labels.
    rivals : dict of str to sequence, optional
        Labels of others for the same texts by their name, None where there is none.
    cost : dict of str to float, optional
        Measured costs.

    Returns
    -------
    Evaluation
        The scores.

    Raises
    ------
    InvalidParameterError
        If a gold label is no class, or a text has none.
    """
    names = list(np.asarray(classes).tolist())
    columns = _columns(gold, names, len(proba))
    predicted, confidence = proba.argmax(axis=1), proba.max(axis=1)
    is_right = predicted == columns
    others = {
        "the most frequent class": [names[np.bincount(columns).argmax()]] * len(proba)
    }
    confusion = _confusion(columns, predicted, len(names))
    return Evaluation(
        classes=names,
        accuracy=Accuracy(len(columns), int(is_right.sum())),
        macro_f1=_macro_f1(confusion),
        macro_f1_interval=_macro_f1_interval(columns, predicted, len(names)),
        per_class=[_class_scores(confusion, k, name) for k, name in enumerate(names)],
        confusion=confusion,
        confidence=confidence,
        is_right=is_right,
        calibration_error=calibration_error(confidence, is_right),
        coverage=coverage_of(confidence, is_right),
        rivals=[
            _rival(name, labels, names, columns, is_right)
            for name, labels in (others | (rivals or {})).items()
        ],
        cost=cost or {},
    )


def _columns(gold: Any, names: list[Any], n_texts: int) -> IntArray:
    """Return the column of each gold label, or raise if one is no class."""
    labels = gold_entries(gold, names, n_texts)
    place = {name: k for k, name in enumerate(names)}
    return np.array([place[label] for label in labels])


def _confusion(gold: IntArray, predicted: IntArray, n_classes: int) -> IntArray:
    """Return the number of texts of each class that are predicted as each."""
    pairs = np.bincount(gold * n_classes + predicted, minlength=n_classes**2)
    return pairs.reshape(n_classes, n_classes)


def _class_scores(confusion: IntArray, k: int, name: Any) -> ClassScores:
    """Return the scores of a class."""
    n_right, n_texts, n_predicted = (
        int(n) for n in (confusion[k, k], confusion[k].sum(), confusion[:, k].sum())
    )
    return counted_scores(name, n_right, n_texts, n_predicted)


def counted_scores(
    name: Any, n_right: int, n_texts: int, n_predicted: int
) -> ClassScores:
    """Return the scores of a class of its counts."""
    nan = float("nan")
    return ClassScores(
        name=name,
        n_texts=n_texts,
        n_predicted=n_predicted,
        precision=n_right / n_predicted if n_predicted else nan,
        recall=n_right / n_texts if n_texts else nan,
        f1=2 * n_right / (n_texts + n_predicted) if n_texts + n_predicted else nan,
        precision_interval=wilson_interval(n_right, n_predicted),
        recall_interval=wilson_interval(n_right, n_texts),
    )


def _macro_f1(confusion: IntArray) -> float:
    """Return the mean F1 over the classes that occur or are predicted."""
    sizes = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(2 * np.diag(confusion)[sizes > 0] / sizes[sizes > 0]))


def _macro_f1_interval(
    gold: IntArray, predicted: IntArray, n_classes: int
) -> tuple[float, float]:
    """Return the 95 % interval of macro-F1, by the bootstrap."""
    rng = np.random.RandomState(0)
    found = []
    for _ in range(N_RESAMPLES):
        rows = rng.randint(len(gold), size=len(gold))
        found.append(_macro_f1(_confusion(gold[rows], predicted[rows], n_classes)))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def calibration_error(confidence: FloatArray, is_right: BoolArray) -> float:
    """Return the mean distance of probability and share, as `ReliabilityDisplay` does."""
    display = ReliabilityDisplay({"student": (confidence, is_right)})
    return display.calibration_error("student")


def coverage_of(
    confidence: FloatArray, is_right: BoolArray
) -> list[tuple[float, float, float]]:
    """Return the accuracy on the most confident texts, for shares of all."""
    order = np.argsort(-confidence, kind="stable")
    sizes = sorted({max(1, round(share * len(order))) for share in _COVERAGES})
    return [
        (
            n / len(order),
            float(confidence[order[n - 1]]),
            float(np.mean(is_right[order[:n]])),
        )
        for n in reversed(sizes)
    ]


def _rival(
    name: str, labels: Any, names: list[Any], gold: IntArray, is_right: BoolArray
) -> Rival:
    """Return the accuracy of another's labels, and the lead over it."""
    given = label_entries(labels, "teacher_labels")
    known = np.array([label is not None for label in given])
    right = np.array([label == names[k] for label, k in zip(given, gold, strict=True)])
    accuracy = Accuracy(int(known.sum()), int(right[known].sum()))
    return Rival(name, accuracy, *lead_over(is_right[known], right[known]))


def lead_over(
    is_right: BoolArray, other: BoolArray
) -> tuple[float, tuple[float, float]]:
    """Return the lead in accuracy over another, with its interval; NaN of no text."""
    if not len(is_right):
        nothing = float("nan")
        return nothing, (nothing, nothing)
    differences = is_right.astype(float) - other
    lead = float(differences.mean())
    error = float(1.96 * differences.std() / np.sqrt(len(differences)))
    return lead, (lead - error, lead + error)
