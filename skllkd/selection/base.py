"""The seam every selection strategy fills: arrays in, a decision out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from skllkd._core.arrays import BoolArray, FloatArray, IntArray
from skllkd._core.cloning import add_later_parameters
from skllkd._core.params import check_option


@dataclass(frozen=True)
class Selected:
    """What a strategy decided about the rows of one step.

    Parameters
    ----------
    mask : ndarray of shape (n_rows,), bool
        The rows to train on.
    weight : ndarray of shape (n_rows,), float
        The weight of each row's loss; read only where `mask` is true.
    target : ndarray of shape (n_rows, n_classes) or None
        The distribution each row is trained towards; None trains towards the
        pseudo-label.

    Examples
    --------
    The first of two rows, at twice the weight:

    >>> import numpy as np
    >>> from skllkd.selection import Selected
    >>> Selected(np.array([True, False]), np.array([2.0, 0.0])).mask.mean()
    np.float64(0.5)
    """

    mask: BoolArray
    weight: FloatArray
    target: FloatArray | None = None


class Selection(BaseEstimator):
    """Base class of the selection strategies.

    A strategy knows no model and no text. Before training it is told the size of
    the problem (`reset`), then, at every step, it decides which rows of the batch
    the student learns from (`select`). What it learned on the way ends in `_` and
    stays readable afterwards.

    See Also
    --------
    LLKDSelection : The paper's rule.
    SelectAll : No selection, the baseline.

    Examples
    --------
    The half of each batch that the student finds least like its label:

    >>> import numpy as np
    >>> from skllkd.selection import Selected, Selection
    >>> class HardHalf(Selection):
    ...     def reset(self, n_classes, n_steps, random_state, teacher_proba):
    ...         pass
    ...
    ...     def select(self, pseudo_label, teacher_proba, student_proba, step, rows):
    ...         belief = student_proba[np.arange(len(rows)), pseudo_label]
    ...         return Selected(belief <= np.median(belief), np.ones(len(rows)))
    >>> student = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> HardHalf().select(np.zeros(3, int), student, student, 0, np.arange(3)).mask
    array([False,  True,  True])
    """

    #: Whether `select` reads the student's probabilities. Where it does not, no
    #: scoring pass is made and `student_proba` is None.
    uses_student: bool = True
    #: Into how many folds to part the pool so that students trained on the others say
    #: what they believe of each row (`take_out_of_fold`); 0 for not at all.
    n_folds: int = 0

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Called before labels are bought.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """

    def take_out_of_fold(self, student_proba: FloatArray) -> None:
        """Take what students that did not learn from a row believe of it.

        Called before `reset` and `extend` where `n_folds` is not 0.

        Parameters
        ----------
        student_proba : ndarray of shape (n_rows, n_classes)
            Their distribution for every row of the pool, rows summing to 1.
        """

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Forget everything and prepare for a training run.

        Parameters
        ----------
        n_classes : int
            The number of classes.
        n_steps : int
            How often `select` will be called.
        random_state : RandomState
            The source of any randomness.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every row of the pool.
        """
        raise NotImplementedError

    def extend(
        self,
        n_steps_done: int,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Prepare to go on with new texts; what was learned is kept.

        Parameters
        ----------
        n_steps_done : int
            How many steps there were; the next has this number.
        n_classes : int
            The number of classes.
        n_steps : int
            How many steps there will be in addition.
        random_state : RandomState
            The source of any randomness.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every new row.
        """

    def candidates(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        step: int,
        rows: IntArray,
    ) -> BoolArray:
        """Return which rows of a batch the student has to be asked about.

        Called once before each `select` of a strategy that reads the student's
        probabilities, perhaps some steps ahead. The rows it leaves out need no scoring
        pass: their student probabilities are NaN.

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
            The rows to ask about; by default all.
        """
        return np.ones(len(pseudo_label), dtype=bool)

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Decide which rows of a batch the student learns from.

        Parameters
        ----------
        pseudo_label : ndarray of shape (n_rows,), int
            The class the teacher finds likeliest, in [0, n_classes).
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution, rows summing to 1.
        student_proba : ndarray of shape (n_rows, n_classes) or None
            The student's distribution; None unless `uses_student`. Rows of NaN where
            `candidates` left them out.
        step : int
            The step, from 0.
        rows : ndarray of shape (n_rows,), int
            Which rows of the pool they are, in the order given to `reset` or `extend`.

        Returns
        -------
        Selected
            The rows kept, with their weights and targets.
        """
        raise NotImplementedError

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what was pickled, perhaps by an earlier version."""
        super().__setstate__(state)
        add_later_parameters(self)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned beyond attributes, to be saved without pickle.

        Returns
        -------
        dict of str to ndarray
            Arrays.
        """
        return {}

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned.

        Parameters
        ----------
        state : dict of str to ndarray
            Arrays.
        """


class SelectAll(Selection):
    """Train on every row: full-pool distillation, the baseline of every table.

    Parameters
    ----------
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    See Also
    --------
    LLKDSelection : Keeps the confident and still uncertain rows only.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import SelectAll
    >>> teacher = np.array([[0.9, 0.1], [0.4, 0.6]])
    >>> rule = SelectAll()
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> rule.select(teacher.argmax(axis=1), teacher, None, 0, np.arange(2)).mask
    array([ True,  True])
    """

    uses_student = False

    def __init__(self, target: str = "hard") -> None:
        self.target = target

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
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
            Unused.
        """

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Keep every row with weight 1.

        Parameters
        ----------
        pseudo_label : ndarray of shape (n_rows,), int
            The class the teacher finds likeliest.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution.
        student_proba : None
            Unused.
        step : int
            The step, from 0.
        rows : ndarray of shape (n_rows,), int
            Unused.

        Returns
        -------
        Selected
            All rows.
        """
        n_rows = len(pseudo_label)
        target = teacher_proba if self.target == "soft" else None
        return Selected(np.ones(n_rows, dtype=bool), np.ones(n_rows), target)


def check_target(target: str) -> None:
    """Raise unless `target` is a kind of target.

    Parameters
    ----------
    target : str
        What the user set.

    Raises
    ------
    InvalidParameterError
        If it is neither "hard" nor "soft".
    """
    check_option(target, "target", ["hard", "soft"])
