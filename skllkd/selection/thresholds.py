"""Moving thresholds that adapt to each class."""

from __future__ import annotations

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray


class MovingAverage:
    """Exponential moving averages of several quantities, with bias correction.

    The first observation already is the average; `momentum`, in [0, 1), is the share of
    the old average kept at an update.
    """

    def __init__(self, size: int, momentum: float) -> None:
        self.momentum = momentum
        self.sum = np.zeros(size)
        self.norm = np.zeros(size)

    def update(self, index: int | slice | IntArray, value: FloatArray | float) -> None:
        """Move the quantities at `index` towards new observations."""
        kept, added = self.momentum, 1 - self.momentum
        self.sum[index] = kept * self.sum[index] + added * value
        self.norm[index] = kept * self.norm[index] + added

    @property
    def value(self) -> FloatArray:
        """The averages; NaN where nothing was observed yet."""
        with np.errstate(invalid="ignore"):
            average: FloatArray = self.sum / self.norm
        return average

    @property
    def state(self) -> FloatArray:
        """The sums and the norms, (2, size)."""
        return np.stack([self.sum, self.norm])

    @state.setter
    def state(self, state: FloatArray) -> None:
        self.sum, self.norm = state.copy()


class AdaptiveThreshold:
    """One threshold for each class on a signal, after FreeMatch and LLKD.

    With g the moving mean of the signal over batches and q(k) a moving class term, the
    threshold of class k is tau(k) = g * q(k) / max_j q(j). `class_term` says what q(k)
    averages: the "signal" over the rows of class k, the mean "probability" of class k
    over the batch, or None for one global threshold. A class not seen yet has threshold
    g: an absence is no evidence.
    """

    def __init__(self, n_classes: int, momentum: float, class_term: str | None) -> None:
        self._class_term, self._n_classes = class_term, n_classes
        # Of the signal over all rows, g, and of the term of each class, q.
        self.averages = MovingAverage(1 + n_classes, momentum)

    def update(
        self, signal: FloatArray, label: IntArray, proba: FloatArray
    ) -> FloatArray:
        """Update the averages with a batch; return the thresholds after it.

        `signal` in [0, 1] and `label` have a value for each row; `proba` is the
        distribution the signal was computed from.
        """
        if len(signal):
            self.averages.update(0, float(signal.mean()))
            if self._class_term == "signal":
                count = np.bincount(label, minlength=self._n_classes)
                total = np.bincount(label, weights=signal, minlength=self._n_classes)
                seen = np.flatnonzero(count)  # absent classes keep their average
                self.averages.update(1 + seen, total[seen] / count[seen])
            elif self._class_term == "probability":
                self.averages.update(slice(1, None), proba.mean(axis=0))
        return self.value

    @property
    def value(self) -> FloatArray:
        """The threshold of each class; NaN before the first batch."""
        level, term = np.split(self.averages.value, [1])
        seen = np.isfinite(term)
        highest = term[seen].max(initial=0.0)
        if self._class_term is None or highest <= 0:
            return np.full(len(term), level[0])
        return level * np.where(seen, term / highest, 1.0)


def reaches(signal: FloatArray, threshold: FloatArray) -> BoolArray:
    """Return whether each signal is above its threshold, ties included.

    The paper keeps a row *above* the threshold. Where every signal is the same (a
    teacher that gives labels without confidences, a student not yet trained) the mean is
    a tie for every row, and excluding ties would select nothing forever.
    """
    return signal >= threshold - 1e-9
