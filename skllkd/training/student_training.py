"""A student's training on a labelled pool, from first look to last step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.progress import stage
from skllkd.selection import Pool, Selection
from skllkd.selection.per_class import PerClass
from skllkd.students import Student
from skllkd.training.cross_fit import out_of_fold_proba
from skllkd.training.log import TrainingLog
from skllkd.training.loop import distil
from skllkd.training.schedule import Schedule
from skllkd.training.targets import take
from skllkd.training.thresholds import best_thresholds, gold_thresholds
from skllkd.training.training_set import TrainingSet


class TrainedStudent(NamedTuple):
    """Results of the training of a student."""

    selection: Selection
    log: TrainingLog
    agreement: float
    thresholds: FloatArray | None  # of several classes a text


#: Number of texts on which the agreement is measured after training.
SAMPLE_SIZE = 500
#: Number of texts on which thresholds are chosen.
_MOST_TEXTS = 5_000


def train_student(
    student: Student,
    selection: Selection,
    training_set: TrainingSet,
    row_weight: FloatArray,
    schedule: Schedule,
    resume: bool,
) -> TrainedStudent:
    """Train a student on the rows that have a label.

    `row_weight` has shape (n_texts,). With `resume` student and selection go on from
    where they ended.
    """
    multilabel = training_set.multilabel
    if multilabel and not isinstance(selection, PerClass):
        selection = PerClass(selection)
    random_state, first_step = schedule.random_state, schedule.first_step
    seed = int(random_state.randint(2**31 - 1))
    rows = training_set.labelled
    texts, proba = take(training_set.texts, rows), take(training_set.proba, rows)
    row_weight = take(row_weight, rows)
    student_proba, n_folds = None, selection.n_folds
    if n_folds:
        with stage("training on folds, for the selection", schedule.verbose):
            given = (student, texts, proba, row_weight, n_folds, schedule)
            student_proba = out_of_fold_proba(
                *given, multilabel=multilabel, resume=resume
            )
    with stage("preparing the student", schedule.verbose):
        student.begin_fit(
            texts,
            len(training_set.classes),
            seed,
            multilabel=multilabel,
            resume=resume,
        )
    del texts  # a pool may hold millions: nothing is kept that is not needed
    n_steps = schedule.n_steps(len(proba))
    selection.begin(Pool(proba, student_proba), n_steps, random_state, first_step)
    with stage("training the student", schedule.verbose):
        log = distil(
            student, selection, proba, row_weight, schedule, multilabel=multilabel
        )
    teacher_proba = take(training_set.teacher_proba, rows)
    predict = partial(_predictions, student, schedule.batch_size)
    thresholds = _thresholds(predict, training_set, rows) if multilabel else None
    sampled = _sample(np.flatnonzero(~nan_rows(teacher_proba)), SAMPLE_SIZE)
    student_proba = predict(sampled)
    student.end_fit()
    agreement = _agreement(student_proba, teacher_proba[sampled], thresholds)
    return TrainedStudent(selection, log, agreement, thresholds)


def _predictions(student: Student, batch_size: int, rows: IntArray) -> FloatArray:
    """Return a student's probabilities of rows of its pool."""
    parts = np.array_split(rows, -(-len(rows) // batch_size))
    return np.concatenate([student.predict_rows(part) for part in parts])


def _sample(rows: IntArray, size: int) -> IntArray:
    """Return some of the rows, always the same ones."""
    return rows[np.random.RandomState(0).permutation(len(rows))[:size]]


def _thresholds(
    predict: Callable[[IntArray], FloatArray], training_set: TrainingSet, rows: IntArray
) -> FloatArray:
    """Return the thresholds of classes of which a text may have several.

    Those of a teacher's labels have the largest expected F1 on texts of the pool, those
    of the user's own labels are 0.5. The expectation is the calibrated teacher's, whose
    shares of the classes are kept level; refinement makes rare classes rarer. `rows` are
    the texts that the student learned.
    """
    if training_set.is_given:
        return np.full(len(training_set.classes), 0.5)
    sampled = _sample(np.arange(len(rows)), _MOST_TEXTS)
    known = rows[sampled]
    expected = training_set.teacher_proba[known]
    expected = np.where(np.isnan(expected), training_set.proba[known], expected)
    found = best_thresholds(predict(sampled), expected)
    if training_set.gold is None:
        return found
    gold = training_set.gold[rows]
    known = np.flatnonzero(gold[:, 0] >= 0)
    return gold_thresholds(predict(known), gold[known], found)


def _agreement(
    student_proba: FloatArray, teacher_proba: FloatArray, thresholds: FloatArray | None
) -> float:
    """Return the share of equal labels; of several a text, the micro-F1 of them."""
    if thresholds is None:
        chosen = student_proba.argmax(axis=1)
        return float(np.mean(chosen == teacher_proba.argmax(axis=1)))
    has, wanted = student_proba >= thresholds, teacher_proba >= 0.5
    n_both, n_all = np.sum(has & wanted), has.sum() + wanted.sum()
    return float(2 * n_both / n_all) if n_all else 1.0
