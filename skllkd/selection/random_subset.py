"""A random share of every batch."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from typing_extensions import override

from skllkd._core.params import check_number
from skllkd.selection.base import Selection, check_target, target_of
from skllkd.selection.batch import Batch, Pool, Selected


class RandomSubset(Selection):
    """Keep a random share of every batch.

    The baseline at an equal number of backward passes: each of the n rows of a batch is
    equally likely to be among the ``share * n`` rows kept, a number that is rounded up
    or down at random so that it is right on average.

    Parameters
    ----------
    share : float in (0, 1], default=0.25
        The share of a batch kept.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    See Also
    --------
    RankedImportance : Samples by the size of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Batch, Pool, RandomSubset
    >>> teacher = np.full((4, 2), 0.5)
    >>> rule = RandomSubset(share=0.5)
    >>> rule.begin(Pool(teacher), 1, np.random.RandomState(0))
    >>> rule.select(Batch(np.arange(4), teacher)).mask.tolist()
    [False, True, False, True]
    """

    uses_student = False

    def __init__(self, share: float = 0.25, target: str = "hard") -> None:
        self.share = share
        self.target = target

    @override
    def check(self) -> None:
        check_number(self.share, "share", 0, 1, open_low=True)
        check_target(self.target)

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        self._random = RandomState(random_state.randint(2**31 - 1))

    @override
    def select(self, batch: Batch) -> Selected:
        n_rows = len(batch.rows)
        n_kept = int(self.share * n_rows + self._random.uniform())
        mask = np.zeros(n_rows, dtype=bool)
        mask[self._random.permutation(n_rows)[:n_kept]] = True
        return Selected(mask, np.ones(n_rows), target_of(batch, self.target))
