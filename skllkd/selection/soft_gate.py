"""Weights that fall smoothly instead of a cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.params import check_number, check_option
from skllkd.selection.base import Selected, Selection, check_target
from skllkd.selection.uncertainty import normalised_entropy

_LEAST = 1e-3  # the weight from which a row is worth a backward pass


class SoftGate(Selection):
    r"""Weigh rows by truncated Gaussians of both signals.

    SoftMatch [1]_ keeps every row, and weighs it by how far its signal is below the
    running mean,

    .. math::

        \lambda(s) = \exp\left(-\frac{(s - \mu)^2}{2 \sigma^2 / n^2}\right)
        \text{ for } s < \mu, \text{ else } 1,

    with the mean :math:`\mu` and variance :math:`\sigma^2` of the signal over
    batches, as exponential moving averages that start at 1/C and 1. The signal there is
    the teacher's confidence; here the weight is the product of its gate and, if wanted,
    of the same gate on the student's uncertainty (our extension, after LLKD).

    Parameters
    ----------
    momentum : float in [0, 1), default=0.999
        The share of the old mean and variance kept at each step.
    n_sigma : float, default=2
        How sharp the gate is: n times as narrow as a standard deviation would be.
    student : bool, default=True
        Whether the student's uncertainty has a gate too.
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
    >>> from skllkd.selection import SoftGate
    >>> teacher = np.array([[0.9, 0.1], [0.5, 0.5]])
    >>> rule = SoftGate(momentum=0.0, student=False)
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> rule.select(teacher.argmax(axis=1), teacher, None, 0, np.arange(2)).weight.round(2)
    array([1.  , 0.37])
    """

    def __init__(
        self,
        momentum: float = 0.999,
        n_sigma: float = 2,
        student: bool = True,
        target: str = "hard",
    ) -> None:
        self.momentum = momentum
        self.n_sigma = n_sigma
        self.student = student
        self.target = target

    @property
    def uses_student(self) -> bool:  # type: ignore[override]
        """Whether `select` reads the student's probabilities."""
        return self.student

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.momentum, "momentum", 0, 1, open_high=True)
        check_number(self.n_sigma, "n_sigma", 0, open_low=True, open_high=True)
        check_option(self.student, "student", [True, False])
        check_target(self.target)

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Forget the means and variances.

        Parameters
        ----------
        n_classes : int
            The number of classes.
        n_steps : int
            How often `select` will be called.
        random_state : RandomState
            Unused.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every row of the pool.
        """
        self._now = np.array([[1 / n_classes, 1 / n_classes], [1.0, 1.0]])
        self.means_ = np.empty((0, 2), dtype=np.float32)
        self.variances_ = np.empty((0, 2), dtype=np.float32)
        self.extend(0, n_classes, n_steps, random_state, teacher_proba)

    def extend(
        self,
        n_steps_done: int,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Prepare to go on with new texts.

        Parameters
        ----------
        n_steps_done : int
            How many steps there were; the next has this number.
        n_classes : int
            The number of classes.
        n_steps : int
            How many steps there will be in addition.
        random_state : RandomState
            Unused.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every new row.
        """
        unknown = np.full((n_steps, 2), np.nan, dtype=np.float32)
        self.means_ = np.concatenate([self.means_[:n_steps_done], unknown])
        self.variances_ = np.concatenate([self.variances_[:n_steps_done], unknown])

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Weigh every row.

        Parameters
        ----------
        pseudo_label : ndarray of shape (n_rows,), int
            The class the teacher finds likeliest, in [0, n_classes).
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution, rows summing to 1.
        student_proba : ndarray of shape (n_rows, n_classes)
            The student's distribution, rows summing to 1.
        step : int
            The step, from 0.
        rows : ndarray of shape (n_rows,), int
            Which rows of the pool they are.

        Returns
        -------
        Selected
            The rows whose weight is not nothing.
        """
        signals = [teacher_proba.max(axis=1)]
        if self.student:
            if student_proba is None:
                raise TypeError("SoftGate.select needs `student_proba`; got None.")
            signals.append(normalised_entropy(student_proba))
        weight = np.ones(len(pseudo_label))
        for place, signal in enumerate(signals):
            self._learn(place, signal)
            mean, variance = self._now[:, place]
            below = np.minimum(signal - mean, 0)
            scale = max(2 * variance / self.n_sigma**2, 1e-12)
            weight = weight * np.exp(-(below**2) / scale)
        self.means_[step], self.variances_[step] = self._now
        target = teacher_proba if self.target == "soft" else None
        return Selected(weight >= _LEAST, weight, target)

    def _learn(self, place: int, signal: FloatArray) -> None:
        """Move the mean and variance of a signal towards those of a batch."""
        kept = self.momentum
        if len(signal):
            old = self._now[0, place]
            self._now[0, place] = kept * old + (1 - kept) * signal.mean()
        if len(signal) > 1:  # one row has no variance
            old = self._now[1, place]
            self._now[1, place] = kept * old + (1 - kept) * signal.var(ddof=1)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned.

        Returns
        -------
        dict of str to ndarray
            Arrays.
        """
        return {"means_": self.means_, "variances_": self.variances_, "_now": self._now}

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned.

        Parameters
        ----------
        state : dict of str to ndarray
            Arrays.
        """
        self.means_ = state["means_"]
        self.variances_ = state["variances_"]
        self._now = state["_now"].copy()  # it is changed in place
