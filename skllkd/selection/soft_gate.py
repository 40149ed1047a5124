"""Smoothly falling weights instead of a cut."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd._core.params import check_number
from skllkd.selection.base import Selection, check_target, target_of, with_steps
from skllkd.selection.batch import Batch, Pool, Selected
from skllkd.selection.uncertainty import normalised_entropy


class SoftGate(Selection):
    r"""Weigh rows by truncated Gaussians of both signals.

    SoftMatch [1]_ keeps every row, and weighs it by how far its signal is below the
    running mean,

    .. math::

        \lambda(s) = \exp\left(-\frac{(s - \mu)^2}{2 \sigma^2 / n^2}\right)
        \text{ for } s < \mu, \text{ else } 1,

    with the mean :math:`\mu` and variance :math:`\sigma^2` of the signal over
    batches, as exponential moving averages that start at 1/C and 1. The signal there is
    the teacher's confidence; here the weight is the product of its gate and of the same
    gate on the student's uncertainty (our extension, after LLKD).

    Parameters
    ----------
    momentum : float in [0, 1), default=0.999
        The share of the old mean and variance kept at each step.
    n_sigma : float, default=2
        The sharpness of the gate: n times as narrow as a standard deviation would be.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    Attributes
    ----------
    means_, variances_ : ndarray of shape (n_steps, 2), float32
        The mean and variance of confidence and of uncertainty after each step.

    See Also
    --------
    LLKDSelection : Cuts on both signals.

    References
    ----------
    .. [1] Chen et al., "SoftMatch: Addressing the Quantity-Quality Trade-off in
       Semi-supervised Learning", ICLR 2023, arXiv:2301.10921.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Batch, Pool, SoftGate
    >>> teacher, student = np.array([[0.9, 0.1], [0.5, 0.5]]), np.full((2, 2), 0.5)
    >>> rule = SoftGate(momentum=0.0)
    >>> rule.begin(Pool(teacher), 1, np.random.RandomState(0))
    >>> rule.select(Batch(np.arange(2), teacher, student)).weight.round(2)
    array([1.  , 0.37])
    """

    learned_arrays = ("means_", "variances_", "_now")

    def __init__(
        self, momentum: float = 0.999, n_sigma: float = 2, target: str = "hard"
    ) -> None:
        self.momentum = momentum
        self.n_sigma = n_sigma
        self.target = target

    @override
    def check(self) -> None:
        check_number(self.momentum, "momentum", 0, 1, open_high=True)
        check_number(self.n_sigma, "n_sigma", 0, open_low=True, open_high=True)
        check_target(self.target)

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        if first_step == 0:
            self._now = np.array([[1 / pool.n_classes] * 2, [1.0, 1.0]])
            self.means_ = self.variances_ = np.empty((0, 2), dtype=np.float32)
        self.means_ = with_steps(self.means_, first_step, n_steps)
        self.variances_ = with_steps(self.variances_, first_step, n_steps)

    @override
    def select(self, batch: Batch) -> Selected:
        uncertainty = normalised_entropy(self._scored(batch))
        weight = self._gate(0, batch.teacher_confidence) * self._gate(1, uncertainty)
        self.means_[batch.step], self.variances_[batch.step] = self._now
        mask = weight >= 1e-3  # less is not worth a backward pass
        return Selected(mask, weight, target_of(batch, self.target))

    def _gate(self, index: int, signal: FloatArray) -> FloatArray:
        """Update the mean and variance of a signal; return its gate's weights."""
        kept, now = self.momentum, self._now[:, index]  # a view
        if len(signal):
            now[0] = kept * now[0] + (1 - kept) * signal.mean()
        if len(signal) > 1:  # one row has no variance
            now[1] = kept * now[1] + (1 - kept) * signal.var(ddof=1)
        mean, variance = now
        below = np.minimum(signal - mean, 0)
        scale = max(2 * variance / self.n_sigma**2, 1e-12)
        gate: FloatArray = np.exp(-(below**2) / scale)
        return gate
