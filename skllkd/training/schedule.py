"""Schedule of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skllkd.training.log import Callback


class Schedule(NamedTuple):
    """Length, order and end of a training run."""

    n_epochs: int
    batch_size: int
    random_state: np.random.RandomState
    callbacks: Sequence[Callback] = ()
    validation_fraction: float = 0.0  # the share of rows held out, 0 for none
    patience: int = 1  # epochs without gain on the held-out rows before the end
    first_step: int = 0  # the number of steps of earlier runs that this one continues
    verbose: int = 0

    def n_steps(self, n_rows: int) -> int:
        """Return the number of steps over a pool of `n_rows`."""
        return self.n_epochs * -(-n_rows // self.batch_size)
