"""The training loop: present, select, train."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skllkd._progress import progress_bar
from skllkd._validation import FloatArray, IntArray
from skllkd.exceptions import SkllkdWarning
from skllkd.selection import Selected, Selection
from skllkd.students import Student


class Course(NamedTuple):
    """What happened in training."""

    times_selected: IntArray  # of each row
    history: dict[str, npt.NDArray[Any]]  # what happened at each step


def distil(
    student: Student,
    selection: Selection,
    proba: FloatArray,
    *,
    n_epochs: int,
    batch_size: int,
    random_state: np.random.RandomState,
    verbose: int,
) -> Course:
    """Train a student on the rows of its pool that a selection keeps.

    Every step presents a batch of the pool. The rows kept wait until they fill a
    batch, which then is trained on, so that a backward pass is never half empty.

    Parameters
    ----------
    student : Student
        The student, which has taken the pool in.
    selection : Selection
        What is kept.
    proba : ndarray of shape (n_rows, n_classes)
        The teacher's distribution for each row of the pool.
    n_epochs : int
        How often every row is presented.
    batch_size : int
        Rows presented, and rows trained on, at a step.
    random_state : RandomState
        The source of the order.
    verbose : int
        Whether to show progress.

    Returns
    -------
    Course
        What happened.
    """
    n_rows, n_classes = proba.shape
    pseudo_label = proba.argmax(axis=1)
    n_steps = n_epochs * -(-n_rows // batch_size)
    selection.reset(n_classes, n_steps, random_state, proba)
    waiting = _Waiting(n_classes, batch_size)
    times_selected = np.zeros(n_rows, dtype=np.int64)
    steps: list[tuple[int, int, int, float]] = []

    with progress_bar(n_epochs * n_rows, "student", "text", verbose) as bar:
        for epoch in range(n_epochs):
            for rows in student.batches(batch_size, random_state):
                label = pseudo_label[rows]
                belief = student.rows_proba(rows) if selection.uses_student else None
                kept = selection.select(label, proba[rows], belief, len(steps))
                times_selected[rows[kept.mask]] += 1
                waiting.add(rows, label, kept)
                is_last = len(steps) == n_steps - 1
                losses = [
                    student.train_step(*batch, (len(steps) + 0.5) / n_steps)
                    for batch in waiting.batches(1 if is_last else batch_size)
                ]
                loss = float(np.mean(losses)) if losses else float("nan")
                steps.append((epoch, len(rows), int(kept.mask.sum()), loss))
                bar.update(len(rows))

    if not times_selected.any():
        warnings.warn(
            f"{type(selection).__name__} kept none of the {n_rows} texts, so the "
            "student learned nothing. Loosen the selection.",
            SkllkdWarning,
            stacklevel=3,
        )
    names = ("epoch", "n_presented", "n_selected", "loss")
    columns = map(np.array, zip(*steps, strict=True))
    return Course(times_selected, dict(zip(names, columns, strict=True)))


class _Waiting:
    """Rows that were selected and wait to fill a batch.

    Parameters
    ----------
    n_classes : int
        The number of classes.
    batch_size : int
        The most rows in a batch.
    """

    def __init__(self, n_classes: int, batch_size: int) -> None:
        self._one_hot = np.eye(n_classes)
        self._batch_size = batch_size
        self._rows: deque[tuple[int, FloatArray, float]] = deque()

    def add(self, rows: IntArray, pseudo_label: IntArray, kept: Selected) -> None:
        """Take in the rows of a batch that were kept."""
        target = self._one_hot[pseudo_label] if kept.target is None else kept.target
        for place in np.flatnonzero(kept.mask):
            self._rows.append((rows[place], target[place], float(kept.weight[place])))

    def batches(
        self, at_least: int
    ) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Yield (rows, targets, weights), as long as `at_least` many rows wait."""
        while len(self._rows) >= at_least:
            size = min(self._batch_size, len(self._rows))
            taken = [self._rows.popleft() for _ in range(size)]
            rows, target, weight = zip(*taken, strict=True)
            yield np.array(rows), np.array(target), np.array(weight)
