"""The training loop: present, select, train."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.progress import progress_bar
from skllkd.exceptions import SkllkdWarning
from skllkd.selection import Selected, Selection
from skllkd.students import Student

#: What a held-out agreement must gain to count as better.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class EpochEnd:
    """What a callback is told at the end of an epoch.

    Parameters
    ----------
    epoch : int
        The epoch that ended, from 0.
    n_epochs : int
        How many there will be at most.
    share_selected : float
        The share of the texts presented in it that was selected, in [0, 1].
    loss : float
        The mean loss of its training steps in nats; NaN where not known.
    agreement : float
        The agreement with the teacher on the held-out texts, in [0, 1]; NaN without
        `early_stopping`.

    Examples
    --------
    Stop when an epoch has brought the loss under 0.3 nats:

    >>> from skllkd import LLKDClassifier
    >>> clf = LLKDClassifier(callbacks=[lambda epoch_end: epoch_end.loss < 0.3])
    """

    epoch: int
    n_epochs: int
    share_selected: float
    loss: float
    agreement: float


#: Called at the end of each epoch; a true answer ends the training.
Callback = Callable[[EpochEnd], Any]


class Plan(NamedTuple):
    """How to train."""

    n_epochs: int
    batch_size: int
    random_state: np.random.RandomState
    callbacks: Sequence[Callback] = ()
    validation_fraction: float = 0.0  # the share of rows held out, 0 for none
    patience: int = 1  # epochs without gain on the held-out rows before the end
    first_step: int = 0  # where an earlier course ended
    score_ahead: int = 1  # steps whose rows are scored together, before the first
    verbose: int = 0


class Course(NamedTuple):
    """What happened in training."""

    times_selected: npt.NDArray[np.int32]  # of each row
    history: dict[str, npt.NDArray[Any]]  # what happened at each step
    validation: FloatArray  # the agreement on held-out rows after each epoch


def distil(
    student: Student,
    selection: Selection,
    proba: FloatArray,
    row_weight: FloatArray,
    plan: Plan,
) -> Course:
    """Train a student on the rows of its pool that a selection keeps.

    Every step presents a batch of the pool and trains on the rows of it that are kept.
    With a student that wants full batches, rows kept wait until they fill one; what
    waits at the end of an epoch is trained on as it is.

    Parameters
    ----------
    student : Student
        The student, which has taken the pool in.
    selection : Selection
        What is kept, ready for the steps to come.
    proba : ndarray of shape (n_rows, n_classes)
        The teacher's distribution for each row of the pool.
    row_weight : ndarray of shape (n_rows,)
        The weight of each row beside that of the selection.
    plan : Plan
        How to train.

    Returns
    -------
    Course
        What happened.
    """
    n_rows, n_classes = proba.shape
    held_out = _HeldOut(student, proba, plan)
    n_steps = plan.n_epochs * -(-n_rows // plan.batch_size)
    beliefs = _Beliefs(student, selection, proba, plan.score_ahead)
    waiting = _Waiting(n_classes, plan.batch_size)
    times_selected = np.zeros(n_rows, dtype=np.int32)
    steps: list[tuple[int, int, int, int, float]] = []

    if plan.first_step == 0:
        student.warm_up(*held_out.others(proba, row_weight))
    n_presented = plan.n_epochs * int((~held_out.mask).sum())
    with progress_bar(n_presented, "student", "text", plan.verbose) as bar:
        for epoch in range(plan.n_epochs):
            batches = student.batches(plan.batch_size, plan.random_state)
            batches = held_out.without(batches)
            for place, rows in enumerate(batches, start=1):
                step = plan.first_step + len(steps)
                belief = beliefs.of(rows, batches[place:], step)
                label = proba[rows].argmax(axis=1)
                kept = selection.select(label, proba[rows], belief, step, rows)
                times_selected[rows[kept.mask]] += 1
                waiting.add(rows, label, kept, row_weight[rows])
                progress = (len(steps) + 0.5) / n_steps
                is_due = place == len(batches) or not student.full_batches
                losses = [
                    student.train_step(*full, progress)
                    for full in waiting.batches(flush=is_due)
                ]
                loss = float(np.mean(losses)) if losses else float("nan")
                n_kept = int(kept.mask.sum())
                steps.append((epoch, len(rows), beliefs.n_scored, n_kept, loss))
                bar.update(len(rows))
            held_out.measure()
            told = _epoch_end(epoch, plan.n_epochs, steps, held_out.agreement)
            wants_end = [bool(callback(told)) for callback in plan.callbacks]
            if any(wants_end) or held_out.has_stalled:
                break
    held_out.restore_best()

    if not times_selected.any():
        warnings.warn(
            f"{type(selection).__name__} kept none of the {n_rows} texts, so the "
            "student learned nothing. Loosen the selection.",
            SkllkdWarning,
            stacklevel=4,
        )
    names = ("epoch", "n_presented", "n_scored", "n_selected", "loss")
    columns = map(np.array, zip(*steps, strict=True))
    history = dict(zip(names, columns, strict=True))
    return Course(times_selected, history, np.array(held_out.agreement))


def _epoch_end(
    epoch: int,
    n_epochs: int,
    steps: list[tuple[int, int, int, int, float]],
    agreement: list[float],
) -> EpochEnd:
    """Return what callbacks are told."""
    of_epoch = np.array([row[1:] for row in steps if row[0] == epoch])
    presented, _, selected, loss = of_epoch.T
    known = loss[~np.isnan(loss)]
    return EpochEnd(
        epoch=epoch,
        n_epochs=n_epochs,
        share_selected=float(selected.sum() / max(presented.sum(), 1)),
        loss=float(known.mean()) if len(known) else float("nan"),
        agreement=agreement[-1] if agreement else float("nan"),
    )


class _Beliefs:
    """What the student believes of the rows presented: scored when it is needed."""

    def __init__(
        self, student: Student, selection: Selection, proba: FloatArray, ahead: int
    ) -> None:
        self._student, self._selection, self._proba = student, selection, proba
        self._ahead = ahead  # steps whose rows are scored together
        self._known: deque[tuple[FloatArray, int]] = deque()
        self.n_scored = 0

    def of(
        self, rows: IntArray, following: list[IntArray], step: int
    ) -> FloatArray | None:
        """Return the beliefs about a batch; NaN about what cannot be selected."""
        if not self._selection.uses_student:
            return None
        if not self._known:
            self._score([rows, *following[: self._ahead - 1]], step)
        belief, self.n_scored = self._known.popleft()
        return belief

    def _score(self, batches: list[IntArray], step: int) -> None:
        """Ask the student about the rows of some steps at once."""
        asked = [
            self._selection.candidates(
                self._proba[rows].argmax(axis=1), self._proba[rows], step + i, rows
            )
            for i, rows in enumerate(batches)
        ]
        rows = np.concatenate([r[m] for r, m in zip(batches, asked, strict=True)])
        scored = self._student.predict_rows(rows) if len(rows) else self._proba[rows]
        for mask in asked:
            belief = np.full((len(mask), self._proba.shape[1]), np.nan)
            belief[mask], scored = np.split(scored, [int(mask.sum())])
            self._known.append((belief, int(mask.sum())))


class _HeldOut:
    """Rows kept out of training, to see on them when training stops to help."""

    def __init__(self, student: Student, proba: FloatArray, plan: Plan) -> None:
        self._student, self._proba, self._plan = student, proba, plan
        self.mask = np.zeros(len(proba), dtype=bool)
        n_held_out = int(np.ceil(plan.validation_fraction * len(proba)))
        n_held_out = min(n_held_out, len(proba) - 1)  # something must be learned from
        self._rows = plan.random_state.permutation(len(proba))[:n_held_out]
        self.mask[self._rows] = True
        self.agreement: list[float] = []
        self._best: Any = None

    def others(
        self, proba: FloatArray, row_weight: FloatArray
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return the rows to learn from, with their distributions and weights."""
        rows = np.flatnonzero(~self.mask)
        if len(rows) == len(proba):
            return rows, proba, row_weight
        return rows, proba[rows], row_weight[rows]

    def without(self, batches: list[IntArray]) -> list[IntArray]:
        """Return batches without the rows held out, and none that is empty."""
        if not len(self._rows):
            return batches
        kept = [rows[~self.mask[rows]] for rows in batches]
        return [rows for rows in kept if len(rows)]

    def measure(self) -> None:
        """Measure the agreement with the teacher, and remember the best student."""
        if not len(self._rows):
            return
        size = self._plan.batch_size
        chosen = [
            self._student.predict_rows(self._rows[i : i + size]).argmax(axis=1)
            for i in range(0, len(self._rows), size)
        ]
        agreement = float(self._proba[self._rows, np.concatenate(chosen)].mean())
        if agreement > max(self.agreement, default=-1.0) + _TOLERANCE:
            self._best = self._student.snapshot()
        self.agreement.append(agreement)

    @property
    def has_stalled(self) -> bool:
        """Whether the last epochs brought nothing."""
        recent, before = self._split()
        enough = len(self.agreement) > self._plan.patience
        return enough and max(recent) <= max(before) + _TOLERANCE

    def _split(self) -> tuple[list[float], list[float]]:
        """Return the agreement of the last epochs and of those before."""
        n = self._plan.patience
        return self.agreement[-n:], self.agreement[:-n]

    def restore_best(self) -> None:
        """Return the student to where it agreed most."""
        if self._best is not None:
            self._student.restore(self._best)


