"""Record of a training run, and the part of it that callbacks receive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray
from skllkd.selection import Batch, Selected


@dataclass(frozen=True)
class EpochEnd:
    """Measurements of an epoch, passed to callbacks at its end.

    Parameters
    ----------
    epoch : int
        The epoch that ended, from 0.
    n_epochs : int
        The largest number of epochs.
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

_COLUMNS = ("epoch", "n_presented", "n_scored", "n_selected", "loss")


class TrainingLog:
    """Record of a training run, step by step."""

    def __init__(self, shape: int | tuple[int, ...]) -> None:
        self.times_selected = np.zeros(shape, dtype=np.int32)  # of each row, or class
        self.agreement: list[float] = []  # on held-out rows after each epoch
        self._steps: list[tuple[int, int, int, int, float]] = []

    @property
    def n_steps(self) -> int:
        """The number of steps so far."""
        return len(self._steps)

    @property
    def history(self) -> dict[str, npt.NDArray[Any]]:
        """Counts and mean loss of each step, as columns."""
        columns = map(np.array, zip(*self._steps, strict=True))
        return dict(zip(_COLUMNS, columns, strict=True))

    @property
    def validation_agreement(self) -> FloatArray:
        """The agreement with the teacher on held-out rows after each epoch."""
        return np.array(self.agreement)

    def add_step(
        self,
        epoch: int,
        batch: Batch,
        n_scored: int,
        selected: Selected,
        losses: Sequence[float],
    ) -> None:
        """Record a step."""
        self.times_selected[batch.rows] += selected.mask
        n_selected = int(selected.row_mask.sum())
        loss = float(np.mean(losses)) if losses else float("nan")
        self._steps.append((epoch, len(batch.rows), n_scored, n_selected, loss))

    def end_of_epoch(self, epoch: int, n_epochs: int) -> EpochEnd:
        """Return the measurements of an epoch."""
        of_epoch = np.array([row[1:] for row in self._steps if row[0] == epoch])
        presented, _, selected, loss = of_epoch.T
        known = loss[~np.isnan(loss)]
        return EpochEnd(
            epoch=epoch,
            n_epochs=n_epochs,
            share_selected=float(selected.sum() / max(presented.sum(), 1)),
            loss=float(known.mean()) if len(known) else float("nan"),
            agreement=self.agreement[-1] if self.agreement else float("nan"),
        )
