"""Verdict: will this work, and why not, without gold labels or with a few."""

from __future__ import annotations

import os
import sys
import textwrap
from dataclasses import dataclass, replace

import numpy as np

from skllkd._core.arrays import nan_rows
from skllkd._fitted import FittedState
from skllkd.inspection.disagreements import find_confusions
from skllkd.inspection.estimate import (
    OUTCOMES,
    SAME,
    Estimate,
    Signals,
    above_guessing,
    confidence_above_guessing,
    estimated,
    signals_of,
    tags_above_guessing,
)
from skllkd.inspection.tag_verdict import TagsVerdict, tags_verdict_of
from skllkd.refinement.answers import most_probable
from skllkd.refinement.gold import Accuracy
from skllkd.students import FrozenEncoderStudent, Student, TransformerStudent
from skllkd.teachers import TeacherLabels
from skllkd.teachers.calibration import mean_bias, tag_bias

#: Accuracy of a teacher, above guessing: hopeless under the first, good from the second.
_HOPELESS, _GOOD = 0.3, 0.4
#: How far o may be below the teacher's accuracy where a student follows.
_MARGIN = 0.05
#: Number of texts a class, on average, from which a student can follow.
_ENOUGH_TEXTS = 100
#: Share of a class's texts that are taken for one other from which the two are confused.
_CONFUSED = 0.3
#: Number of gold labels from which the accuracies count as measured.
_ENOUGH_GOLD = 30
#: Confidence above guessing under which labels hardly depend on the text, and from which
#: a teacher tells the classes apart, as far as it knows.
_UNSURE, _CONFIDENT = 0.2, 0.35
#: Advice about a teacher that does not tell the classes apart.
_REMEDY = (
    "Try an example of each class (`examples`; `propose_examples` suggests some), class "
    "names that are words, descriptions of the classes, or an `instruction`; "
    "`teacher.compare` compares such prompts. Or use a larger model."
)
#: Advice about a teacher that is little better than guessing.
_WITHOUT_MODEL = (
    "With such a teacher, a sentence encoder that compares the texts with the class names "
    "(`EmbeddingTeacher`) may do better, and asks no language model."
)
#: Advice about labels that nothing independent confirms.
_LABEL_SOME = "label fifty texts yourself and give them to `fit` as `gold`."
#: Advice about a student that is behind its teacher, by its kind.
_STUDENT_REMEDIES: dict[type, str] = {
    TransformerStudent: "Use more texts, more epochs (`n_epochs`) or a larger encoder.",
    FrozenEncoderStudent: "Use more texts or a larger encoder, or fine-tune the encoder "
    "(TransformerStudent).",
    Student: "Use more texts, or a student with an encoder (FrozenEncoderStudent or "
    "TransformerStudent).",
}
#: Width of the lines of a verdict.
_WIDTH = 88
#: A fit of fewer seconds ends without a word.
_SHORT_S = 2.0


@dataclass(frozen=True)
class Verdict:
    """Judgement of a fitted classifier.

    Parameters
    ----------
    outcome : {"works", "doubtful", "does not work"}
        "works": the teacher tells the classes apart and the student is about as good;
        "does not work": the teacher hardly tells them apart.
    student, teacher : Estimate
        Their accuracies.
    signals : Signals
        The figures the estimates rest on.
    reasons : tuple of str
        The reasons against it, with remedies.
    is_measured : bool
        Whether gold labels gave the accuracies, not an estimate.

    Examples
    --------
    >>> from skllkd.inspection.estimate import Estimate, Signals
    >>> from skllkd.inspection.verdict import Verdict
    >>> estimate = Estimate(0.7, 0.5, 0.9)
    >>> print(Verdict("works", estimate, estimate, Signals(0.5, 0.7, 0.5)))
    Verdict: this probably works.
    Accuracy, estimated without gold labels: classifier 70 % (50 % to 90 %), teacher 70 %
    (50 % to 90 %).
    Teacher: confidence 0.50, agreement out of fold 0.70, agreement with the class names
    0.50 (0 is guessing, 1 is certainty).
    """

    outcome: str
    student: Estimate
    teacher: Estimate
    signals: Signals
    reasons: tuple[str, ...] = ()
    is_measured: bool = False

    def __str__(self) -> str:
        """Return the verdict in words."""
        how = "measured on" if self.is_measured else "estimated without"
        accuracy = f"classifier {self.student}, teacher {self.teacher}"
        lines = [
            f"Verdict: {OUTCOMES[self.outcome]}.",
            *textwrap.wrap(f"Accuracy, {how} gold labels: {accuracy}.", _WIDTH),
            *textwrap.wrap(f"Teacher: {self.signals}.", _WIDTH),
            *(
                textwrap.fill(f"- {reason}", _WIDTH, subsequent_indent="  ")
                for reason in self.reasons
            ),
        ]
        return "\n".join(lines)

    @property
    def in_one_line(self) -> str:
        """The outcome and the accuracy of the classifier, in one line."""
        how = "measured" if self.is_measured else "estimated"
        return (
            f"Verdict: {OUTCOMES[self.outcome]}; {how} accuracy {self.student}. "
            "The report gives the details."
        )


