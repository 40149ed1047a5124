"""Arrays in and out of a selection strategy: pool, batch and decision."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray


class _TeacherSignals:
    """Quantities computed from `teacher_proba` when they are first needed."""

    teacher_proba: FloatArray

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return int(self.teacher_proba.shape[1])

    @cached_property
    def pseudo_label(self) -> IntArray:
        """The teacher's most likely class of each row, in [0, n_classes)."""
        label: IntArray = self.teacher_proba.argmax(axis=1)
        return label

    @cached_property
    def teacher_confidence(self) -> FloatArray:
        """The teacher's largest probability of each row, in [0, 1]."""
        confidence: FloatArray = self.teacher_proba.max(axis=1)
        return confidence


@dataclass(frozen=True)
class Pool(_TeacherSignals):
    """The rows a student is about to be trained on.

    Its properties `n_classes`, `pseudo_label` and `teacher_confidence` are computed
    from `teacher_proba`.

    Parameters
    ----------
    teacher_proba : ndarray of shape (n_rows, n_classes)
        The teacher's distribution for every row, rows summing to 1.
    student_proba : ndarray of shape (n_rows, n_classes) or None
        Out-of-fold predictions for every row, by students trained on the other folds;
        None unless the strategy asks for them (`Selection.n_folds`).

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Pool
    >>> Pool(np.array([[0.9, 0.1], [0.4, 0.6]])).pseudo_label
    array([0, 1])
    """

    teacher_proba: FloatArray
    student_proba: FloatArray | None = None


@dataclass(frozen=True)
class Batch(_TeacherSignals):
    """The rows presented at one step.

    Its properties `n_classes`, `pseudo_label` and `teacher_confidence` are computed
    from `teacher_proba`.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), int
        The indices of the rows in the pool.
    teacher_proba : ndarray of shape (n_rows, n_classes)
        The teacher's distribution for each row, rows summing to 1.
    student_proba : ndarray of shape (n_rows, n_classes) or None
        The student's current distribution for each row, rows summing to 1; rows of NaN
        where `Selection.candidates` ruled a row out. None unless the strategy asks for
        it (`Selection.uses_student`).
    step : int
        The step, from 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Batch
    >>> teacher = np.array([[0.9, 0.1], [0.4, 0.6]])
    >>> Batch(np.array([7, 3]), teacher).teacher_confidence
    array([0.9, 0.6])
    """

    rows: IntArray
    teacher_proba: FloatArray
    student_proba: FloatArray | None = None
    step: int = 0


@dataclass(frozen=True)
class Selected:
    """The decision of a strategy about the rows of a batch.

    Of several classes a text, mask and weight have a column for each class.

    Parameters
    ----------
    mask : ndarray of shape (n_rows,), bool
        The rows to train on.
    weight : ndarray of shape (n_rows,), float
        The weight of each row's loss; read only where `mask` is true.
    target : ndarray of shape (n_rows, n_classes) or None
        The distribution each row is trained towards; None trains towards the
        pseudo-label.

    Examples
    --------
    The first of two rows, at twice the weight:

    >>> import numpy as np
    >>> from skllkd.selection import Selected
    >>> float(Selected(np.array([True, False]), np.array([2.0, 0.0])).mask.mean())
    0.5
    """

    mask: BoolArray
    weight: FloatArray
    target: FloatArray | None = None

    @property
    def row_mask(self) -> BoolArray:
        """The rows to train on, of all classes or of some."""
        return self.mask if self.mask.ndim == 1 else np.asarray(self.mask.any(axis=1))
