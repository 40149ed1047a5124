"""Answers of the teacher and of sources of evidence, weighted and combined."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, softmax

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows
from skllkd.exceptions import InvalidParameterError
from skllkd.refinement.base import Evidence, EvidenceContext
from skllkd.refinement.record import Source
from skllkd.refinement.weights import evidence_weights, gold_weights

#: The smallest probability that evidence gives a class, as the teacher does.
_FLOOR = 1e-4
#: The smallest weight of evidence that alone can label a text.
_SMALLEST_WEIGHT = 1e-3
#: The largest number of texts from which weights are estimated.
_MOST_TEXTS = 10_000


class Answer(NamedTuple):
    """The answer of a source, or of the teacher."""

    source: Evidence | None  # None is the teacher
    log_prob: (
        FloatArray | None
    )  # (n_texts, n_classes), floored; None if it stands aside
    weight: float = 1.0
    missing: str = ""  # without which it stands aside
    agreement: float | None = None  # with the teacher's labels

    @property
    def weighted(self) -> FloatArray | None:
        """The log-probabilities times the weight, None if they say nothing."""
        if self.log_prob is None or self.weight < _SMALLEST_WEIGHT:
            return None
        said: FloatArray = self.weight * self.log_prob
        return said if self.weight <= 1 else _floored(log_softmax(said, axis=1))

    def described(self) -> Source:
        """Return the record of the answer."""
        name = "teacher" if self.source is None else self.source.name
        if self.log_prob is None:
            needed = "" if self.source is None else self.source.requirement
            missing = self.missing or needed
            return Source(name, 0.0, 0, missing, self.agreement)
        n_texts = int(np.count_nonzero(~nan_rows(self.log_prob)))
        return Source(name, self.weight, n_texts, agreement=self.agreement)


def teacher_answer(teacher_proba: FloatArray) -> Answer:
    """Return a teacher's distributions as an answer."""
    with np.errstate(divide="ignore"):
        return Answer(None, _floored(np.log(teacher_proba)))


def checked_log_prob(source: Evidence, context: EvidenceContext) -> FloatArray | None:
    """Return the log-probabilities of a source, whose shape is checked."""
    found = source.log_prob(context)
    if found is None:
        return None
    log_prob: FloatArray = np.asarray(found, dtype=np.float64)
    if log_prob.shape != context.labels.shape:
        raise InvalidParameterError(
            f"{type(source).__name__}.log_prob must return an array of shape "
            f"{context.labels.shape}, a row a text and a column a class; got "
            f"{log_prob.shape}."
        )
    return log_prob


def ask(source: Evidence, context: EvidenceContext) -> Answer:
    """Ask a source."""
    log_prob = checked_log_prob(source, context)
    if log_prob is None:
        return Answer(source, None)
    answer = _floored(log_softmax(log_prob, axis=1))
    return Answer(source, answer, agreement=_agreement(answer, context.teacher_proba))


def _agreement(log_prob: FloatArray, teacher_proba: FloatArray) -> float | None:
    """Return the share of the teacher's labels that an answer repeats."""
    said, label = most_probable(log_prob), most_probable(teacher_proba)
    known = (said >= 0) & (label >= 0)
    return float(np.mean(said[known] == label[known])) if known.any() else None


def _floored(log_prob: FloatArray) -> FloatArray:
    """Raise log-probabilities to at least log(1e-4); rows of NaN stay."""
    return np.maximum(log_prob, np.log(_FLOOR))


