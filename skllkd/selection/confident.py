"""What the teacher is sure of, whatever the student knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import BoolArray, FloatArray, IntArray
from skllkd._core.params import check_number, check_option
from skllkd.selection.base import Selected, Selection, check_target
from skllkd.selection.thresholds import reaches


class ConfidentShare(Selection):
    r"""Keep the share of the pool the teacher is most confident of.

    Row i is kept when :math:`c_i = \max p_T` reaches the quantile of c that leaves
    `share` of the pool above it: of the whole pool, or of the rows with the same
    pseudo-label. Ties at the quantile are kept.

    Parameters
    ----------
    share : float in (0, 1], default=0.25
        The share kept.
    per_class : bool, default=False
        Whether each class has a quantile of its own.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    Attributes
    ----------
    thresholds_ : ndarray of shape (n_classes,)
        The confidence from which rows of each class are kept; of a class without rows
        infinite.

    See Also
    --------
    ConfidenceThreshold : The same confidence in every pool.

    Notes
    -----
    The most confident rows are the easiest, and mostly of the classes the teacher
    knows best: per class, LAUD (arXiv:2511.14738) starts from such a seed.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import ConfidentShare
    >>> teacher = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    >>> rule = ConfidentShare(share=0.5, per_class=True)
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> rule.select(teacher.argmax(axis=1), teacher, None, 0, np.arange(4)).mask
    array([ True, False, False,  True])
    """

    uses_student = False

    def __init__(
        self, share: float = 0.25, per_class: bool = False, target: str = "hard"
    ) -> None:
        self.share = share
        self.per_class = per_class
        self.target = target

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.share, "share", 0, 1, open_low=True)
        check_option(self.per_class, "per_class", [True, False])
        check_target(self.target)

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Find the quantiles of the pool.

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
        confidence, label = teacher_proba.max(axis=1), teacher_proba.argmax(axis=1)
        self.thresholds_ = np.full(n_classes, np.inf)
        for k in np.unique(label):
            among = confidence[label == k] if self.per_class else confidence
            n_kept = max(round(self.share * len(among)), 1)
            self.thresholds_[k] = np.sort(among)[-n_kept]

    def extend(
        self,
        n_steps_done: int,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Find the quantiles of new texts.

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
        self.reset(n_classes, n_steps, random_state, teacher_proba)

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Keep the rows that reach the quantile.

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
        confidence = teacher_proba.max(axis=1)
        mask = reaches(confidence, self.thresholds_[pseudo_label])
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


class ConfidenceThreshold(Selection):
    r"""Keep the rows whose teacher confidence reaches a fixed threshold.

    The rule of FixMatch [1]_: :math:`c_i \ge \tau`. It supposes that a confidence
    means the same in every pool, which holds of few teachers; where none reaches it
    nothing is kept, and `fit` warns.

    Parameters
    ----------
    threshold : float in [0, 1], default=0.95
        The confidence from which rows are kept.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    See Also
    --------
    ConfidentShare : A share of the pool, whatever the confidences are.

    References
    ----------
    .. [1] Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with
       Consistency and Confidence", NeurIPS 2020, arXiv:2001.07685.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import ConfidenceThreshold
    >>> teacher = np.array([[0.97, 0.03], [0.8, 0.2]])
    >>> rule = ConfidenceThreshold()
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> rule.select(teacher.argmax(axis=1), teacher, None, 0, np.arange(2)).mask
    array([ True, False])
    """

    uses_student = False

    def __init__(self, threshold: float = 0.95, target: str = "hard") -> None:
        self.threshold = threshold
        self.target = target

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.threshold, "threshold", 0, 1)
        check_target(self.target)

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Do nothing: there is nothing to forget.

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

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Keep the rows that reach the threshold.

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
        confidence = teacher_proba.max(axis=1)
        mask: BoolArray = confidence >= self.threshold
        target = teacher_proba if self.target == "soft" else None
        return Selected(mask, np.ones(len(mask)), target)
