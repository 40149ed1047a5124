"""Refinement: a teacher's labels and further evidence, combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.params import check_number, shown
from skllkd.exceptions import InvalidParameterError
from skllkd.refinement.base import Evidence, EvidenceContext
from skllkd.refinement.class_names import ClassNames
from skllkd.refinement.out_of_fold import OutOfFold
from skllkd.refinement.record import Source
from skllkd.refinement.weights import evidence_weights

#: The smallest probability that evidence gives a class, as the teacher does.
_FLOOR = 1e-4
#: The smallest weight of evidence that alone can label a text.
_SMALLEST_WEIGHT = 1e-3
#: Number of texts from which a source that learns has half its weight.
_FEW_TEXTS = 50
#: The largest number of texts from which weights are estimated.
_MOST_TEXTS = 10_000


@dataclass(frozen=True, repr=False)
class Refinement(BaseEstimator):
    r"""Labels better than the teacher's, by further evidence at hand.

    With :math:`z_T` the log-probabilities of the calibrated teacher and :math:`z_j`
    those of the other sources, each floored at log(1e-4), the refined distribution of
    a text is

    .. math:: q = \mathrm{softmax}\bigl(z_T + \sum_j b_j\, z_j\bigr)

    The weights :math:`b_j \ge 0` are those of a multinomial logistic regression of the
    teacher's labels on the evidence: near 0 where it says nothing of the classes. A
    source that learns from the labels, as `OutOfFold` does, is asked again in each
    round, with the labels of the round before. Its weight is n / (n + 50) for n texts
    with a teacher's label, so about 1, and little where it has hardly anything to learn
    from. If it agrees with the labels less often than it would if it were as good as
    they claim to be, it speaks only of texts without a teacher's label:

    .. math:: a < t^2 + (1 - t)^2 / (n_{classes} - 1)

    with a the agreement in the first round and t the mean of the largest probabilities.
    A good teacher is thus not corrected by a student that knows less. Labels without
    confidences claim nothing.

    Parameters
    ----------
    evidence : sequence of Evidence, default=(ClassNames(), OutOfFold())
        The sources beside the teacher.
    n_rounds : int, default=2
        Number of times that sources which learn from the labels are asked.

    See Also
    --------
    skllkd.LLKDClassifier : Refines by default.

    Notes
    -----
    A text without a teacher's label takes part: of it the teacher says nothing, and
    the others decide. A class to which the refined labels would give no text keeps
    those of the teacher.

    Examples
    --------
    >>> from skllkd import LLKDClassifier
    >>> from skllkd.refinement import ClassNames, Refinement
    >>> clf = LLKDClassifier(refine=Refinement([ClassNames()]))
    >>> clf.set_params(refine__n_rounds=3).refine
    Refinement(evidence=[ClassNames()], n_rounds=3)
    """

    evidence: Sequence[Evidence] = (ClassNames(), OutOfFold())
    n_rounds: int = 2

    def check(self) -> None:
        """Check the parameters, before labels are bought.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.n_rounds, "refine__n_rounds", 1, integer=True)
        is_sequence = isinstance(self.evidence, Sequence)
        if not is_sequence or not all(isinstance(e, Evidence) for e in self.evidence):
            raise InvalidParameterError(
                "`refine__evidence` must hold sources of skllkd.refinement, as "
                f"(ClassNames(), OutOfFold()); got {shown(self.evidence)}."
            )
        for source in self.evidence:
            source.check()

    def __call__(
        self, context: EvidenceContext
    ) -> tuple[FloatArray, tuple[Source, ...]]:
        """Combine a teacher's distributions with the evidence.

        Parameters
        ----------
        context : EvidenceContext
            The texts, the teacher's distributions, and the means to find evidence.

        Returns
        -------
        refined_proba : ndarray of shape (n_texts, n_classes)
            The refined distributions; rows of NaN where neither the teacher nor other
            evidence says anything.
        sources : tuple of Source
            The weight of each source, and the number of texts it spoke of.
        """
        with np.errstate(divide="ignore"):
            teacher = _floored(np.log(context.teacher_proba))
        fixed = [_ask(e, context) for e in self.evidence if not e.uses_labels]
        fixed = _weighted(fixed, teacher)
        proba = _combined(teacher, fixed)
        n_known = np.count_nonzero(~nan_rows(teacher))
        weight = n_known / (n_known + _FEW_TEXTS)
        learners = [e for e in self.evidence if e.uses_labels]
        learned: list[_Answer] = []
        equals: list[bool] = []
        for _ in range(self.n_rounds if learners else 0):
            so_far = replace(context, labels=proba)
            learned = [_ask(e, so_far)._replace(weight=weight) for e in learners]
            equals = equals or [_equals(answer, so_far) for answer in learned]
            pairs = zip(learned, equals, strict=True)
            learned = [a if good else _for_unlabelled(a, context) for a, good in pairs]
            proba = _combined(teacher, [*fixed, *learned])
            if all(answer.log_prob is None for answer in learned):
                break
        proba = _with_every_class(proba, context.teacher_proba)
        return proba, tuple(answer.described() for answer in [*fixed, *learned])

    def portable(self) -> Refinement:
        """Return the refinement as files hold it: without teachers and functions.

        Returns
        -------
        Refinement
            Itself, if it holds none.
        """
        kept = tuple(e for e in self.evidence if e.portable() is not None)
        return (
            self if len(kept) == len(self.evidence) else Refinement(kept, self.n_rounds)
        )

    def __sklearn_clone__(self) -> Self:
        """Return the refinement itself, which never changes."""
        return self


