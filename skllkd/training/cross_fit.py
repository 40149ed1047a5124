"""Out-of-fold predictions by cross-fitting."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.random import RandomState

from skllkd._core.arrays import FloatArray
from skllkd.selection import Pool, SelectAll, Selection
from skllkd.selection.per_class import PerClass
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
    multilabel: bool = False,
    resume: bool = False,
) -> FloatArray:
    """Return predictions for every row by students trained on the other folds.

    Trains the student's `fast_proxy` on all rows of the other folds; to resume,
    copies of the student itself, which has been trained on other rows before. Uniform in
    a pool of one row.
    """
    from sklearn.model_selection import KFold  # slow to import

    n_rows, n_classes = teacher_proba.shape
    student_proba = np.full(teacher_proba.shape, 1 / (2 if multilabel else n_classes))
    if n_rows < 2:
        return student_proba
    quick, n_epochs = student, schedule.n_epochs
    if not resume:
        quick, n_epochs = student.fast_proxy(schedule.n_epochs)
    seed = int(schedule.random_state.randint(2**31 - 1))
    schedule = Schedule(n_epochs, schedule.batch_size, RandomState(seed))
    folds = KFold(min(n_folds, n_rows), shuffle=True, random_state=seed)
    for train, test in folds.split(np.zeros(n_rows)):
        own = copy.deepcopy(quick)
        pool = take(texts, train)
        own.begin_fit(pool, n_classes, seed, multilabel=multilabel, resume=resume)
        labels = (teacher_proba[train], row_weight[train])
        every: Selection = PerClass(SelectAll()) if multilabel else SelectAll()
        every.begin(Pool(labels[0]), schedule.n_steps(len(train)), RandomState(0))
        student_proba[test] = train_and_predict(
            own, every, *labels, schedule, take(texts, test), multilabel
        )
    return student_proba


def train_and_predict(
    student: Student,
    selection: Selection,
    teacher_proba: FloatArray,
    row_weight: FloatArray,
    schedule: Schedule,
    other_texts: Any,
    multilabel: bool = False,
) -> FloatArray:
    """Train a student that has begun to fit its pool; predict other texts."""
    labels = (teacher_proba, row_weight)
    distil(student, selection, *labels, schedule, multilabel=multilabel)
    student.end_fit()
    return student.predict_proba(other_texts)
