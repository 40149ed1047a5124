"""Pruning at random, and making up for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import BoolArray, FloatArray, IntArray
from skllkd._core.params import check_number
from skllkd.selection.base import Selected, Selection, check_target


class InfoBatch(Selection):
    r"""Drop a random part of the rows with a small loss, and let the rest stand for it.

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
    RankedImportance : Draws by how much is to be learned, not at a constant rate.

    Notes
    -----
    The paper reads the loss where the row is trained on; here it is that of the scoring
    pass just before, which the rows that are dropped do not need.

    References
    ----------
    .. [1] Qin et al., "InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data
       Pruning", ICLR 2024, arXiv:2303.04947.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import InfoBatch
    >>> teacher = np.array([[0.9, 0.1], [0.8, 0.2]])
    >>> student = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> rule = InfoBatch(prune=0.5, until=1.0)
    >>> rule.reset(2, 2, np.random.RandomState(0), teacher)
    >>> for step in range(2):
    ...     kept = rule.select(np.zeros(2, int), teacher, student, step, np.arange(2))
    >>> rule.losses_.round(2)
    array([0.11, 1.61], dtype=float32)
    """

    def __init__(
        self, prune: float = 0.5, until: float = 0.875, target: str = "hard"
    ) -> None:
        self.prune = prune
        self.until = until
        self.target = target

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.prune, "prune", 0, 1, open_high=True)
        check_number(self.until, "until", 0, 1)
        check_target(self.target)

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Forget the losses.

        Parameters
        ----------
        n_classes : int
            The number of classes.
        n_steps : int
            How often `select` will be called.
        random_state : RandomState
            The source of what is dropped.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every row of the pool.
        """
        self.extend(0, n_classes, n_steps, random_state, teacher_proba)

    def extend(
        self,
        n_steps_done: int,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Prepare to go on with new texts, whose losses are not known.

        Parameters
        ----------
        n_steps_done : int
            How many steps there were; the next has this number.
        n_classes : int
            The number of classes.
        n_steps : int
            How many steps there will be in addition.
        random_state : RandomState
            The source of what is dropped.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every new row.
        """
        self._random = np.random.RandomState(random_state.randint(2**31 - 1))
        self._last_pruned = n_steps_done + self.until * n_steps
        self.losses_ = np.full(len(teacher_proba), np.nan, dtype=np.float32)
        self._sum, self._seen = 0.0, 0
        self._decided: dict[int, tuple[BoolArray, FloatArray]] = {}

    def candidates(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        step: int,
        rows: IntArray,
    ) -> BoolArray:
        """Return the rows of a batch that are not dropped.

        Parameters
        ----------
        pseudo_label : ndarray of shape (n_rows,), int
            The class the teacher finds likeliest, in [0, n_classes).
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution, rows summing to 1.
        step : int
            The step, from 0.
        rows : ndarray of shape (n_rows,), int
            Which rows of the pool they are.

        Returns
        -------
        ndarray of shape (n_rows,), bool
            The rows to ask about.
        """
        mask, weight = np.ones(len(rows), dtype=bool), np.ones(len(rows))
        if self._seen and step < self._last_pruned:
            small = self.losses_[rows] < self._sum / self._seen  # NaN is not
            mask = ~small | (self._random.uniform(size=len(rows)) >= self.prune)
            weight = np.where(small, 1 / (1 - self.prune), 1.0)
        self._decided[step] = mask, weight
        return mask

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Keep the rows that were not dropped, and remember their losses.

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
            The rows kept; those with a small loss weigh more.
        """
        if student_proba is None:
            raise TypeError("InfoBatch.select needs `student_proba`; got None.")
        if step not in self._decided:
            self.candidates(pseudo_label, teacher_proba, step, rows)
        mask, weight = self._decided.pop(step)
        target = teacher_proba if self.target == "soft" else None
        aim = np.eye(teacher_proba.shape[1])[pseudo_label] if target is None else target
        log_proba = np.log(np.maximum(student_proba[mask], 1e-12))
        self._remember(rows[mask], -(aim[mask] * log_proba).sum(axis=1))
        return Selected(mask, weight, target)

    def _remember(self, rows: IntArray, loss: FloatArray) -> None:
        """Take in new losses, and keep their sum so that the mean costs nothing."""
        old = self.losses_[rows]
        known = ~np.isnan(old)
        self._sum += float(loss.sum() - old[known].sum())
        self._seen += int((~known).sum())
        self.losses_[rows] = loss

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned.

        Returns
        -------
        dict of str to ndarray
            Arrays.
        """
        return {"losses_": self.losses_}

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned.

        Parameters
        ----------
        state : dict of str to ndarray
            Arrays.
        """
        self.losses_ = state["losses_"].copy()  # it is changed in place
