"""The training loop: present, score, select, train."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.progress import progress_bar
from skllkd.exceptions import SkllkdWarning
from skllkd.selection import Batch, Selected, Selection
from skllkd.selection.per_class import one_selection
from skllkd.students import Student
from skllkd.training.early_stopping import EarlyStopping
from skllkd.training.log import TrainingLog
from skllkd.training.schedule import Schedule
from skllkd.training.targets import take


def distil(
    student: Student,
    selection: Selection,
    teacher_proba: FloatArray,
    row_weight: FloatArray,
    schedule: Schedule,
    *,
    multilabel: bool = False,
) -> TrainingLog:
    """Train a student on the rows of its pool that a selection keeps.

    Every step presents a batch of the pool and trains on the rows of it that are kept,
    or with a student that wants full batches gathers them until they fill one; an
    incomplete batch at the end of an epoch is trained on as it is. The student has begun
    to fit the pool, the selection has begun; `teacher_proba` and `row_weight` have an
    entry for each row of the pool. With `multilabel` the selection is a `PerClass`.
    """
    if multilabel:  # a weight for each class
        row_weight = np.broadcast_to(row_weight[:, None], teacher_proba.shape)
    log, n_steps = TrainingLog(row_weight.shape), schedule.n_steps(len(row_weight))
    early_stopping = EarlyStopping(student, teacher_proba, schedule, multilabel)
    accumulator = BatchAccumulator(
        teacher_proba[:0], row_weight[:0], schedule.batch_size
    )
    if schedule.first_step == 0:
        rows = early_stopping.training_rows
        student.warm_up(rows, take(teacher_proba, rows), take(row_weight, rows))

    n_presented = schedule.n_epochs * len(early_stopping.training_rows)
    with progress_bar(n_presented, "student", "text", schedule.verbose) as bar:
        for epoch in range(schedule.n_epochs):
            batches = student.batches(schedule.batch_size, schedule.random_state)
            batches = early_stopping.without_held_out(batches)
            for n_seen, rows in enumerate(batches, start=1):
                step = schedule.first_step + log.n_steps
                batch = Batch(rows, teacher_proba[rows], step=step)
                batch, n_scored = _score(batch, student, selection)
                selected = selection.select(batch)
                accumulator.add(batch, selected, row_weight[rows])
                progress = (log.n_steps + 0.5) / n_steps
                is_due = n_seen == len(batches) or not student.full_batches
                losses = [
                    student.train_step(*full, progress)
                    for full in accumulator.batches(flush=is_due)
                ]
                log.add_step(epoch, batch, n_scored, selected, losses)
                bar.update(len(rows))
            early_stopping.measure()
            log.agreement = early_stopping.agreement
            epoch_end = log.end_of_epoch(epoch, schedule.n_epochs)
            answers = [bool(callback(epoch_end)) for callback in schedule.callbacks]
            if any(answers) or early_stopping.has_stalled:
                break
    early_stopping.restore_best()
    _warn_if_nothing_was_selected(log, selection)
    return log


def _score(batch: Batch, student: Student, selection: Selection) -> tuple[Batch, int]:
    """Add the student's probabilities of the rows that can be selected; count them."""
    if not selection.uses_student:
        return batch, 0
    mask = selection.candidates(batch)
    student_proba = np.full(batch.teacher_proba.shape, np.nan)
    if mask.any():
        student_proba[mask] = student.predict_rows(batch.rows[mask])
    return replace(batch, student_proba=student_proba), int(mask.sum())


def _warn_if_nothing_was_selected(log: TrainingLog, selection: Selection) -> None:
    """Warn of a student that was not trained."""
    if not log.times_selected.any():
        warnings.warn(
            f"{type(one_selection(selection)).__name__} kept none of the "
            f"{len(log.times_selected)} texts, so the student learned nothing. Loosen the "
            "selection.",
            SkllkdWarning,
            stacklevel=5,
        )


class BatchAccumulator:
    """Gathers selected rows until they fill a batch."""

    def __init__(
        self, no_target: FloatArray, no_weight: FloatArray, batch_size: int
    ) -> None:
        self._one_hot, self._batch_size = np.eye(no_target.shape[1]), batch_size
        self._rows = np.empty(0, dtype=np.int64)
        self._target, self._weight = no_target, no_weight

    def add(self, batch: Batch, selected: Selected, row_weight: FloatArray) -> None:
        """Add the selected rows of a batch."""
        mask, target = selected.row_mask, selected.target
        target = self._one_hot[batch.pseudo_label] if target is None else target
        weight = selected.weight[mask] * row_weight[mask]
        self._rows = np.concatenate([self._rows, batch.rows[mask]])
        self._target = np.concatenate([self._target, target[mask]])
        self._weight = np.concatenate([self._weight, weight])

    def batches(
        self, *, flush: bool
    ) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Yield (rows, target, weight) of each full batch; with `flush`, of all rows."""
        size = self._batch_size
        while len(self._rows) >= (1 if flush else size):
            batch = (self._rows[:size], self._target[:size], self._weight[:size])
            self._rows, self._target = self._rows[size:], self._target[size:]
            self._weight = self._weight[size:]
            yield batch
