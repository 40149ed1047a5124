"""A student's training on a labelled pool, from first look to last step."""

from __future__ import annotations

import numpy as np

from skllkd._core.arrays import FloatArray, nan_rows
from skllkd._core.progress import stage
from skllkd.selection import Pool, Selection
from skllkd.students import Student
from skllkd.training.cross_fit import out_of_fold_proba
from skllkd.training.log import TrainingLog
from skllkd.training.loop import distil
from skllkd.training.schedule import Schedule
from skllkd.training.targets import take
from skllkd.training.training_set import TrainingSet

#: Number of texts on which the agreement is measured after training.
SAMPLE_SIZE = 500


def train_student(
    student: Student,
    selection: Selection,
    training_set: TrainingSet,
    row_weight: FloatArray,
    schedule: Schedule,
    resume: bool,
) -> tuple[TrainingLog, float]:
    """Train a student on the rows that have a label; also return its agreement.

    `row_weight` has shape (n_texts,). With `resume` student and selection go on from
    where they ended.
    """
    random_state, first_step = schedule.random_state, schedule.first_step
    seed = int(random_state.randint(2**31 - 1))
    rows = training_set.labelled
    texts, proba = take(training_set.texts, rows), take(training_set.proba, rows)
    row_weight = take(row_weight, rows)
    student_proba, n_folds = None, selection.n_folds
    if n_folds:
        with stage("training on folds, for the selection", schedule.verbose):
            student_proba = out_of_fold_proba(
                student, texts, proba, row_weight, n_folds, schedule, resume=resume
            )
    with stage("preparing the student", schedule.verbose):
        student.begin_fit(texts, len(training_set.classes), seed, resume=resume)
    del texts  # a pool may hold millions: nothing is kept that is not needed
    n_steps = schedule.n_steps(len(proba))
    selection.begin(Pool(proba, student_proba), n_steps, random_state, first_step)
    with stage("training the student", schedule.verbose):
        log = distil(student, selection, proba, row_weight, schedule)
    teacher_proba = take(training_set.teacher_proba, rows)
    agreement = _sample_agreement(student, teacher_proba, schedule.batch_size)
    student.end_fit()
    return log, agreement


def _sample_agreement(student: Student, proba: FloatArray, batch_size: int) -> float:
    """Return a student's agreement with the teacher on a sample of its pool."""
    known = np.flatnonzero(~nan_rows(proba))
    rows = known[np.random.RandomState(0).permutation(len(known))[:SAMPLE_SIZE]]
    parts = np.array_split(rows, -(-len(rows) // batch_size))
    chosen = np.concatenate(
        [student.predict_rows(part).argmax(axis=1) for part in parts]
    )
    return float(np.mean(chosen == proba[rows].argmax(axis=1)))
