"""Weights that debias distillation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.params import check_number
from skllkd.selection.base import Selected, Selection, check_target


class WeightedDistillation(Selection):
    r"""Weigh rows down where the teacher may be wrong and the student says otherwise.

    Weighted distillation with unlabeled examples [1]_ weighs the loss of row i by

    .. math:: w_i = \frac{1}{1 + e_i (D_i - 1)},

    with :math:`e_i` the probability that the teacher is wrong about it and :math:`D_i`
    the distortion, how much larger the student's loss at the teacher's label is than at
    the true one. The paper estimates e on a labelled validation set. There is none here,
    and our reading does without: e is an isotonic regression, on the teacher's
    confidence, of whether students trained on the other folds disagree with the teacher;
    D is the student's loss at the pseudo-label over its loss at the class it finds
    likeliest, both floored at 0.05 nats, so that w is in (0, 1].

    Parameters
    ----------
    n_folds : int, default=5
        Into how many folds the pool is cut for e.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    Attributes
    ----------
    error_proba_ : ndarray of shape (n_rows,), float32
        :math:`e_i` of each row of the pool.

    See Also
    --------
    SmallLoss : Cuts instead of weighing.

    References
    ----------
    .. [1] Iliopoulos et al., "Weighted Distillation with Unlabeled Examples", NeurIPS
       2022, arXiv:2210.06711.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import WeightedDistillation
    >>> teacher = np.array([[0.9, 0.1], [0.6, 0.4]])
    >>> rule = WeightedDistillation()
    >>> rule.take_out_of_fold(np.array([[0.8, 0.2], [0.3, 0.7]]))
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> student = np.array([[0.2, 0.8], [0.2, 0.8]])
    >>> rule.select(np.zeros(2, int), teacher, student, 0, np.arange(2)).weight.round(2)
    array([1.  , 0.14])
    """

    def __init__(self, n_folds: int = 5, target: str = "hard") -> None:
        self.n_folds = n_folds
        self.target = target

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.n_folds, "n_folds", 2, integer=True)
        check_target(self.target)

    def take_out_of_fold(self, student_proba: FloatArray) -> None:
        """Take what students that did not learn from a row believe of it.

        Parameters
        ----------
        student_proba : ndarray of shape (n_rows, n_classes)
            Their distribution for every row of the pool, rows summing to 1.
        """
        self._out_of_fold = student_proba

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Estimate the teacher's errors over the pool.

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
        believed = getattr(self, "_out_of_fold", None)
        if believed is None or len(believed) != len(teacher_proba):
            raise TypeError(
                "WeightedDistillation needs `take_out_of_fold` for the pool first."
            )
        disagrees = believed.argmax(axis=1) != teacher_proba.argmax(axis=1)
        self.error_proba_ = error_by_confidence(teacher_proba.max(axis=1), disagrees)
        del self._out_of_fold

    def extend(
        self,
        n_steps_done: int,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Estimate the teacher's errors over new texts.

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
            All rows.
        """
        if student_proba is None:
            raise TypeError(
                "WeightedDistillation.select needs `student_proba`; got None."
            )
        n_rows = len(pseudo_label)
        at_label = student_proba[np.arange(n_rows), pseudo_label]
        at_likeliest = student_proba.max(axis=1, initial=0.0)
        losses = [
            np.maximum(-np.log(p), _FLOOR)
            for p in (np.maximum(at_label, 1e-12), np.maximum(at_likeliest, 1e-12))
        ]
        weight = 1 / (1 + self.error_proba_[rows] * (losses[0] / losses[1] - 1))
        target = teacher_proba if self.target == "soft" else None
        return Selected(np.ones(n_rows, dtype=bool), weight, target)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned.

        Returns
        -------
        dict of str to ndarray
            Arrays.
        """
        return {"error_proba_": self.error_proba_}

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned.

        Parameters
        ----------
        state : dict of str to ndarray
            Arrays.
        """
        self.error_proba_ = state["error_proba_"]


_FLOOR = 0.05  # nats: a loss next to nothing makes a distortion next to infinity


def error_by_confidence(
    confidence: FloatArray, disagrees: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return how often others disagree with answers as confident as each.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
        The teacher's confidences, in [0, 1].
    disagrees : ndarray of shape (n_rows,), bool
        Whether others would have given another label.

    Returns
    -------
    ndarray of shape (n_rows,), float32
        Probabilities that do not rise with the confidence.
    """
    from sklearn.isotonic import IsotonicRegression

    if not len(confidence):
        return np.empty(0, dtype=np.float32)
    fitted = IsotonicRegression(
        y_min=0, y_max=1, increasing=False, out_of_bounds="clip"
    )
    error: npt.NDArray[np.float32] = fitted.fit_transform(
        confidence.round(9), disagrees * 1.0
    )  # rounded, so that what is the same but for rounding is a tie
    return error.astype(np.float32)
