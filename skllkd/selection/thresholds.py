"""Thresholds that move with training and adapt to each class."""

from __future__ import annotations

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray


class MovingAverage:
    """An exponential moving average of each of several quantities.

    Parameters
    ----------
    size : int
        How many quantities are averaged side by side.
    momentum : float
        The share of the old average kept at an update, in [0, 1).
    start : float or None
        The value before the first update; None corrects the bias instead, so that
        the first update already is the average.
    """

    def __init__(self, size: int, momentum: float, start: float | None) -> None:
        self.momentum = momentum
        self.sum = np.full(size, 0.0 if start is None else start)
        self.norm = np.full(size, 0.0 if start is None else 1.0)

    def update(self, place: int | slice | BoolArray, value: FloatArray | float) -> None:
        """Move quantities towards new observations.

        Parameters
        ----------
        place : int, slice or ndarray of bool
            Which quantities.
        value : float or ndarray
            The observations.
        """
        kept, added = self.momentum, 1 - self.momentum
        self.sum[place] = kept * self.sum[place] + added * value
        self.norm[place] = kept * self.norm[place] + added

    @property
    def value(self) -> FloatArray:
        """The averages; NaN where nothing was observed yet."""
        with np.errstate(invalid="ignore"):
            average: FloatArray = self.sum / self.norm
        return average


class AdaptiveThreshold:
    """One threshold a class on a signal, after FreeMatch and LLKD.

    With g the moving mean of the signal over batches and q(k) a moving class term,
    the threshold of class k is tau(k) = g * q(k) / max_j q(j). A class that has not
    been seen yet has threshold g: an absence is no evidence.

    Parameters
    ----------
    n_classes : int
        The number of classes.
    momentum : float
        The share of the old averages kept at an update, in [0, 1).
    start : float or None
        The averages before the first batch; None for bias correction. A class
        probability starts at 1 / n_classes where the signal starts anywhere.
    class_term : {"signal", "probability", None}
        What q(k) averages: the signal over the rows of class k, the mean
        probability of class k over the batch, or nothing (one global threshold).
    """

    def __init__(
        self,
        n_classes: int,
        momentum: float,
        start: float | None,
        class_term: str | None,
    ) -> None:
        self._class_term = class_term
        self._global = MovingAverage(1, momentum, start)
        if start is not None and class_term == "probability":
            start = 1 / n_classes
        self._per_class = MovingAverage(n_classes, momentum, start)

    def update(
        self, signal: FloatArray, label: IntArray, proba: FloatArray
    ) -> FloatArray:
        """Learn from a batch and return the thresholds after it.

        Parameters
        ----------
        signal : ndarray of shape (n_rows,)
            The signal of each row, in [0, 1].
        label : ndarray of shape (n_rows,), int
            The class each row counts for.
        proba : ndarray of shape (n_rows, n_classes)
            The distribution the signal came from.

        Returns
        -------
        ndarray of shape (n_classes,)
            The threshold of each class.
        """
        if len(signal):
            self._global.update(0, float(signal.mean()))
            if self._class_term == "signal":
                n_classes = len(self._per_class.sum)
                count = np.bincount(label, minlength=n_classes)
                total = np.bincount(label, weights=signal, minlength=n_classes)
                seen = count > 0  # absent classes keep their average
                self._per_class.update(seen, total[seen] / count[seen])
            elif self._class_term == "probability":
                self._per_class.update(slice(None), proba.mean(axis=0))
        return self.value

    def set_momentum(self, momentum: float) -> None:
        """Move more or less quickly from now on.

        Parameters
        ----------
        momentum : float
            The share of the old averages kept at an update, in [0, 1).
        """
        self._global.momentum = self._per_class.momentum = momentum

    @property
    def averages(self) -> FloatArray:
        """The moving averages' sums and norms, global and per class, in one array."""
        parts = (self._global.sum, self._global.norm)
        return np.concatenate([*parts, self._per_class.sum, self._per_class.norm])

    @averages.setter
    def averages(self, flat: FloatArray) -> None:
        self._global.sum, self._global.norm = flat[:1].copy(), flat[1:2].copy()
        self._per_class.sum, self._per_class.norm = np.split(flat[2:].copy(), 2)

    @property
    def value(self) -> FloatArray:
        """The threshold of each class; NaN before the first batch."""
        level = self._global.value
        term = self._per_class.value
        seen = np.isfinite(term)
        highest = term[seen].max(initial=0.0)
        if self._class_term is None or highest <= 0:
            return np.full(len(term), level[0])
        result: FloatArray = level * np.where(seen, term / highest, 1.0)
        return result


def reaches(signal: FloatArray, threshold: FloatArray) -> BoolArray:
    """Return which signals are above their threshold, ties included.

    The paper keeps a row *above* the threshold. Where every signal is the same (a
    teacher that gives labels without confidences, a student not yet trained) the
    mean is a tie for every row, and excluding ties would select nothing forever.

    Parameters
    ----------
    signal, threshold : ndarray of shape (n_rows,)
        The signal of each row and the threshold it is held against.

    Returns
    -------
    ndarray of shape (n_rows,), bool
        Whether the signal reaches the threshold, up to rounding.
    """
    above: BoolArray = signal >= threshold - 1e-9
    return above
