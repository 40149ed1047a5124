"""Refinement: a teacher's labels and further evidence, combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.params import check_number, shown
from skllkd.exceptions import InvalidParameterError
from skllkd.refinement.answers import (
    Answer,
    ask,
    combined,
    equals_labels,
    for_unlabelled,
    most_probable,
    silent,
    teacher_answer,
    weighted_by_teacher,
    with_every_class,
    with_gold,
)
from skllkd.refinement.base import Evidence, EvidenceContext
from skllkd.refinement.class_names import ClassNames
from skllkd.refinement.gold import Accuracy, accuracy_on, distinct_rows, held_out
from skllkd.refinement.out_of_fold import OutOfFold
from skllkd.refinement.per_class import (
    heard,
    joined_accuracy,
    joined_proba,
    joined_sources,
    of_class,
    question,
)
from skllkd.refinement.record import Source
from skllkd.refinement.tag_agreement import tag_agreements

#: Number of texts from which a source that learns has half its weight.
_FEW_TEXTS = 50


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
    from. A text of which no source says anything keeps the teacher's distribution.

    What the student's encoder knows, `ClassNames` and `OutOfFold`, must be as good as
    the labels claim to be: a source that agrees with them less often than two judges
    who are right with probability t,

    .. math:: t^2 + (1 - t)^2 / (n_{classes} - 1),

    with t the mean of the largest probabilities before the source is heard, speaks only
    of texts without a teacher's label. A good teacher is thus not corrected by a
    student that knows less. Labels without confidences claim nothing.

    With gold labels of some texts

    .. math:: q = \mathrm{softmax}\bigl(s\, (a + b_T z_T + \sum_j b_j\, z_j)\bigr)

    with the factor s, the offsets a of the classes and the weights of the regression of
    the gold labels, under normal priors: of log s around 0 (precision 1), of a around 0
    (4), and of the weights around those above and that of the teacher around 1 (50). A
    gold label is certain in the refined distributions, and the sources that learn are
    taught it. The accuracy is that of labels found in five parts without the gold
    labels of the part.

    With several classes a text (`Multilabel`) each class is refined by itself, as a
    question answered no or yes; weights and accuracies are means over the classes.

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

    def __call__(self, context: EvidenceContext) -> Refined:
        """Combine a teacher's distributions with the evidence.

        Parameters
        ----------
        context : EvidenceContext
            The texts, the teacher's distributions, and the means to find evidence.

        Returns
        -------
        Refined
            The refined distributions, the weights of the sources, and the accuracy on
            gold labels.
        """
        if context.classes.multilabel:
            return self._by_class(context)
        teacher_proba = context.teacher_proba
        teacher = teacher_answer(teacher_proba)
        blind = replace(context, gold=None)  # to be judged by it
        fixed = [ask(e, blind) for e in self.evidence if not e.uses_labels]
        fixed = weighted_by_teacher(fixed, teacher_proba)
        so_far = replace(context, labels=teacher_proba)
        fixed = [
            answer if equals_labels(answer, so_far) else for_unlabelled(answer, so_far)
            for answer in fixed
        ]
        proba, answers, learned = self._rounds([teacher, *fixed], context)
        sources = tuple(answer.described() for answer in answers)
        out_of_fold = _out_of_fold(learned)
        if context.gold is None:
            proba = np.where(silent(answers[1:], proba), teacher_proba, proba)
            proba = with_every_class(proba, teacher_proba)
            return Refined(proba, sources[1:], out_of_fold=out_of_fold)
        proba = with_gold(with_every_class(proba, teacher_proba), context.gold)
        rows = distinct_rows(context.texts, context.gold)
        judged = self._put_aside([teacher, *fixed], context, context.gold)
        judged = {"teacher": teacher_proba, **judged}
        found = {k: accuracy_on(p, context.gold, rows) for k, p in judged.items()}
        found = {name: of for name, of in found.items() if of.n_texts}
        return Refined(proba, sources, found, out_of_fold)

    def _by_class(self, context: EvidenceContext) -> Refined:
        """Refine the labels of each class by themselves, as answers of no or yes."""
        blind = replace(context, gold=None)
        evidence = [heard(source, blind) for source in self.evidence]
        parts = [
            replace(self, evidence=of_class(evidence, k))(question(context, k))
            for k in range(len(context.classes))
        ]
        named = set.intersection(*(set(part.accuracy) for part in parts))
        out_of_fold = [part.out_of_fold for part in parts]
        unknown = np.full(len(context.labels), -1)
        columns = [unknown if c is None else c for c in out_of_fold]
        said = {source.name: tag_agreements(source, blind) for source in evidence}
        return Refined(
            joined_proba([part.proba for part in parts]),
            joined_sources([part.sources for part in parts], said),
            {
                name: joined_accuracy([part.accuracy[name] for part in parts])
                for name in parts[0].accuracy
                if name in named
            },
            None if all(c is None for c in out_of_fold) else np.column_stack(columns),
        )

    def _rounds(
        self, answers: list[Answer], context: EvidenceContext
    ) -> tuple[FloatArray, list[Answer], list[Answer]]:
        """Combine answers with those of the sources that learn from the labels.

        Also return the answers with their weights, and those that were learned.
        """
        learners = [e for e in self.evidence if e.uses_labels]
        weight, gold = _learner_weight(context), context.gold
        proba, weighted = combined(answers, gold)
        learned: list[Answer] = []
        equals: list[bool] = []
        for _ in range(self.n_rounds if learners else 0):
            so_far = replace(context, labels=with_gold(proba, gold))
            learned = [ask(e, so_far)._replace(weight=weight) for e in learners]
            equals = equals or [equals_labels(answer, so_far) for answer in learned]
            pairs = zip(learned, equals, strict=True)
            kept = [a if good else for_unlabelled(a, context) for a, good in pairs]
            if _only_teacher_speaks(answers, context):
                kept = [_without_encoder(answer, context) for answer in kept]
            proba, weighted = combined([*answers, *kept], gold)
            if all(answer.log_prob is None for answer in kept):
                break
        return with_gold(proba, gold), weighted, learned

    def _put_aside(
        self, answers: list[Answer], context: EvidenceContext, gold: IntArray
    ) -> dict[str, FloatArray]:
        """Return distributions of the texts with gold labels, found without their own."""
        labels = np.full(context.labels.shape, np.nan)
        student = labels.copy()
        for rows, others in held_out(context.texts, gold, context.seed):
            blind = replace(context, gold=others)
            proba, _, learned = self._rounds(answers, blind)
            labels[rows] = proba[rows]
            for answer in learned:
                if isinstance(answer.source, OutOfFold) and answer.log_prob is not None:
                    student[rows] = answer.log_prob[rows]
        return {"labels": labels, "student": student}

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


class Refined(NamedTuple):
    """The result of a refinement.

    Parameters
    ----------
    proba : ndarray of shape (n_texts, n_classes)
        The refined distributions; rows of NaN where neither the teacher nor other
        evidence says anything. With several classes a text each column is a probability
        by itself.
    sources : tuple of Source
        The weight of each source, and the number of texts it spoke of; with gold labels
        that of the teacher first.
    accuracy : dict of str to Accuracy
        The accuracy on gold labels; empty without them.
    out_of_fold : ndarray of shape (n_texts,), int, or None
        The column predicted for each text by a model trained on the labels of others,
        -1 where it predicts none; None without `OutOfFold`. With several classes a text
        of shape (n_texts, n_classes), 1 for each class predicted.
    """

    proba: FloatArray
    sources: tuple[Source, ...]
    accuracy: Mapping[str, Accuracy] = MappingProxyType({})
    out_of_fold: IntArray | None = None


def _only_teacher_speaks(answers: list[Answer], context: EvidenceContext) -> bool:
    """Return whether the teacher's labels are all that is known of the texts."""
    is_silent = all(answer.weighted is None for answer in answers[1:])
    return context.gold is None and is_silent and context.embed(context.texts) is None


def _without_encoder(answer: Answer, context: EvidenceContext) -> Answer:
    """Return a model's answer that leaves the labels alone which taught it all it knows."""
    if not isinstance(answer.source, OutOfFold):
        return answer
    return for_unlabelled(answer, context, "an encoder or other evidence")


def _out_of_fold(learned: list[Answer]) -> IntArray | None:
    """Return the classes predicted out of fold, if a source predicts them."""
    for answer in learned:
        if isinstance(answer.source, OutOfFold) and answer.log_prob is not None:
            return most_probable(answer.log_prob)
    return None


def _learner_weight(context: EvidenceContext) -> float:
    """Return the weight of sources that learn, little where they hardly can."""
    n_known = np.count_nonzero(~nan_rows(context.teacher_proba))
    return float(n_known / (n_known + _FEW_TEXTS))
