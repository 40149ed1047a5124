"""Weights that debias distillation."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from typing_extensions import override

from skllkd._core.arrays import BoolArray, Float32Array, FloatArray
from skllkd._core.params import check_number
from skllkd.selection.base import Selection, check_target, target_of
from skllkd.selection.batch import Batch, Pool, Selected

_LOWEST_LOSS = 0.05  # nats: a loss near zero makes a distortion near infinity


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
        The number of folds e is estimated with.
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
    >>> from skllkd.selection import Batch, Pool, WeightedDistillation
    >>> teacher = np.array([[0.9, 0.1], [0.6, 0.4]])
    >>> pool = Pool(teacher, student_proba=np.array([[0.8, 0.2], [0.3, 0.7]]))
    >>> rule = WeightedDistillation()
    >>> rule.begin(pool, 1, np.random.RandomState(0))
    >>> student = np.array([[0.2, 0.8], [0.2, 0.8]])
    >>> rule.select(Batch(np.arange(2), teacher, student)).weight.round(2)
    array([1.  , 0.14])
    """

    learned_arrays = ("error_proba_",)

    def __init__(self, n_folds: int = 5, target: str = "hard") -> None:
        self.n_folds = n_folds
        self.target = target

    @override
    def check(self) -> None:
        check_number(self.n_folds, "n_folds", 2, integer=True)
        check_target(self.target)

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        disagrees = self._out_of_fold(pool).argmax(axis=1) != pool.pseudo_label
        self.error_proba_ = error_by_confidence(pool.teacher_confidence, disagrees)

    @override
    def select(self, batch: Batch) -> Selected:
        student_proba = self._scored(batch)
        n_rows = len(batch.rows)
        loss = _loss(student_proba[np.arange(n_rows), batch.pseudo_label])
        lowest_loss = _loss(student_proba.max(axis=1, initial=0.0))
        error_proba = self.error_proba_[batch.rows]
        weight = 1 / (1 + error_proba * (loss / lowest_loss - 1))
        mask = np.ones(n_rows, dtype=bool)
        return Selected(mask, weight, target_of(batch, self.target))


def _loss(proba: FloatArray) -> FloatArray:
    """Return the cross-entropy in nats at a label of this probability, floored."""
    return np.maximum(-np.log(np.maximum(proba, 1e-12)), _LOWEST_LOSS)


def error_by_confidence(confidence: FloatArray, disagrees: BoolArray) -> Float32Array:
    """Return the isotonic regression of disagreement, falling with the confidence."""
    from sklearn.isotonic import IsotonicRegression  # slow to import

    if not len(confidence):
        return np.empty(0, dtype=np.float32)
    isotonic = IsotonicRegression(
        y_min=0, y_max=1, increasing=False, out_of_bounds="clip"
    )
    # Rounded, so that confidences that are equal but for rounding are ties.
    error: FloatArray = isotonic.fit_transform(confidence.round(9), disagrees * 1.0)
    return error.astype(np.float32)
