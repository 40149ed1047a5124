"""The rows of every batch the student is most uncertain of."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd._core.params import check_number, check_option
from skllkd.selection.base import Selection, check_target, target_of, with_steps
from skllkd.selection.batch import Batch, Pool, Selected
from skllkd.selection.uncertainty import normalised_entropy


class TopUncertainty(Selection):
    r"""Keep the share of every batch the student is most uncertain of.

    The data selection of Dynamic KD [1]_: of a batch of n rows the
    :math:`\lceil r n \rceil` with the highest entropy of the student's distribution, or
    with the largest divergence of the teacher from the student,
    :math:`\sum_k p_T(k) \log (p_T(k) / p_S(k))`.

    Parameters
    ----------
    share : float in (0, 1], default=0.25
        The share r of a batch kept.
    measure : {"entropy", "kl"}, default="entropy"
        The quantity rows are ranked by.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    Attributes
    ----------
    thresholds_ : ndarray of shape (n_steps,), float32
        The lowest value kept at each step.

    See Also
    --------
    LLKDSelection : A moving threshold instead of a fixed share.

    References
    ----------
    .. [1] Li et al., "Dynamic Knowledge Distillation for Pre-trained Language Models",
       EMNLP 2021, arXiv:2109.11295.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Batch, Pool, TopUncertainty
    >>> teacher = np.full((2, 2), 0.5)
    >>> student = np.array([[0.9, 0.1], [0.6, 0.4]])
    >>> rule = TopUncertainty(share=0.5)
    >>> rule.begin(Pool(teacher), 1, np.random.RandomState(0))
    >>> rule.select(Batch(np.arange(2), teacher, student)).mask
    array([False,  True])
    """

    learned_arrays = ("thresholds_",)

    def __init__(
        self, share: float = 0.25, measure: str = "entropy", target: str = "hard"
    ) -> None:
        self.share = share
        self.measure = measure
        self.target = target

    @override
    def check(self) -> None:
        check_number(self.share, "share", 0, 1, open_low=True)
        check_option(self.measure, "measure", ["entropy", "kl"])
        check_target(self.target)

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        if first_step == 0:
            self.thresholds_ = np.empty(0, dtype=np.float32)
        self.thresholds_ = with_steps(self.thresholds_, first_step, n_steps)

    @override
    def select(self, batch: Batch) -> Selected:
        student_proba = self._scored(batch)
        if self.measure == "kl":
            score = kl_divergence(batch.teacher_proba, student_proba)
        else:
            score = normalised_entropy(student_proba)
        n_kept = int(np.ceil(self.share * len(score) - 1e-9))
        kept = np.argsort(-score, kind="stable")[:n_kept]
        mask = np.zeros(len(score), dtype=bool)
        mask[kept] = True
        if n_kept:
            self.thresholds_[batch.step] = score[kept[-1]]
        return Selected(mask, np.ones(len(mask)), target_of(batch, self.target))


def kl_divergence(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return the Kullback-Leibler divergence of each row of `q` from `p`, in nats."""
    log_p, log_q = np.log(np.maximum(p, 1e-12)), np.log(np.maximum(q, 1e-12))
    divergence: FloatArray = (p * (log_p - log_q)).sum(axis=1)
    return divergence