def verdict_of(state: FittedState) -> Verdict | TagsVerdict | None:
    """Return the verdict on a fitted classifier; None if nothing is known to judge by."""
    if state.multilabel:
        return tags_verdict_of(state)
    signals, n_classes = signals_of(state), len(state.classes)
    measured = _measured(state.gold_accuracy or {})
    if measured is None and signals.confidence is None and signals.out_of_fold is None:
        return None
    teacher, student = measured or estimated(signals, n_classes)
    skill = above_guessing(teacher.value, n_classes)
    n_known = np.count_nonzero(~nan_rows(state.teacher_proba))
    reasons = [
        *_about_teacher(skill, signals),
        *_about_evidence(signals, measured is not None),
        *_about_student(state, skill, signals, measured),
        *_about_pool(n_known / n_classes),
    ]
    outcome = "doubtful" if reasons else "works"
    if skill < _HOPELESS:
        outcome = "does not work"
    remarks = _confused_classes(state)
    return Verdict(
        outcome, student, teacher, signals, (*reasons, *remarks), measured is not None
    )


def judge_labels(labels: TeacherLabels) -> str:
    """Return in words whether the confidences of a teacher's labels depend on the texts.

    Known before a student is trained, and, of a sample, before a pool is paid for.
    Labels of `ask_sample`, whose bias is 0, are calibrated among themselves.
    """
    if labels.missing.all():
        return "The teacher gave no usable answer."
    bias = labels.class_bias
    if bias is not None and not bias.any():
        bias = (tag_bias if labels.multilabel else mean_bias)(labels.log_prob, None)
        labels = replace(labels, class_bias=bias)
    judge = tags_above_guessing if labels.multilabel else confidence_above_guessing
    confidence = judge(labels.proba)
    if confidence is None:
        return "The teacher gives no confidences, so they cannot tell how good it is."
    figure = f"Calibrated confidence: {confidence:.2f} (0 is guessing, 1 is certainty)."
    if confidence >= _CONFIDENT:
        return f"{figure} Going by that, the teacher tells the classes apart."
    if confidence >= _UNSURE:
        return f"{figure} The teacher is often unsure. {_REMEDY}"
    return (
        f"{figure} The answers hardly depend on the text: in our benchmark, most teachers "
        f"with so little confidence were not worth learning from. {_REMEDY}"
    )


def print_verdict(state: FittedState, verbose: int) -> None:
    """Print the verdict in one line, after a fit that took long enough for progress."""
    is_one_of_several = os.environ.get("RANK", "0") != "0"
    if not verbose or is_one_of_several or sum(state.seconds.values()) < _SHORT_S:
        return
    verdict = verdict_of(state)
    if verdict is not None:
        print(verdict.in_one_line, file=sys.stderr)


