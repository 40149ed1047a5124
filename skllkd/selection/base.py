"""Interface of the selection strategies: arrays in, a decision out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import RandomState
from sklearn.base import BaseEstimator

from skllkd._core.arrays import BoolArray, Float32Array, FloatArray
from skllkd._core.params import check_option
from skllkd.selection.batch import Batch, Pool, Selected


class Selection(BaseEstimator):
    """Base class of the selection strategies.

    A strategy knows no model and no text. Before training it is given the pool
    (`begin`); at every step it decides which rows of the batch the student is trained
    on (`select`). Learned attributes end in `_` and can be read after training.

    See Also
    --------
    LLKDSelection : The paper's rule.
    SelectAll : No selection, the baseline.

    Examples
    --------
    The half of each batch with the lowest student probability of the pseudo-label:

    >>> import numpy as np
    >>> from skllkd.selection import Batch, Selected, Selection
    >>> class HardHalf(Selection):
    ...     def select(self, batch):
    ...         rows = np.arange(len(batch.rows))
    ...         proba = batch.student_proba[rows, batch.pseudo_label]
    ...         return Selected(proba <= np.median(proba), np.ones(len(rows)))
    >>> teacher = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    >>> student = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> HardHalf().select(Batch(np.arange(3), teacher, student)).mask
    array([False,  True,  True])
    """

    #: Whether `select` reads `Batch.student_proba`. If False, no scoring pass is made.
    uses_student: bool = True
    #: Number of folds for the out-of-fold predictions in `Pool.student_proba`; 0: none.
    n_folds: int = 0
    #: Names of the learned arrays that are saved with the strategy.
    learned_arrays: Sequence[str] = ()

    def check(self) -> None:
        """Raise `InvalidParameterError` if a parameter's value is not allowed.

        Called before labels are bought.
        """

    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        """Prepare for a training run.

        Parameters
        ----------
        pool : Pool
            The rows to be trained on.
        n_steps : int
            The number of calls of `select` to come.
        random_state : RandomState
            The source of all randomness.
        first_step : int, default=0
            The number of the next step. At 0 everything learned before is forgotten;
            above 0 training goes on with a new pool.
        """

    def candidates(self, batch: Batch) -> BoolArray:
        """Return the rows of a batch that the student has to score.

        Called once before each `select`, if `uses_student`. Rows that cannot be selected
        need no scoring pass; by default all rows are scored.

        Parameters
        ----------
        batch : Batch
            The rows presented, without `student_proba`.

        Returns
        -------
        ndarray of shape (n_rows,), bool
            The rows to score.
        """
        return np.ones(len(batch.rows), dtype=bool)

    def select(self, batch: Batch) -> Selected:
        """Decide which rows of a batch the student is trained on.

        Parameters
        ----------
        batch : Batch
            The rows presented.

        Returns
        -------
        Selected
            The rows kept, with their weights and targets.
        """
        raise NotImplementedError

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return learned arrays, to be saved without pickle.

        Returns
        -------
        dict of str to ndarray
            The arrays.
        """
        return {name: getattr(self, name) for name in self.learned_arrays}

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Restore learned arrays.

        Parameters
        ----------
        state : dict of str to ndarray
            As returned by `state`.
        """
        for name in self.learned_arrays:
            setattr(self, name, state[name].copy())  # some are changed in place

    def _scored(self, batch: Batch) -> FloatArray:
        """Return the student's probabilities; raise if they are missing."""
        if batch.student_proba is None:
            raise TypeError(
                f"{type(self).__name__}.select needs `student_proba`; got None."
            )
        return batch.student_proba

    def _out_of_fold(self, pool: Pool) -> FloatArray:
        """Return the out-of-fold predictions; raise if they are missing."""
        proba = pool.student_proba
        if proba is None or len(proba) != len(pool.teacher_proba):
            raise TypeError(
                f"{type(self).__name__}.begin needs out-of-fold predictions for every "
                "row in `Pool.student_proba`."
            )
        return proba


def with_steps(record: Float32Array, first_step: int, n_steps: int) -> Float32Array:
    """Cut a record, a row for each step, at `first_step` and add `n_steps` NaN rows."""
    unknown = np.full((n_steps, *record.shape[1:]), np.nan, dtype=np.float32)
    return np.concatenate([record[:first_step], unknown])


def check_target(target: str) -> None:
    """Raise unless the parameter `target` is "hard" or "soft"."""
    check_option(target, "target", ["hard", "soft"])


def target_of(batch: Batch, target: str) -> FloatArray | None:
    """Return the teacher's distributions if `target` is "soft", else None."""
    return batch.teacher_proba if target == "soft" else None
