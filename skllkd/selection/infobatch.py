"""Unbiased random pruning of rows with a small loss."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from typing_extensions import override

from skllkd._core.arrays import BoolArray, FloatArray, IntArray
from skllkd._core.params import check_number
from skllkd.selection.base import Selection, check_target, target_of
from skllkd.selection.batch import Batch, Pool, Selected


class InfoBatch(Selection):
    r"""Prune rows with a small loss at random, and rescale the rest of them.

    InfoBatch [1]_ remembers the last loss of every row. When a row comes up whose loss
    is below the mean of those remembered, it is dropped with probability r; if it is
    not, it weighs :math:`1 / (1 - r)`, so that the gradient is that of all rows in
    expectation. Rows not seen before count as above the mean. For the last part of
    training nothing is dropped.

    Parameters
    ----------
    prune : float in [0, 1), default=0.5
        The probability r of dropping a row with a small loss.
    until : float in [0, 1], default=0.875
        The share of the steps after which nothing is dropped any more.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    Attributes
    ----------
    losses_ : ndarray of shape (n_rows,), float32
        The last loss of each row of the pool, in nats; NaN where not seen.

    See Also
    --------
    RankedImportance : Samples by the size of the gradient, not at a constant rate.

    Notes
    -----
    The paper takes the loss of the training step; here it is that of the scoring pass
    just before, which rows that are dropped do not need.

    References
    ----------
    .. [1] Qin et al., "InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data
       Pruning", ICLR 2024, arXiv:2303.04947.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Batch, InfoBatch, Pool
    >>> teacher = np.array([[0.9, 0.1], [0.8, 0.2]])
    >>> student = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> rule = InfoBatch(prune=0.5, until=1.0)
    >>> rule.begin(Pool(teacher), 2, np.random.RandomState(0))
    >>> for step in range(2):
    ...     kept = rule.select(Batch(np.arange(2), teacher, student, step))
    >>> rule.losses_.round(2)
    array([0.11, 1.61], dtype=float32)
    """

    learned_arrays = ("losses_",)

    def __init__(
        self, prune: float = 0.5, until: float = 0.875, target: str = "hard"
    ) -> None:
        self.prune = prune
        self.until = until
        self.target = target

    @override
    def check(self) -> None:
        check_number(self.prune, "prune", 0, 1, open_high=True)
        check_number(self.until, "until", 0, 1)
        check_target(self.target)

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        self._random = RandomState(random_state.randint(2**31 - 1))
        self._last_pruned = first_step + self.until * n_steps
        self.losses_ = np.full(len(pool.teacher_proba), np.nan, dtype=np.float32)
        self._sum, self._n_seen = 0.0, 0
        self._decision: tuple[BoolArray, FloatArray] | None = None

    @override
    def candidates(self, batch: Batch) -> BoolArray:
        self._decision = self._prune(batch)
        return self._decision[0]

    @override
    def select(self, batch: Batch) -> Selected:
        student_proba = self._scored(batch)
        mask, weight = self._decision or self._prune(batch)
        self._decision = None
        target = target_of(batch, self.target)
        label = (
            np.eye(batch.n_classes)[batch.pseudo_label] if target is None else target
        )
        log_proba = np.log(np.maximum(student_proba[mask], 1e-12))
        self._record(batch.rows[mask], -(label[mask] * log_proba).sum(axis=1))
        return Selected(mask, weight, target)

    def _prune(self, batch: Batch) -> tuple[BoolArray, FloatArray]:
        """Return the rows that are not dropped, and the weight of each row."""
        n_rows = len(batch.rows)
        if not self._n_seen or batch.step >= self._last_pruned:
            return np.ones(n_rows, dtype=bool), np.ones(n_rows)
        is_small = self.losses_[batch.rows] < self._sum / self._n_seen  # NaN is not
        mask = ~is_small | (self._random.uniform(size=n_rows) >= self.prune)
        return mask, np.where(is_small, 1 / (1 - self.prune), 1.0)

    def _record(self, rows: IntArray, loss: FloatArray) -> None:
        """Store new losses, and update their sum so that the mean costs nothing."""
        old = self.losses_[rows]
        is_known = ~np.isnan(old)
        self._sum += float(loss.sum() - old[is_known].sum())
        self._n_seen += int((~is_known).sum())
        self.losses_[rows] = loss
