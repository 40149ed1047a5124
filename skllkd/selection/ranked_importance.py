"""Importance sampling of a loss that trusts the teacher by the rank of its confidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.params import check_number
from skllkd.selection.base import Selected, Selection
from skllkd.selection.thresholds import MovingAverage


class RankedImportance(Selection):
    r"""Weigh rows by the rank of the teacher's confidence; draw where there is to learn.

    The default of `LLKDClassifier`. It keeps LLKD's two signals and drops its two
    cuts. The weight of row :math:`i` is where its teacher confidence :math:`c_i` ranks
    among the :math:`n_k` rows of the pool with the same pseudo-label :math:`k = y_i`,

    .. math::

        w_i = \frac{n_k r_i^{a}}{\sum_{j: y_j = k} r_j^{a}}, \quad
        r_i = \frac{|\{j: c_j < c_i\}| + \frac12 |\{j: c_j = c_i\}|}{n_k},

    with :math:`a` the `rank_power`: 1 on average in every class, so that a class the
    teacher is seldom sure of is learned as the others are, and in each class from its
    surest rows most. A row is then drawn with a probability that follows how much is to
    be learned from it, the length of the gradient of its loss by the logits,

    .. math::

        g_i = w_i \lVert p_S - e_{y_i} \rVert_2, \quad
        \pi_i = \min(1, f + (s - f) \, g_i / \bar g),

    where :math:`s` is the `share`, :math:`f` the `floor` and :math:`\bar g` a moving
    mean of :math:`g` over batches. A row that is drawn weighs :math:`w_i / \pi_i`:
    what is drawn stands for what is not, and the gradient is that of training on all
    rows in expectation [1]_. For what LLKD cuts in a step nothing stands; here
    nothing is cut.

    Parameters
    ----------
    share : float in (0, 1], default=0.4
        The share of the rows presented that is trained on, about; 1 for all, without
        drawing.
    floor : float in [0, 1], default=0.05
        The least probability a row is drawn with, at most `share`. It bounds the
        weight of what is drawn.
    rank_power : float, default=1.0
        :math:`a`: how quickly trust falls with the rank; 0 trusts all rows alike.
    momentum : float in [0, 1), default=0.9
        The share of the old mean gradient kept at each step.

    Attributes
    ----------
    mean_gradient_ : ndarray of shape (n_steps,), float32
        :math:`\bar g` after each step.
    trust_ : ndarray of shape (n_rows,), float32
        :math:`w_i` of each row of the pool.

    See Also
    --------
    LLKDSelection : The paper's rule.
    SelectAll : No selection, the baseline.

    Notes
    -----
    Ranks need no calibration, only that surer is right more often. With a teacher that
    gives no confidences all weights are 1, and what is left is importance sampling.

    References
    ----------
    .. [1] Katharopoulos and Fleuret, "Not All Samples Are Created Equal: Deep Learning
       with Importance Sampling", ICML 2018, arXiv:1803.00942.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import RankedImportance
    >>> teacher = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]])
    >>> rule = RankedImportance(share=1.0)
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> rule.trust_.round(2)  # 1 on average
    array([1.67, 1.  , 0.33], dtype=float32)
    """

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

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.share, "share", 0, 1, open_low=True)
        check_number(self.floor, "floor", 0, self.share)
        check_number(self.rank_power, "rank_power", 0, open_high=True)
        check_number(self.momentum, "momentum", 0, 1, open_high=True)

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Forget the mean gradient and rank the pool.

        Parameters
        ----------
        n_classes : int
            The number of classes.
        n_steps : int
            How often `select` will be called.
        random_state : RandomState
            The source of what is drawn.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every row of the pool.
        """
        self._mean = MovingAverage(1, self.momentum, None)
        self.mean_gradient_ = np.empty(0, dtype=np.float32)
        self.extend(0, n_classes, n_steps, random_state, teacher_proba)

    def extend(
        self,
        n_steps_done: int,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Prepare to go on with new texts, which are ranked among themselves.

        Parameters
        ----------
        n_steps_done : int
            How many steps there were; the next has this number.
        n_classes : int
            The number of classes.
        n_steps : int
            How many steps there will be in addition.
        random_state : RandomState
            The source of what is drawn.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every new row.
        """
        self._mean.momentum = self.momentum
        self._random = np.random.RandomState(random_state.randint(2**31 - 1))
        self.trust_ = trust_by_rank(teacher_proba, self.rank_power)
        unknown = np.full(n_steps, np.nan, dtype=np.float32)
        done = self.mean_gradient_[:n_steps_done]
        self.mean_gradient_ = np.concatenate([done, unknown])

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Draw rows by how much is to be learned from them.

        Parameters
        ----------
        pseudo_label : ndarray of shape (n_rows,), int
            The class the teacher finds likeliest, in [0, n_classes).
        teacher_proba : ndarray of shape (n_rows, n_classes)
            Unused: the pool was ranked before.
        student_proba : ndarray of shape (n_rows, n_classes) or None
            The student's distribution, rows summing to 1; not needed if all are kept.
        step : int
            The step, from 0.
        rows : ndarray of shape (n_rows,), int
            Which rows of the pool they are.

        Returns
        -------
        Selected
            The rows drawn, with their weights.
        """
        trust = self.trust_[rows].astype(np.float64)
        if not self.uses_student:
            return Selected(np.ones(len(rows), dtype=bool), trust)
        if student_proba is None:
            raise TypeError("RankedImportance.select needs `student_proba`; got None.")
        error = student_proba.copy()
        error[np.arange(len(rows)), pseudo_label] -= 1
        gradient = trust * np.linalg.norm(error, axis=1)
        if len(rows):
            self._mean.update(0, float(gradient.mean()))
        mean = self._mean.value[0]
        self.mean_gradient_[step] = mean
        relative = gradient / mean if mean > 0 else np.ones(len(rows))
        chance = np.minimum(1, self.floor + (self.share - self.floor) * relative)
        mask = self._random.uniform(size=len(rows)) < chance
        weight = np.zeros(len(rows))
        weight[mask] = trust[mask] / chance[mask]
        return Selected(mask, weight)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned.

        Returns
        -------
        dict of str to ndarray
            Arrays.
        """
        averages = np.concatenate([self._mean.sum, self._mean.norm])
        return {
            "mean_gradient_": self.mean_gradient_,
            "trust_": self.trust_,
            "averages": averages,
        }

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned.

        Parameters
        ----------
        state : dict of str to ndarray
            Arrays.
        """
        self.mean_gradient_, self.trust_ = state["mean_gradient_"], state["trust_"]
        self._mean = MovingAverage(1, self.momentum, None)
        self._mean.sum, self._mean.norm = np.split(state["averages"].copy(), 2)


def trust_by_rank(teacher_proba: FloatArray, power: float) -> npt.NDArray[np.float32]:
    """Return a weight for each row by the rank of its confidence in its class.

    Parameters
    ----------
    teacher_proba : ndarray of shape (n_rows, n_classes)
        The teacher's distribution for every row of the pool.
    power : float
        How quickly the weight falls with the rank; 0 for not at all.

    Returns
    -------
    ndarray of shape (n_rows,), float32
        The weights, not negative, 1 on average in every class; ties weigh the same.
    """
    confidence, label = teacher_proba.max(axis=1), teacher_proba.argmax(axis=1)
    trust = np.ones(len(label), dtype=np.float32)
    for k in np.unique(label):
        of_class = np.flatnonzero(label == k)
        own = confidence[of_class]
        ordered = np.sort(own)
        below = np.searchsorted(ordered, own, side="left")
        up_to = np.searchsorted(ordered, own, side="right")
        weight = ((below + up_to) / (2 * len(own))) ** power
        trust[of_class] = weight / weight.mean()
    return trust
