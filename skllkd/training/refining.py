"""The step between labelling and training: labels are refined by further evidence."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.progress import stage
from skllkd.refinement.pool import PoolEvidence
from skllkd.refinement.refinement import Refinement
from skllkd.students import Student
from skllkd.training.schedule import Schedule
from skllkd.training.targets import blank_rows, take
from skllkd.training.training_set import (
    TrainingSet,
    in_class_order,
    in_given_order,
    labels_in_class_order,
)


def refined(
    training_set: TrainingSet,
    refinement: Refinement,
    student: Student,
    row_weight: FloatArray,
    schedule: Schedule,
    resume: bool,
    gold: IntArray | None = None,
) -> TrainingSet:
    """Return a training set with refined labels; blank texts have none.

    The student is the one that will learn them, not trained yet; with `resume` it has
    learned from other texts. `gold` holds the column of each text's gold label in the
    user's order of the classes, -1 for none.
    """
    rows = np.flatnonzero(~blank_rows(training_set.texts))
    classes = training_set.given_classes
    pool = PoolEvidence(
        student,
        take(training_set.texts, rows),
        classes,
        take(row_weight, rows),
        schedule.n_epochs,
        # A copy's draw: the student's own are those it would have without refinement.
        int(copy.deepcopy(schedule.random_state).randint(2**31 - 1)),
        schedule.verbose,
        resume,
    )
    teacher_proba = in_given_order(training_set.teacher_proba, classes)[rows]
    context = pool.context(teacher_proba, None if gold is None else gold[rows])
    with stage("refining the labels", schedule.verbose):
        found = refinement(context)
    refined_proba = np.full(training_set.teacher_proba.shape, np.nan)
    refined_proba[rows] = in_class_order(found.proba, classes)
    out_of_fold = None
    if found.out_of_fold is not None:
        shape = (len(refined_proba), *found.out_of_fold.shape[1:])
        out_of_fold = np.full(shape, -1)
        out_of_fold[rows] = labels_in_class_order(found.out_of_fold, classes)
    return replace(
        training_set,
        refined_proba=refined_proba,
        out_of_fold=out_of_fold,
        sources=found.sources,
        gold_accuracy=None if gold is None else dict(found.accuracy),
    )