class _Answer(NamedTuple):
    """The answer of a source."""

    source: Evidence
    log_prob: (
        FloatArray | None
    )  # (n_texts, n_classes), floored; None if it stands aside
    weight: float = 1.0
    missing: str = ""  # without which it stands aside

    @property
    def weighted(self) -> FloatArray | None:
        """The log-probabilities times the weight, None if they say nothing."""
        if self.log_prob is None or self.weight < _SMALLEST_WEIGHT:
            return None
        return _floored(log_softmax(self.weight * self.log_prob, axis=1))

    def described(self) -> Source:
        """Return the record of the answer."""
        if self.log_prob is None:
            missing = self.missing or self.source.requirement
            return Source(self.source.name, 0.0, 0, missing)
        n_texts = int(np.count_nonzero(~nan_rows(self.log_prob)))
        return Source(self.source.name, self.weight, n_texts)


def _ask(source: Evidence, context: EvidenceContext) -> _Answer:
    """Ask a source, and check its answer."""
    log_prob = source.log_prob(context)
    if log_prob is None:
        return _Answer(source, None)
    log_prob = np.asarray(log_prob, dtype=np.float64)
    if log_prob.shape != context.labels.shape:
        raise InvalidParameterError(
            f"{type(source).__name__}.log_prob must return an array of shape "
            f"{context.labels.shape}, a row a text and a column a class; got "
            f"{log_prob.shape}."
        )
    return _Answer(source, _floored(log_softmax(log_prob, axis=1)))


def _floored(log_prob: FloatArray) -> FloatArray:
    """Raise log-probabilities to at least log(1e-4); rows of NaN stay."""
    return np.maximum(log_prob, np.log(_FLOOR))


def _weighted(answers: list[_Answer], teacher: FloatArray) -> list[_Answer]:
    """Estimate the weights of answers from their agreement with the teacher."""
    spoken = [answer for answer in answers if answer.log_prob is not None]
    known = np.flatnonzero(~nan_rows(teacher))
    known = known[:: max(1, len(known) // _MOST_TEXTS)]
    if not spoken:
        return answers
    evidence = np.array([np.nan_to_num(a.log_prob[known]) for a in spoken])
    weights = iter(evidence_weights(evidence, teacher[known].argmax(axis=1)))
    return [
        answer
        if answer.log_prob is None
        else answer._replace(weight=float(next(weights)))
        for answer in answers
    ]


def _equals(answer: _Answer, so_far: EvidenceContext) -> bool:
    """Return whether a source that learned the labels is as good as they claim to be.

    Two independent judges who are right with probability t agree in t^2 + (1 - t)^2 /
    (n_classes - 1) of the texts. A source that agrees with the labels less often, with t
    their mean probability, is worse than they are: it would replace them by its errors.
    """
    if answer.log_prob is None:
        return True
    known = ~(nan_rows(so_far.teacher_proba) | nan_rows(answer.log_prob))
    if not known.any() or so_far.teacher_proba[known].max(axis=1).min() > 1 - _FLOOR:
        return True  # a teacher without confidences claims nothing
    labels = so_far.labels[known]
    claim = float(labels.max(axis=1).mean())
    same = labels.argmax(axis=1) == answer.log_prob[known].argmax(axis=1)
    n_others = max(1, labels.shape[1] - 1)
    return bool(same.mean() >= claim**2 + (1 - claim) ** 2 / n_others)


def _for_unlabelled(answer: _Answer, context: EvidenceContext) -> _Answer:
    """Return an answer that leaves the texts with a teacher's label alone."""
    if answer.log_prob is None:
        return answer
    unlabelled = nan_rows(context.teacher_proba)[:, None]
    if not unlabelled.any():
        return answer._replace(log_prob=None, missing="labels that it predicts better")
    return answer._replace(log_prob=np.where(unlabelled, answer.log_prob, np.nan))


def _combined(teacher: FloatArray, answers: list[_Answer]) -> FloatArray:
    """Return softmax(z_T + sum of b z); rows of NaN of which nobody says anything."""
    said = [teacher, *(a.weighted for a in answers if a.weighted is not None)]
    is_known = ~np.logical_and.reduce([nan_rows(log_prob) for log_prob in said])
    proba = np.full(teacher.shape, np.nan)
    total = sum(np.nan_to_num(log_prob[is_known]) for log_prob in said)
    proba[is_known] = softmax(total, axis=1)
    return proba


def _with_every_class(proba: FloatArray, teacher_proba: FloatArray) -> FloatArray:
    """Return refined labels in which no class lost all of its texts."""
    label, before = _labels(proba), _labels(teacher_proba)
    lost = np.setdiff1d(before[before >= 0], label)
    return np.where(np.isin(before, lost)[:, None], teacher_proba, proba)


def _labels(proba: FloatArray) -> IntArray:
    """Return the most probable class of each row, -1 for rows of NaN."""
    return np.where(nan_rows(proba), -1, np.nan_to_num(proba).argmax(axis=1))
