"""A fixed threshold on the teacher's confidence."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import BoolArray
from skllkd._core.params import check_number
from skllkd.selection.base import Selection, check_target, target_of
from skllkd.selection.batch import Batch, Selected


class ConfidenceThreshold(Selection):
    r"""Keep the rows whose teacher confidence reaches a fixed threshold.

    The rule of FixMatch [1]_: :math:`c_i \ge \tau`. It assumes that a confidence
    means the same in every pool, which holds for few teachers; if no row reaches the
    threshold nothing is kept, and `fit` warns.

    Parameters
    ----------
    threshold : float in [0, 1], default=0.95
        The lowest confidence kept.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    See Also
    --------
    TopConfidence : A share of the pool, whatever the confidences are.

    References
    ----------
    .. [1] Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with
       Consistency and Confidence", NeurIPS 2020, arXiv:2001.07685.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Batch, ConfidenceThreshold
    >>> teacher = np.array([[0.97, 0.03], [0.8, 0.2]])
    >>> ConfidenceThreshold().select(Batch(np.arange(2), teacher)).mask
    array([ True, False])
    """

    uses_student = False

    def __init__(self, threshold: float = 0.95, target: str = "hard") -> None:
        self.threshold = threshold
        self.target = target

    @override
    def check(self) -> None:
        check_number(self.threshold, "threshold", 0, 1)
        check_target(self.target)

    @override
    def select(self, batch: Batch) -> Selected:
        mask: BoolArray = batch.teacher_confidence >= self.threshold
        return Selected(mask, np.ones(len(mask)), target_of(batch, self.target))
