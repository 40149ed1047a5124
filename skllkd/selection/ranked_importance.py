"""Importance sampling of a loss weighted by the rank of the teacher's confidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import RandomState
from typing_extensions import override

from skllkd._core.arrays import Float32Array
from skllkd._core.params import check_number
from skllkd.selection.base import Selection, with_steps
from skllkd.selection.batch import Batch, Pool, Selected
from skllkd.selection.thresholds import MovingAverage


class RankedImportance(Selection):
    r"""Weigh rows by the rank of the teacher's confidence; sample by gradient norm.

    The default of `LLKDClassifier`. It keeps LLKD's two signals without its two cuts.
    The sample weight of row :math:`i` is the rank of its teacher confidence :math:`c_i`
    among the :math:`n_k` rows of the pool with the same pseudo-label :math:`k = y_i`,

    .. math::

        w_i = \frac{n_k r_i^{a}}{\sum_{j: y_j = k} r_j^{a}}, \quad
        r_i = \frac{|\{j: c_j < c_i\}| + \frac12 |\{j: c_j = c_i\}|}{n_k},

    with :math:`a` the `rank_power`. It is 1 on average in every class, so that a class
    the teacher is seldom confident of counts as much as the others, and within a class
    the most confident rows count most. A row is then sampled with a probability that
    follows the norm of the gradient of its loss with respect to the logits,

    .. math::

        g_i = w_i \lVert p_S - e_{y_i} \rVert_2, \quad
        \pi_i = \min(1, f + (s - f) \, g_i / \bar g),

    where :math:`s` is the `share`, :math:`f` the `floor` and :math:`\bar g` a moving
    mean of :math:`g` over batches. A sampled row is trained on with weight
    :math:`w_i / \pi_i`, so that the expected gradient is that of training on all rows
    [1]_: nothing is cut, as LLKD does.

    Parameters
    ----------
    share : float in (0, 1], default=0.4
        The approximate share of the rows presented that is trained on; 1 trains on all
        rows, without sampling.
    floor : float in [0, 1], default=0.05
        The lowest sampling probability of a row, at most `share`. It bounds the weight
        of a sampled row.
    rank_power : float, default=1.0
        :math:`a`: how fast the sample weight falls with the rank; 0 weighs all rows
        alike.
    momentum : float in [0, 1), default=0.9
        The share of the old mean gradient norm kept at each step.

    Attributes
    ----------
    mean_gradient_ : ndarray of shape (n_steps,), float32
        :math:`\bar g` after each step.
    sample_weight_ : ndarray of shape (n_rows,), float32
        :math:`w_i` of each row of the pool.

    See Also
    --------
    LLKDSelection : The paper's rule.
    SelectAll : No selection, the baseline.

    Notes
    -----
    Ranks need no calibration: it is enough that confident labels are right more often.
    With a teacher that gives no confidences all weights are 1, which leaves plain
    importance sampling.

    References
    ----------
    .. [1] Katharopoulos and Fleuret, "Not All Samples Are Created Equal: Deep Learning
       with Importance Sampling", ICML 2018, arXiv:1803.00942.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Pool, RankedImportance
    >>> teacher = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]])
    >>> rule = RankedImportance(share=1.0)
    >>> rule.begin(Pool(teacher), 1, np.random.RandomState(0))
    >>> rule.sample_weight_.round(2)  # 1 on average
    array([1.67, 1.  , 0.33], dtype=float32)
    """

    learned_arrays = ("mean_gradient_", "sample_weight_")

    def __init__(
        self,
        share: float = 0.4,
        floor: float = 0.05,
        rank_power: float = 1.0,
        momentum: float = 0.9,
    ) -> None:
        self.share = share
        self.floor = floor
        self.rank_power = rank_power
        self.momentum = momentum

    @property
    def uses_student(self) -> bool:  # type: ignore[override]
        """Whether `select` reads the student's probabilities."""
        return self.share < 1

    @override
    def check(self) -> None:
        check_number(self.share, "share", 0, 1, open_low=True)
        check_number(self.floor, "floor", 0, self.share)
        check_number(self.rank_power, "rank_power", 0, open_high=True)
        check_number(self.momentum, "momentum", 0, 1, open_high=True)

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        if first_step == 0:
            self._mean = MovingAverage(1, self.momentum)
            self.mean_gradient_ = np.empty(0, dtype=np.float32)
        self._mean.momentum = self.momentum
        self._random = RandomState(random_state.randint(2**31 - 1))
        self.sample_weight_ = rank_weights(pool, self.rank_power)
        self.mean_gradient_ = with_steps(self.mean_gradient_, first_step, n_steps)

    @override
    def select(self, batch: Batch) -> Selected:
        n_rows = len(batch.rows)
        sample_weight = self.sample_weight_[batch.rows].astype(np.float64)
        if not self.uses_student:
            return Selected(np.ones(n_rows, dtype=bool), sample_weight)
        error = self._scored(batch).copy()
        error[np.arange(n_rows), batch.pseudo_label] -= 1
        gradient = sample_weight * np.linalg.norm(error, axis=1)
        if n_rows:
            self._mean.update(0, float(gradient.mean()))
        mean = self._mean.value[0]
        self.mean_gradient_[batch.step] = mean
        relative = gradient / mean if mean > 0 else np.ones(n_rows)
        probability = np.minimum(1, self.floor + (self.share - self.floor) * relative)
        mask = self._random.uniform(size=n_rows) < probability
        weight = np.zeros(n_rows)
        weight[mask] = sample_weight[mask] / probability[mask]
        return Selected(mask, weight)

    @override
    def state(self) -> dict[str, npt.NDArray[Any]]:
        return super().state() | {"averages": self._mean.state}

    @override
    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        super().set_state(state)
        self._mean = MovingAverage(1, self.momentum)
        self._mean.state = state["averages"]


def rank_weights(pool: Pool, power: float) -> Float32Array:
    """Return weights by the rank of the confidence in the class, 1 on average in each.

    Ties weigh the same; at power 0 all rows do.
    """
    label = pool.pseudo_label
    weights = np.ones(len(label), dtype=np.float32)
    for k in np.unique(label):
        of_class = np.flatnonzero(label == k)
        confidence = pool.teacher_confidence[of_class]
        ordered = np.sort(confidence)
        below = np.searchsorted(ordered, confidence, side="left")
        up_to = np.searchsorted(ordered, confidence, side="right")
        weight = ((below + up_to) / (2 * len(confidence))) ** power
        weights[of_class] = weight / weight.mean()
    return weights
