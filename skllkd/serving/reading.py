"""Probabilities read as labels: the likeliest class, or all whose threshold they reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.classes import Multilabel, as_classes
from skllkd._core.tags import as_indicator, names_of, tag_confidence
from skllkd.serving.held_out import columns_of_labels, most_probable


@dataclass(frozen=True)
class Reading:
    """The labels and confidences of a classifier, and of its teacher.

    Labels are columns of the classes, -2 for none; where a text may have several
    classes, rows of 0 and 1, of -2 for none.
    """

    classes: npt.NDArray[Any]
    #: (n_classes,): of the classifier, where a text may have several classes
    thresholds: FloatArray | None = None

    @property
    def multilabel(self) -> bool:
        """Whether a text may have several classes."""
        return self.thresholds is not None

    def label(self, proba: FloatArray) -> IntArray:
        """Return the classifier's labels."""
        if self.thresholds is None:
            return np.asarray(proba.argmax(axis=1))
        return (proba >= self.thresholds).astype(np.int64)

    def confidence(self, proba: FloatArray) -> FloatArray:
        """Return the classifier's confidence of each text."""
        if self.thresholds is None:
            return np.asarray(proba.max(axis=1))
        return tag_confidence(proba, self.thresholds)

    def teacher_label(self, proba: FloatArray) -> IntArray:
        """Return the teacher's labels; none where it has no answer."""
        if self.thresholds is None:
            return most_probable(proba)
        has = (proba >= 0.5).astype(np.int64)
        return np.where(nan_rows(proba)[:, None], -2, has)

    def teacher_confidence(self, proba: FloatArray) -> FloatArray:
        """Return the teacher's confidence of each text, NaN where it has no answer."""
        if self.thresholds is None:
            return np.asarray(proba.max(axis=1))
        return tag_confidence(proba, np.full(len(self.classes), 0.5))

    def given_label(self, y: Any) -> IntArray:
        """Return the labels that are given; -1 for a class that is not known."""
        if self.thresholds is None:
            return columns_of_labels(y, self.classes)
        named = as_classes(Multilabel(self.classes.tolist()))
        tags = as_indicator(y, named, "y")
        return np.where(np.isnan(tags), -2, tags).astype(np.int64)

    def names(self, label: IntArray) -> npt.NDArray[Any]:
        """Return labels by their names; where a text may have several, as tuples."""
        if self.thresholds is None:
            named: npt.NDArray[Any] = self.classes[label]
            return named
        return names_of(label, self.classes.tolist())
