"""Accuracy estimated without gold labels.

Three figures speak of a teacher's accuracy, each from 0 for guessing to 1: its calibrated
confidence c; how often a model that was trained on the labels of other texts repeats its
label, o; and how often the class whose name is the closest to the text is the teacher's, n.
Confidence alone misleads, for a teacher may be sure and wrong, and so does agreement alone,
for a teacher's errors can be learned. Their geometric means tell the most. The constants
were fitted, and tried on sets that were left out, by `benchmarks/verdict.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skllkd._core.arrays import FloatArray, nan_rows
from skllkd._fitted import FittedState
from skllkd.refinement.answers import most_probable


class _Constants(NamedTuple):
    """Constants of an estimate; all are accuracies above guessing."""

    intercept: float
    first: float  # weight of sqrt(c o), or of c where it is all that is known
    second: float  # weight of sqrt(c n)
    below: float  # from the estimate to the ends of the interval
    above: float


#: Those of teacher and student: with all figures, without class names, by c alone.
_WITH_NAMES = (
    _Constants(-0.07, 0.58, 0.62, 0.26, 0.30),
    _Constants(0.03, 0.40, 0.39, 0.27, 0.37),
)
_WITHOUT_NAMES = (
    _Constants(-0.05, 0.98, 0.0, 0.30, 0.27),
    _Constants(0.04, 0.65, 0.0, 0.30, 0.40),
)
_CONFIDENCE_ALONE = (
    _Constants(0.09, 0.37, 0.0, 0.62, 0.40),
    _Constants(0.16, 0.20, 0.0, 0.37, 0.54),
)
#: The outcomes of a verdict, in words.
OUTCOMES = {
    "works": "this probably works",
    "doubtful": "it is doubtful whether this works",
    "does not work": "this probably does not work",
}
#: Agreement from which the teacher is the class names themselves.
SAME = 0.95


class Signals(NamedTuple):
    """Figures known without gold labels, 0 for guessing and 1 at most; None if unknown."""

    confidence: float | None = None  # None for labels without confidences
    out_of_fold: float | None = None
    class_names: float | None = None

    def __str__(self) -> str:
        """Return the figures in words."""
        parts = [
            ("confidence", self.confidence),
            ("agreement out of fold", self.out_of_fold),
            ("agreement with the class names", self.class_names),
        ]
        known = [f"{name} {value:.2f}" for name, value in parts if value is not None]
        return f"{', '.join(known) or 'nothing'} (0 is guessing, 1 is certainty)"


@dataclass(frozen=True)
class Estimate:
    """An accuracy and the interval that is to hold it in 95 % of the cases.

    Parameters
    ----------
    value, low, high : float
        The accuracy and the bounds, in [0, 1].

    Examples
    --------
    >>> from skllkd.inspection.estimate import Estimate
    >>> print(Estimate(0.62, 0.4, 0.85))
    62 % (40 % to 85 %)
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the accuracy with its interval."""
        parts = [f"{100 * part:.0f} %" for part in (self.value, self.low, self.high)]
        return "{} ({} to {})".format(*parts)


def signals_of(state: FittedState) -> Signals:
    """Return the figures that speak of the accuracy of a classifier's teacher."""
    agreements = {source.name: source.agreement for source in state.sources}
    names = agreements.get("class names")
    return Signals(
        confidence_above_guessing(state.teacher_proba),
        _repeated_out_of_fold(state),
        None if names is None else above_guessing(names, len(state.classes)),
    )


def _repeated_out_of_fold(state: FittedState) -> float | None:
    """Return Cohen's kappa of the teacher's labels and the predictions out of fold."""
    if state.out_of_fold is None:
        return None
    label = most_probable(state.teacher_proba)
    known = (label >= 0) & (state.out_of_fold >= 0)
    if not known.any():
        return None
    label, predicted = label[known], state.out_of_fold[known]
    shares = [
        np.bincount(some, minlength=len(state.classes)) / len(some)
        for some in (label, predicted)
    ]
    by_chance, agreement = (
        float(shares[0] @ shares[1]),
        float(np.mean(label == predicted)),
    )
    return (agreement - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0


def confidence_above_guessing(proba: FloatArray) -> float | None:
    """Return the mean confidence, 0 for guessing and 1 at most; None if there is none.

    Labels without confidences claim certainty everywhere, which says nothing.
    """
    highest = proba[~nan_rows(proba)].max(axis=1)
    if not len(highest) or highest.min() > 1 - 1e-6:
        return None
    return above_guessing(float(highest.mean()), proba.shape[1])


def tags_above_guessing(proba: FloatArray) -> float | None:
    """Return how much the probabilities of a class differ with the text, 0 to 1.

    It is the mean distance from the mean of the class over that of certain answers; the
    mean over the classes. None if all are certain, or there is no text.
    """
    known = proba[~nan_rows(proba)]
    if not len(known) or np.abs(known - 0.5).min() > 0.5 - 1e-6:
        return None
    share = known.mean(axis=0)
    distance = np.abs(known - share).mean(axis=0)
    return float(np.mean(distance / np.maximum(2 * share * (1 - share), 1e-12)))


def estimated(signals: Signals, n_classes: int) -> tuple[Estimate, Estimate]:
    """Return the accuracies of teacher and student that the figures suggest."""
    o, n = signals.out_of_fold, signals.class_names
    c = signals.confidence if signals.confidence is not None else max(0.0, o or 0.0)
    if n is not None and n > SAME:
        n = None
    if o is None:
        of_both, first, second = _CONFIDENCE_ALONE, c, 0.0
    else:
        of_both = _WITHOUT_NAMES if n is None else _WITH_NAMES
        first, second = np.sqrt(np.maximum(0, [c * o, c * (n or 0.0)]))
    chance = 1 / n_classes

    def estimate(of: _Constants) -> Estimate:
        skill = of.intercept + of.first * first + of.second * second
        around = np.array([skill, skill - of.below, skill + of.above])
        accuracy, low, high = np.clip(chance + (1 - chance) * around, 0, 1).tolist()
        return Estimate(max(chance, accuracy), low, high)

    teacher, student = map(estimate, of_both)
    return teacher, student


def above_guessing(share: float, n_classes: int) -> float:
    """Return an accuracy or agreement as 0 for guessing and 1 at most."""
    return (share - 1 / n_classes) / (1 - 1 / n_classes)
