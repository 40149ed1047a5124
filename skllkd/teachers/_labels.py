"""What a teacher returns: a distribution over the classes for every text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from skllkd._validation import BoolArray, FloatArray, nan_rows
from skllkd.teachers._calibration import normalise


@dataclass(frozen=True)
class TeacherLabels:
    """A teacher's answers for a list of texts.

    Parameters
    ----------
    classes : tuple
        The class names, in the order of the columns.
    log_prob : ndarray of shape (n_texts, n_classes)
        The raw log-probability of each class, in nats and before any calibration;
        NaN rows where the teacher gave no usable answer.
    label_mass : ndarray of shape (n_texts,)
        The probability the model put on any of the labels before renormalising,
        in [0, 1]: a model that wants to say something else altogether shows here.
        NaN where it is not known.
    class_bias : ndarray of shape (n_classes,) or None
        What calibration subtracts from `log_prob`, in nats; None for nothing.
    n_asked : int
        How many texts the model was asked about for this, those without content that
        contextual calibration needs included.
    n_reused : int
        How many texts have an answer that needed no call: stored before, or repeats.
    n_blank : int
        How many texts were empty or white space and so never asked about.
    n_truncated : int
        How many of the texts asked about were longer than the model's window.
    seconds : float
        The wall time of the asking, in seconds.
    """

    classes: tuple[Any, ...]
    log_prob: FloatArray
    label_mass: FloatArray
    class_bias: FloatArray | None = None
    n_asked: int = 0
    n_reused: int = 0
    n_blank: int = 0
    n_truncated: int = 0
    seconds: float = field(default=0.0, compare=False)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.log_prob)

    @property
    def proba(self) -> FloatArray:
        """The calibrated distribution of each text, NaN rows where missing."""
        return normalise(self.log_prob, self.class_bias)

    @property
    def raw_proba(self) -> FloatArray:
        """The distribution of each text before calibration."""
        return normalise(self.log_prob, None)

    @property
    def missing(self) -> BoolArray:
        """Which texts have no usable answer."""
        return nan_rows(self.log_prob)
