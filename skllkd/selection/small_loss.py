"""Rows with a small out-of-fold loss."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from typing_extensions import override

from skllkd._core.arrays import Float32Array, FloatArray
from skllkd._core.params import check_number
from skllkd.selection.base import Selection, check_target, target_of
from skllkd.selection.batch import Batch, Pool, Selected


class SmallLoss(Selection):
    r"""Keep the rows whose pseudo-label has a small out-of-fold loss.

    Wrong labels have larger losses. A mixture of two Gaussians is fitted to the losses
    of the pool, :math:`-\log p(y_i)`, and a row is kept when the posterior of the
    component with the smaller mean exceeds `clean` [1]_ [2]_. The losses are those of
    students trained on the other folds, since a student that has learned a wrong label
    no longer finds it unlikely.

    Parameters
    ----------
    clean : float in [0, 1), default=0.7
        The posterior probability of being clean above which rows are kept.
    n_folds : int, default=5
        The number of folds the losses are computed with.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    Attributes
    ----------
    clean_proba_ : ndarray of shape (n_rows,), float32
        The posterior of each row of the pool.

    See Also
    --------
    WeightedDistillation : Weighs by the probability of an error instead of cutting.

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
    >>> from skllkd.selection import Batch, Pool, SmallLoss
    >>> teacher = np.full((6, 2), [0.8, 0.2])
    >>> first = np.array([0.9, 0.92, 0.88, 0.91, 0.2, 0.22])
    >>> rule = SmallLoss()
    >>> pool = Pool(teacher, student_proba=np.column_stack([first, 1 - first]))
    >>> rule.begin(pool, 1, np.random.RandomState(0))
    >>> rule.select(Batch(np.arange(6), teacher)).mask
    array([ True,  True,  True,  True, False, False])
    """

    uses_student = False
    learned_arrays = ("clean_proba_",)

    def __init__(
        self, clean: float = 0.7, n_folds: int = 5, target: str = "hard"
    ) -> None:
        self.clean = clean
        self.n_folds = n_folds
        self.target = target

    @override
    def check(self) -> None:
        check_number(self.clean, "clean", 0, 1, open_high=True)
        check_number(self.n_folds, "n_folds", 2, integer=True)
        check_target(self.target)

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        label = pool.pseudo_label
        proba = self._out_of_fold(pool)[np.arange(len(label)), label]
        seed = random_state.randint(2**31 - 1)
        self.clean_proba_ = posterior_of_small(-np.log(np.maximum(proba, 1e-12)), seed)

    @override
    def select(self, batch: Batch) -> Selected:
        mask = self.clean_proba_[batch.rows] > self.clean
        return Selected(mask, np.ones(len(mask)), target_of(batch, self.target))


def posterior_of_small(loss: FloatArray, seed: int) -> Float32Array:
    """Return the posterior of the lower of two Gaussians; 1 if all losses are equal."""
    from sklearn.mixture import GaussianMixture  # slow to import

    if len(np.unique(loss.round(9))) < 2:
        return np.ones(len(loss), dtype=np.float32)
    mixture = GaussianMixture(2, reg_covar=1e-4, random_state=seed)
    posterior = mixture.fit(loss[:, None]).predict_proba(loss[:, None])
    small: Float32Array = posterior[:, mixture.means_[:, 0].argmin()]
    return small.astype(np.float32)
