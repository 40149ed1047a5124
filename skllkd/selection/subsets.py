"""Fixed shares of every batch: at random, or by how unsure the student is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.params import check_number, check_option
from skllkd.selection.base import Selected, Selection, check_target
from skllkd.selection.uncertainty import MEASURES, uncertainty_of


class RandomShare(Selection):
    """Keep a random share of every batch.

    The rule every other must beat at the same number of backward passes: each of the
    n rows of a batch is equally likely to be among the ``share * n`` that are kept, a
    number that is rounded up or down at random so that it is right on average.

    Parameters
    ----------
    share : float in (0, 1], default=0.25
        The share kept.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    See Also
    --------
    RankedImportance : Draws where there is to learn.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import RandomShare
    >>> teacher = np.full((4, 2), 0.5)
    >>> rule = RandomShare(share=0.5)
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> rule.select(teacher.argmax(axis=1), teacher, None, 0, np.arange(4)).mask.sum()
    np.int64(2)
    """

    uses_student = False

    def __init__(self, share: float = 0.25, target: str = "hard") -> None:
        self.share = share
        self.target = target

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.share, "share", 0, 1, open_low=True)
        check_target(self.target)

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Prepare to draw.

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
        self._random = np.random.RandomState(random_state.randint(2**31 - 1))

    def extend(
        self,
        n_steps_done: int,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Prepare to draw from new texts.

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
        self.reset(n_classes, n_steps, random_state, teacher_proba)

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Keep a random share.

        Parameters
        ----------
        pseudo_label : ndarray of shape (n_rows,), int
            The class the teacher finds likeliest, in [0, n_classes).
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution, rows summing to 1.
        student_proba : None
            Unused.
        step : int
            The step, from 0.
        rows : ndarray of shape (n_rows,), int
            Which rows of the pool they are.

        Returns
        -------
        Selected
            The rows kept, with weight 1.
        """
        n_rows = len(pseudo_label)
        n_kept = int(self.share * n_rows + self._random.uniform())
        mask = np.zeros(n_rows, dtype=bool)
        mask[self._random.permutation(n_rows)[:n_kept]] = True
        target = teacher_proba if self.target == "soft" else None
        return Selected(mask, np.ones(n_rows), target)


class UncertainShare(Selection):
    r"""Keep the share of every batch the student is most uncertain of.

    The data selection of Dynamic KD [1]_: of a batch of n rows the
    :math:`\lceil r n \rceil` with the highest entropy, the smallest margin, the
    smallest :math:`\max p_S`, or the largest divergence of the teacher from the
    student, :math:`\sum_k p_T(k) \log (p_T(k) / p_S(k))`.

    Parameters
    ----------
    share : float in (0, 1], default=0.25
        The share r of a batch kept.
    measure : {"entropy", "margin", "least_confident", "kl"}, default="entropy"
        What is ranked by.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    Attributes
    ----------
    thresholds_ : ndarray of shape (n_steps,), float32
        The value of the last row kept at each step.

    See Also
    --------
    LLKDSelection : A threshold that moves instead of a share.

    References
    ----------
    .. [1] Li et al., "Dynamic Knowledge Distillation for Pre-trained Language Models",
       EMNLP 2021, arXiv:2109.11295.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import UncertainShare
    >>> teacher = np.full((2, 2), 0.5)
    >>> student = np.array([[0.9, 0.1], [0.6, 0.4]])
    >>> rule = UncertainShare(share=0.5)
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> rule.select(teacher.argmax(axis=1), teacher, student, 0, np.arange(2)).mask
    array([False,  True])
    """

    def __init__(
        self, share: float = 0.25, measure: str = "entropy", target: str = "hard"
    ) -> None:
        self.share = share
        self.measure = measure
        self.target = target

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.share, "share", 0, 1, open_low=True)
        check_option(self.measure, "measure", [*MEASURES, "kl"])
        check_target(self.target)

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Forget the thresholds.

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
        self.thresholds_ = np.full(n_steps, np.nan, dtype=np.float32)

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
        unknown = np.full(n_steps, np.nan, dtype=np.float32)
        self.thresholds_ = np.concatenate([self.thresholds_[:n_steps_done], unknown])

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Keep the rows the student is most uncertain of.

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
            The rows kept, with weight 1.
        """
        if student_proba is None:
            raise TypeError("UncertainShare.select needs `student_proba`; got None.")
        if self.measure == "kl":
            logs = [
                np.log(np.maximum(p, 1e-12)) for p in (teacher_proba, student_proba)
            ]
            rank_by: FloatArray = (teacher_proba * (logs[0] - logs[1])).sum(axis=1)
        else:
            rank_by = uncertainty_of(student_proba, self.measure)
        n_kept = int(np.ceil(self.share * len(rank_by) - 1e-9))
        order = np.argsort(-rank_by, kind="stable")[:n_kept]
        mask = np.zeros(len(rank_by), dtype=bool)
        mask[order] = True
        if n_kept:
            self.thresholds_[step] = rank_by[order[-1]]
        target = teacher_proba if self.target == "soft" else None
        return Selected(mask, np.ones(len(mask)), target)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned.

        Returns
        -------
        dict of str to ndarray
            Arrays.
        """
        return {"thresholds_": self.thresholds_}

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned.

        Parameters
        ----------
        state : dict of str to ndarray
            Arrays.
        """
        self.thresholds_ = state["thresholds_"]