def _measured(accuracy: dict[str, Accuracy]) -> tuple[Estimate, Estimate] | None:
    """Return the accuracies of teacher and student on gold labels, if there are enough."""
    found = [accuracy.get(name) for name in ("teacher", "student")]
    teacher, student = (
        Estimate(of.share, *of.interval) if of and of.n_texts >= _ENOUGH_GOLD else None
        for of in found
    )
    return None if teacher is None or student is None else (teacher, student)


def _about_teacher(skill: float, signals: Signals) -> list[str]:
    """Return the reason against the teacher, if there is one."""
    if skill >= _GOOD:
        return []
    if skill >= _HOPELESS:
        return [f"The teacher only partly tells the classes apart. {_REMEDY}"]
    reason = f"The teacher hardly tells the classes apart. {_REMEDY}"
    repeats_names = signals.class_names is None or signals.class_names > SAME
    return [reason if repeats_names else f"{reason} {_WITHOUT_MODEL}"]


def _about_evidence(signals: Signals, is_measured: bool) -> list[str]:
    """Return the reason why the figures may mislead, if there is one."""
    if is_measured:
        return []
    if signals.out_of_fold is None:
        return [
            "The estimate rests on the teacher's own confidence alone. Leave `refine` at "
            f"its default, or {_LABEL_SOME}"
        ]
    if signals.class_names is not None and signals.class_names > SAME:
        return [
            "The teacher's labels are those that the student's encoder gives from the "
            "class names alone, so nothing independent confirms them. "
            f"{_LABEL_SOME.capitalize()}"
        ]
    if signals.confidence is None:
        return [
            "The teacher gives no confidences, so it is hard to tell how good it is. Ask "
            f"for log-probabilities or votes, or {_LABEL_SOME}"
        ]
    return []


def _about_student(
    state: FittedState,
    skill: float,
    signals: Signals,
    measured: tuple[Estimate, Estimate] | None,
) -> list[str]:
    """Return the reasons against the student."""
    reasons = []
    if measured is not None:
        follows = measured[1].value >= measured[0].value - _MARGIN
        how = "is less accurate than the teacher on the gold labels"
    else:
        o = signals.out_of_fold
        follows = skill < _HOPELESS or o is None or o >= skill - _MARGIN
        how = (
            "may be less accurate than the teacher: on texts it was not trained on, a "
            "quick model gives the teacher's label less often than the teacher is right"
        )
    if not follows:
        reasons.append(f"The student {how}. {_student_remedy(state.student)}")
    agreements = {source.name: source.agreement for source in state.sources}
    quick = agreements.get("out of fold")
    if quick is not None and state.agreement < quick - _MARGIN:
        reasons.append(
            f"The student predicts {100 * state.agreement:.0f} % of the labels it was "
            f"trained on, and a quick model predicts {100 * quick:.0f} % of labels it was "
            "not trained on: train for more epochs (`n_epochs`) or raise the learning rate."
        )
    return reasons


def _student_remedy(student: Student) -> str:
    """Return the advice about a student that is behind its teacher."""
    return next(
        advice
        for kind, advice in _STUDENT_REMEDIES.items()
        if isinstance(student, kind)
    )


def _about_pool(texts_per_class: float) -> list[str]:
    """Return the reason against the number of texts, if there is one."""
    if texts_per_class >= _ENOUGH_TEXTS:
        return []
    return [
        f"There are only {texts_per_class:.0f} labelled texts per class. In our benchmark, "
        f"students with fewer than {_ENOUGH_TEXTS} were often less accurate than their "
        "teacher."
    ]


def _confused_classes(state: FittedState) -> list[str]:
    """Return a remark about classes that are confused, if there are any."""
    if state.out_of_fold is None:
        return []
    label = most_probable(state.teacher_proba)
    found = find_confusions(state.classes, label, state.out_of_fold)
    often = [
        sorted([str(c.teacher), str(c.student)]) for c in found if c.share >= _CONFUSED
    ]
    pairs = list(dict.fromkeys(" and ".join(pair) for pair in often))[:3]
    if not pairs:
        return []
    return [
        f"Classes that are easily confused: {'; '.join(pairs)}. Describe how they differ, "
        "or merge them."
    ]