def weighted_by_teacher(
    answers: list[Answer], teacher_proba: FloatArray
) -> list[Answer]:
    """Estimate the weights of answers from their agreement with the teacher."""
    known = np.flatnonzero(~nan_rows(teacher_proba))
    known = known[:: max(1, len(known) // _MOST_TEXTS)]
    if all(answer.log_prob is None for answer in answers):
        return answers
    label = teacher_proba[known].argmax(axis=1)
    return _with_weights(answers, evidence_weights(_stacked(answers, known), label))


def equals_labels(answer: Answer, so_far: EvidenceContext) -> bool:
    """Return whether an encoder's answer is as good as the labels claim to be.

    Two independent judges who are right with probability t agree in t^2 + (1 - t)^2 /
    (n_classes - 1) of the texts. A source that agrees with the labels less often, with t
    their mean probability, is worse than they are: it would replace them by its errors.
    """
    source = answer.source
    if answer.log_prob is None or source is None or not source.of_encoder:
        return True
    known = ~(nan_rows(so_far.teacher_proba) | nan_rows(answer.log_prob))
    if not known.any() or so_far.teacher_proba[known].max(axis=1).min() > 1 - _FLOOR:
        return True  # a teacher without confidences claims nothing
    labels = so_far.labels[known]
    claim = float(labels.max(axis=1).mean())
    same = labels.argmax(axis=1) == answer.log_prob[known].argmax(axis=1)
    n_others = max(1, labels.shape[1] - 1)
    return bool(same.mean() >= claim**2 + (1 - claim) ** 2 / n_others)


def for_unlabelled(
    answer: Answer, context: EvidenceContext, missing: str = "labels that are less sure"
) -> Answer:
    """Return an answer that leaves the texts with a teacher's label alone.

    If that is all texts, gold labels may still give it a weight.
    """
    if answer.log_prob is None:
        return answer
    unlabelled = nan_rows(context.teacher_proba)[:, None]
    if not unlabelled.any() and context.gold is not None:
        return answer._replace(weight=0.0)
    if not unlabelled.any():
        return answer._replace(log_prob=None, missing=missing)
    return answer._replace(log_prob=np.where(unlabelled, answer.log_prob, np.nan))


def combined(
    answers: list[Answer], gold: IntArray | None
) -> tuple[FloatArray, list[Answer]]:
    """Return softmax(sum of b z + c), and the answers with their weights b.

    Without gold labels the weights are those of the answers, and c is 0. Rows of NaN
    where nobody says anything.
    """
    offset: FloatArray | float = 0.0
    if gold is not None:
        rows = np.flatnonzero(gold >= 0)
        prior = np.array([a.weight for a in answers if a.log_prob is not None])
        weights, offset = gold_weights(_stacked(answers, rows), gold[rows], prior)
        answers = _with_weights(answers, weights)
    said = [a.weighted for a in answers if a.weighted is not None]
    is_known = ~np.logical_and.reduce([nan_rows(log_prob) for log_prob in said])
    proba = np.full(said[0].shape, np.nan)
    total = sum(np.nan_to_num(log_prob[is_known]) for log_prob in said)
    proba[is_known] = softmax(total + offset, axis=1)
    return proba, answers


def _stacked(answers: list[Answer], rows: IntArray) -> FloatArray:
    """Return the log-probabilities of some rows, (n_sources, n_rows, n_classes).

    Rows of which a source says nothing are 0.
    """
    spoken = [a.log_prob[rows] for a in answers if a.log_prob is not None]
    return np.nan_to_num(np.array(spoken))


def _with_weights(answers: list[Answer], weights: FloatArray) -> list[Answer]:
    """Return answers with the weights of those that do not stand aside."""
    own = iter(weights.tolist())
    return [a if a.log_prob is None else a._replace(weight=next(own)) for a in answers]


def silent(answers: list[Answer], proba: FloatArray) -> BoolArray:
    """Return a mask of the rows of which no answer says anything, (n_texts, 1)."""
    mask: BoolArray = np.ones(len(proba), dtype=bool)
    for answer in answers:
        if answer.weighted is not None:
            mask &= nan_rows(answer.weighted)
    return mask[:, None]


def with_every_class(proba: FloatArray, teacher_proba: FloatArray) -> FloatArray:
    """Return refined labels in which no class lost all of its texts."""
    label, before = most_probable(proba), most_probable(teacher_proba)
    lost = np.setdiff1d(before[before >= 0], label)
    return np.where(np.isin(before, lost)[:, None], teacher_proba, proba)


def with_gold(proba: FloatArray, gold: IntArray | None) -> FloatArray:
    """Return distributions in which gold labels are certain."""
    if gold is None:
        return proba
    one_hot = np.eye(proba.shape[1])[np.maximum(gold, 0)]
    return np.where((gold >= 0)[:, None], one_hot, proba)


def most_probable(proba: FloatArray) -> IntArray:
    """Return the most probable class of each row, -1 for rows of NaN."""
    return np.where(nan_rows(proba), -1, np.nan_to_num(proba).argmax(axis=1))
