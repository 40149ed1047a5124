"""Losses of the students on a pretrained encoder.

A loss uses only methods of the tensors, so that torch is not imported here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator
from typing_extensions import override

from skllkd._core.params import check_number
from skllkd.exceptions import InvalidParameterError

if TYPE_CHECKING:
    from torch import Tensor


class Loss(BaseEstimator, ABC):
    """Base class of the losses.

    The selection sets the target of a row: the pseudo-label, as a one-hot distribution,
    or with `target="soft"` the teacher's distribution. The loss measures the student's
    distance to it.

    See Also
    --------
    CrossEntropy : The default.

    Examples
    --------
    The squared distance, also known as the Brier score:

    >>> from skllkd.students import FrozenEncoderStudent, Loss
    >>> class Brier(Loss):
    ...     def per_sample(self, log_proba, target):
    ...         return (log_proba.exp() - target).square().sum(dim=1)
    >>> student = FrozenEncoderStudent(loss=Brier())
    """

    #: Whether the loss requires soft targets; with a pseudo-label it is cross-entropy.
    requires_soft_targets: bool = False

    def check(self) -> None:
        """Raise `InvalidParameterError` if a parameter's value is not allowed."""

    @abstractmethod
    def per_sample(self, log_proba: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row.

        Parameters
        ----------
        log_proba : Tensor of shape (n_rows, n_classes)
            The student's log-probabilities; finite.
        target : Tensor of shape (n_rows, n_classes)
            The distributions to learn, rows summing to 1.

        Returns
        -------
        Tensor of shape (n_rows,)
            The losses, not negative.
        """


class CrossEntropy(Loss):
    """Cross-entropy, towards a label or a distribution, smoothed if wanted.

    For a target t and the student's p: ``-sum_k s_k log p_k`` in nats, where
    ``s = (1 - label_smoothing) t + label_smoothing / n_classes`` [1]_. Towards a
    pseudo-label it is hard, towards a distribution soft; the selection's `target` says
    which.

    Parameters
    ----------
    label_smoothing : float in [0, 1), default=0.0
        The share of the target that is spread over all classes.

    See Also
    --------
    GeneralizedCrossEntropy : Gives in less to labels it finds unlikely.
    CandidateSet : Only asks for one of the plausible classes.

    References
    ----------
    .. [1] Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
       CVPR 2016, section 7, arXiv:1512.00567.

    Examples
    --------
    >>> import torch
    >>> from skllkd.students import CrossEntropy
    >>> log_proba = torch.tensor([[0.8, 0.2]]).log()
    >>> CrossEntropy().per_sample(log_proba, torch.tensor([[1.0, 0.0]]))
    tensor([0.2231])
    >>> CrossEntropy(label_smoothing=0.1).per_sample(log_proba, torch.tensor([[1.0, 0.0]]))
    tensor([0.2925])
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    @override
    def check(self) -> None:
        check_number(self.label_smoothing, "label_smoothing", 0, 1, open_high=True)

    @override
    def per_sample(self, log_proba: Tensor, target: Tensor) -> Tensor:
        if self.label_smoothing:
            share = self.label_smoothing
            target = (1 - share) * target + share / target.shape[1]
        return -(target * log_proba).sum(dim=1)


class GeneralizedCrossEntropy(Loss):
    """Cross-entropy bent towards the mean absolute error, for noisy labels.

    For a target t and the student's p: ``sum_k t_k (1 - p_k ** q) / q`` [1]_. The
    gradient is that of cross-entropy times ``p_k ** q``: labels the student finds
    unlikely pull less, and wrong ones are learned by heart less.

    Parameters
    ----------
    q : float in (0, 1], default=0.7
        Near 0 it is cross-entropy; at 1 it is ``1 - p``, half the absolute error.

    See Also
    --------
    CrossEntropy : Every label pulls as it is.

    References
    ----------
    .. [1] Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural
       Networks with Noisy Labels", NeurIPS 2018, equation 6, arXiv:1805.07836.

    Examples
    --------
    >>> import torch
    >>> from skllkd.students import GeneralizedCrossEntropy
    >>> log_proba = torch.tensor([[0.8, 0.2]]).log()
    >>> GeneralizedCrossEntropy(q=0.7).per_sample(log_proba, torch.tensor([[1.0, 0.0]]))
    tensor([0.2066])
    """

    def __init__(self, q: float = 0.7) -> None:
        self.q = q

    @override
    def check(self) -> None:
        check_number(self.q, "q", 0, 1, open_low=True)

    @override
    def per_sample(self, log_proba: Tensor, target: Tensor) -> Tensor:
        # 1 - p**q would lose its digits where q or log p is small.
        return (target * -(self.q * log_proba).expm1()).sum(dim=1) / self.q


class CandidateSet(Loss):
    """Asks for one of the classes the teacher finds plausible, whichever it is.

    For the student's p and the plausible set S: ``-log sum_{k in S} p_k`` [1]_, in nats.
    S is read from the target: the smallest set of its likeliest classes, with ties
    included, that together hold at least `coverage` of it. A pseudo-label is a set of
    one, and the loss then cross-entropy: to learn from sets, let the selection give the
    teacher's distribution (`target="soft"`) or a target spread over its candidates.

    Parameters
    ----------
    coverage : float in (0, 1], default=0.9
        The probability the set holds at least. At 1 it is every class with any, all of
        them with most teachers, and nothing is learned.

    See Also
    --------
    CrossEntropy : Learns how likely each class is.

    References
    ----------
    .. [1] Feng et al., "Provably Consistent Partial-Label Learning", NeurIPS 2020, the
       classifier-consistent method, arXiv:2007.08929.

    Examples
    --------
    >>> import torch
    >>> from skllkd.students import CandidateSet
    >>> log_proba = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> teacher = torch.tensor([[0.6, 0.35, 0.05]])
    >>> CandidateSet().per_sample(log_proba, teacher)  # -log(0.5 + 0.3)
    tensor([0.2231])
    """

    requires_soft_targets = True

    def __init__(self, coverage: float = 0.9) -> None:
        self.coverage = coverage

    @override
    def check(self) -> None:
        check_number(self.coverage, "coverage", 0, 1, open_low=True)

    @override
    def per_sample(self, log_proba: Tensor, target: Tensor) -> Tensor:
        ordered = target.sort(dim=1, descending=True).values
        likelier = ordered.cumsum(dim=1) - ordered
        is_in = likelier < self.coverage - 1e-6  # sums in float32 are rounded
        n_in = is_in.sum(dim=1, keepdim=True).clamp(min=1)
        least = ordered.gather(1, n_in - 1)  # ties with it are in the set as well
        outside = (target < least) | (target <= 0)
        return -log_proba.masked_fill(outside, float("-inf")).logsumexp(dim=1)


def check_loss(loss: Any) -> None:
    """Raise unless a loss is one, with parameters that are allowed, or None."""
    if loss is None:
        return
    if not isinstance(loss, Loss):
        raise InvalidParameterError(
            "`loss` must be a loss of skllkd.students, such as "
            f"GeneralizedCrossEntropy(q=0.7), or None for cross-entropy; got {loss!r}."
        )
    loss.check()
