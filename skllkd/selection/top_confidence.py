"""The rows of the pool the teacher is most confident of."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from typing_extensions import override

from skllkd._core.params import check_number, check_option
from skllkd.selection.base import Selection, check_target, target_of
from skllkd.selection.batch import Batch, Pool, Selected
from skllkd.selection.thresholds import reaches


class TopConfidence(Selection):
    r"""Keep the share of the pool the teacher is most confident of.

    Row i is kept when :math:`c_i = \max p_T` reaches the quantile of c that leaves
    `share` of the pool above it: of the whole pool, or of the rows with the same
    pseudo-label. Ties at the quantile are kept.

    Parameters
    ----------
    share : float in (0, 1], default=0.25
        The share of the pool kept.
    per_class : bool, default=False
        Whether each class has a quantile of its own.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    Attributes
    ----------
    thresholds_ : ndarray of shape (n_classes,)
        The lowest confidence kept of each class; infinite for a class without rows.

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
    >>> from skllkd.selection import Batch, Pool, TopConfidence
    >>> teacher = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    >>> rule = TopConfidence(share=0.5, per_class=True)
    >>> rule.begin(Pool(teacher), 1, np.random.RandomState(0))
    >>> rule.select(Batch(np.arange(4), teacher)).mask
    array([ True, False, False,  True])
    """

    uses_student = False
    learned_arrays = ("thresholds_",)

    def __init__(
        self, share: float = 0.25, per_class: bool = False, target: str = "hard"
    ) -> None:
        self.share = share
        self.per_class = per_class
        self.target = target

    @override
    def check(self) -> None:
        check_number(self.share, "share", 0, 1, open_low=True)
        check_option(self.per_class, "per_class", [True, False])
        check_target(self.target)

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        confidence, label = pool.teacher_confidence, pool.pseudo_label
        self.thresholds_ = np.full(pool.n_classes, np.inf)
        for k in np.unique(label):
            among = confidence[label == k] if self.per_class else confidence
            n_kept = max(round(self.share * len(among)), 1)
            self.thresholds_[k] = np.sort(among)[-n_kept]

    @override
    def select(self, batch: Batch) -> Selected:
        mask = reaches(batch.teacher_confidence, self.thresholds_[batch.pseudo_label])
        return Selected(mask, np.ones(len(mask)), target_of(batch, self.target))