class _Waiting:
    """Rows that were selected and wait to fill a batch."""

    def __init__(self, n_classes: int, batch_size: int) -> None:
        self._one_hot = np.eye(n_classes)
        self._batch_size = batch_size
        self._rows = np.empty(0, dtype=np.int64)
        self._target = np.empty((0, n_classes))
        self._weight = np.empty(0)

    def add(
        self,
        rows: IntArray,
        pseudo_label: IntArray,
        kept: Selected,
        row_weight: FloatArray,
    ) -> None:
        """Take in the rows of a batch that were kept."""
        mask = kept.mask
        target = self._one_hot[pseudo_label] if kept.target is None else kept.target
        weight = kept.weight[mask] * row_weight[mask]
        self._rows = np.concatenate([self._rows, rows[mask]])
        self._target = np.concatenate([self._target, target[mask]])
        self._weight = np.concatenate([self._weight, weight])

    def batches(
        self, *, flush: bool
    ) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Yield (rows, targets, weights) of full batches; of all rows to flush."""
        size = self._batch_size
        while len(self._rows) >= (1 if flush else size):
            batch = (self._rows[:size], self._target[:size], self._weight[:size])
            self._rows, self._target = self._rows[size:], self._target[size:]
            self._weight = self._weight[size:]
            yield batch
