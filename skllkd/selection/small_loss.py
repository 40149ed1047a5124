"""Rows whose loss says that their label is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.params import check_number
from skllkd.selection.base import Selected, Selection, check_target


class SmallLoss(Selection):
    r"""Keep the rows whose label others, that did not learn from it, would have given.

    Wrong labels have larger losses. A mixture of two Gaussians is fitted to the losses
    of the pool, :math:`-\log p(y_i)`, and a row is kept when the posterior of the
    component with the smaller mean exceeds `clean` [1]_ [2]_. The losses are those of
    students trained on the other folds, since a student that has learned a wrong label
    no longer finds it unlikely.

    Parameters
    ----------
    clean : float in [0, 1), default=0.7
        The posterior of being clean from which rows are kept.
    n_folds : int, default=5
        Into how many folds the pool is cut for the losses.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    Attributes
    ----------
    clean_proba_ : ndarray of shape (n_rows,), float32
        The posterior of each row of the pool.

    See Also
    --------
    WeightedDistillation : Weighs by the chance of an error instead of cutting.

    Notes
    -----
    With a `TransformerStudent` the losses are those of a head on its frozen encoder,
    which takes seconds; DivideMix trains two networks, FreeAL the student itself.

    References
    ----------
    .. [1] Li et al., "DivideMix: Learning with Noisy Labels as Semi-supervised
       Learning", ICLR 2020, arXiv:2002.07394.
    .. [2] Xiao et al., "FreeAL: Towards Human-Free Active Learning in the Era of Large
       Language Models", EMNLP 2023, arXiv:2311.15614.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import SmallLoss
    >>> teacher = np.full((6, 2), [0.8, 0.2])
    >>> rule = SmallLoss()
    >>> others = np.array([0.9, 0.92, 0.88, 0.91, 0.2, 0.22])
    >>> rule.take_out_of_fold(np.column_stack([others, 1 - others]))
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> rule.select(np.zeros(6, int), teacher, None, 0, np.arange(6)).mask
    array([ True,  True,  True,  True, False, False])
    """

    uses_student = False

    def __init__(
        self, clean: float = 0.7, n_folds: int = 5, target: str = "hard"
    ) -> None:
        self.clean = clean
        self.n_folds = n_folds
        self.target = target

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.clean, "clean", 0, 1, open_high=True)
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
        """Part the losses of the pool.

        Parameters
        ----------
        n_classes : int
            The number of classes.
        n_steps : int
            How often `select` will be called.
        random_state : RandomState
            The source of the mixture's start.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every row of the pool.
        """
        believed = getattr(self, "_out_of_fold", None)
        if believed is None or len(believed) != len(teacher_proba):
            raise TypeError("SmallLoss needs `take_out_of_fold` for the pool first.")
        label = teacher_proba.argmax(axis=1)
        loss = -np.log(np.maximum(believed[np.arange(len(label)), label], 1e-12))
        seed = random_state.randint(2**31 - 1)
        self.clean_proba_ = posterior_of_small(loss, seed)
        del self._out_of_fold

    def extend(
        self,
        n_steps_done: int,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Part the losses of new texts.

        Parameters
        ----------
        n_steps_done : int
            How many steps there were; the next has this number.
        n_classes : int
            The number of classes.
        n_steps : int
            How many steps there will be in addition.
        random_state : RandomState
            The source of the mixture's start.
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
        """Keep the rows that are likely clean.

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
        mask = self.clean_proba_[rows] > self.clean
        target = teacher_proba if self.target == "soft" else None
        return Selected(mask, np.ones(len(mask)), target)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned.

        Returns
        -------
        dict of str to ndarray
            Arrays.
        """
        return {"clean_proba_": self.clean_proba_}

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned.

        Parameters
        ----------
        state : dict of str to ndarray
            Arrays.
        """
        self.clean_proba_ = state["clean_proba_"]


def posterior_of_small(loss: FloatArray, seed: int) -> npt.NDArray[np.float32]:
    """Return how likely each loss is of the smaller of two Gaussians.

    Parameters
    ----------
    loss : ndarray of shape (n_rows,)
        The losses, in nats.
    seed : int
        The seed of the mixture's start.

    Returns
    -------
    ndarray of shape (n_rows,), float32
        Probabilities; 1 where there is nothing to part.
    """
    from sklearn.mixture import GaussianMixture

    if len(np.unique(loss.round(9))) < 2:
        return np.ones(len(loss), dtype=np.float32)
    mixture = GaussianMixture(2, reg_covar=1e-4, random_state=seed)
    posterior = mixture.fit(loss[:, None]).predict_proba(loss[:, None])
    small: npt.NDArray[np.float32] = posterior[:, mixture.means_[:, 0].argmin()]
    return small.astype(np.float32)
