"""Out-of-fold predictions by cross-fitting."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd.selection import SelectAll, Selection
from skllkd.students import Student
from skllkd.training.loop import distil
from skllkd.training.schedule import Schedule
from skllkd.training.targets import take


def out_of_fold_proba(
    student: Student,
    texts: Any,
    teacher_proba: FloatArray,
    row_weight: FloatArray,
    n_folds: int,
    schedule: Schedule,
    *,
    resume: bool = False,
) -> FloatArray:
    """Return predictions for every row by students trained on the other folds.

    Trains the student's `fast_proxy` on all rows of the other folds; to resume,
    copies of the student itself, which has been trained on other rows before. Uniform in
    a pool of one row.
    """
    from sklearn.model_selection import KFold  # slow to import

    n_rows, n_classes = teacher_proba.shape
    student_proba = np.full(teacher_proba.shape, 1 / n_classes)
    if n_rows < 2:
        return student_proba
    quick, n_epochs = student, schedule.n_epochs
    if not resume:
        quick, n_epochs = student.fast_proxy(schedule.n_epochs)
    seed = int(schedule.random_state.randint(2**31 - 1))
    schedule = Schedule(n_epochs, schedule.batch_size, np.random.RandomState(seed))
    folds = KFold(min(n_folds, n_rows), shuffle=True, random_state=seed)
    for train, test in folds.split(np.zeros(n_rows)):
        own = copy.deepcopy(quick)
        own.begin_fit(take(texts, train), n_classes, seed, resume=resume)
        labels = (teacher_proba[train], row_weight[train])
        student_proba[test] = train_and_predict(
            own, SelectAll(), *labels, schedule, take(texts, test)
        )
    return student_proba


def train_and_predict(
    student: Student,
    selection: Selection,
    teacher_proba: FloatArray,
    row_weight: FloatArray,
    schedule: Schedule,
    other_texts: Any,
) -> FloatArray:
    """Train a student that has begun to fit its pool; predict other texts."""
    distil(student, selection, teacher_proba, row_weight, schedule)
    student.end_fit()
    return student.predict_proba(other_texts)
