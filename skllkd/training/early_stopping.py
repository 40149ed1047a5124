"""Early stopping on the agreement with the teacher on held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray
from skllkd.students import Student
from skllkd.training.schedule import Schedule
from skllkd.training.thresholds import best_threshold

#: The smallest gain in agreement that counts as better.
_TOLERANCE = 1e-4


class EarlyStopping:
    """Holds rows out of training, and keeps the student that agrees most on them."""

    def __init__(
        self,
        student: Student,
        teacher_proba: FloatArray,
        schedule: Schedule,
        multilabel: bool = False,
    ) -> None:
        self._student, self._teacher_proba = student, teacher_proba
        self._multilabel = multilabel
        self._batch_size, self._patience = schedule.batch_size, schedule.patience
        n_rows = len(teacher_proba)
        n_held_out = int(np.ceil(schedule.validation_fraction * n_rows))
        n_held_out = min(n_held_out, n_rows - 1)  # at least one row to train on
        self._rows = schedule.random_state.permutation(n_rows)[:n_held_out]
        self._is_held_out = np.zeros(n_rows, dtype=bool)
        self._is_held_out[self._rows] = True
        #: After each epoch; empty if nothing is held out.
        self.agreement: list[float] = []
        self._best: Any = None

    @property
    def training_rows(self) -> IntArray:
        """The rows that are not held out."""
        return np.flatnonzero(~self._is_held_out)

    def without_held_out(self, batches: list[IntArray]) -> list[IntArray]:
        """Remove the held-out rows from batches, and batches left empty."""
        if not len(self._rows):
            return batches
        kept = [rows[~self._is_held_out[rows]] for rows in batches]
        return [rows for rows in kept if len(rows)]

    def measure(self) -> None:
        """Measure the agreement with the teacher, and remember the best student."""
        if not len(self._rows):
            return
        agreement = self._agreement()
        if agreement > max(self.agreement, default=-1.0) + _TOLERANCE:
            self._best = self._student.snapshot()
        self.agreement.append(agreement)

    def _agreement(self) -> float:
        """Return the teacher's mean probability of the class predicted.

        Of several classes a text, the micro-F1 expected at the best threshold: at any
        fixed one, a student that still has no class for any text would not be seen to
        learn.
        """
        size = self._batch_size
        student_proba = np.concatenate(
            [
                self._student.predict_rows(self._rows[i : i + size])
                for i in range(0, len(self._rows), size)
            ]
        )
        proba = self._teacher_proba[self._rows]
        if self._multilabel:
            return best_threshold(student_proba.ravel(), proba.ravel())[1]
        chosen = student_proba.argmax(axis=1)
        return float(proba[np.arange(len(proba)), chosen].mean())

    @property
    def has_stalled(self) -> bool:
        """Whether the last epochs brought no gain."""
        recent = self.agreement[-self._patience :]
        before = self.agreement[: -self._patience]
        return bool(before) and max(recent) <= max(before) + _TOLERANCE

    def restore_best(self) -> None:
        """Return the student to its highest agreement."""
        if self._best is not None:
            self._student.restore(self._best)
