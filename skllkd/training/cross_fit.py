"""What students that did not learn from a text believe of it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd.selection import SelectAll, Selection
from skllkd.students import Student
from skllkd.training.loop import Plan, distil
from skllkd.training.targets import take


def out_of_fold_proba(
    student: Student,
    texts: Any,
    proba: FloatArray,
    row_weight: FloatArray,
    n_folds: int,
    plan: Plan,
    *,
    resume: bool = False,
) -> FloatArray:
    """Return the beliefs of students that were trained on the other folds.

    Parameters
    ----------
    student : Student
        What is trained is its `fast_proxy`; to resume, copies of itself.
    texts : list of str or ndarray
        The pool.
    proba : ndarray of shape (n_rows, n_classes)
        The teacher's distribution for each row.
    row_weight : ndarray of shape (n_rows,)
        The weight of each row.
    n_folds : int
        Into how many parts the pool is cut.
    plan : Plan
        How to train; all rows are learned from in each epoch.
    resume : bool, default=False
        Whether the student has learned already, from other rows, and goes on.

    Returns
    -------
    ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1; uniform in a pool of one row.
    """
    from sklearn.model_selection import KFold  # slow to import

    n_rows, n_classes = proba.shape
    believed = np.full(proba.shape, 1 / n_classes)
    if n_rows < 2:
        return believed
    quick, n_epochs = student, plan.n_epochs
    if not resume:
        quick, n_epochs = student.fast_proxy(plan.n_epochs)
    seed = int(plan.random_state.randint(2**31 - 1))
    plan = Plan(n_epochs, plan.batch_size, np.random.RandomState(seed))
    folds = KFold(min(n_folds, n_rows), shuffle=True, random_state=seed)
    for learned, left in folds.split(np.zeros(n_rows)):
        own = copy.deepcopy(quick)
        own.begin_fit(take(texts, learned), n_classes, seed, resume=resume)
        weight = row_weight[learned]
        believed[left] = beliefs_once_trained(
            own, SelectAll(), proba[learned], weight, plan, take(texts, left)
        )
    return believed


def beliefs_once_trained(
    student: Student,
    selection: Selection,
    proba: FloatArray,
    row_weight: FloatArray,
    plan: Plan,
    others: Any,
) -> FloatArray:
    """Train a student that has taken its pool in, and ask it about other texts.

    Parameters
    ----------
    student : Student
        The student.
    selection : Selection
        What it learns from, ready for the steps to come.
    proba : ndarray of shape (n_rows, n_classes)
        The teacher's distribution for each row of its pool.
    row_weight : ndarray of shape (n_rows,)
        The weight of each row.
    plan : Plan
        How to train.
    others : list of str or ndarray
        The other texts.

    Returns
    -------
    ndarray of shape (n_others, n_classes)
        Distributions, rows summing to 1.
    """
    distil(student, selection, proba, row_weight, plan)
    student.end_fit()
    return student.predict_proba(others)
