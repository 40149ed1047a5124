"""Labels of texts by a teacher that is asked down a tree of classes."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, normalise
from skllkd._core.classes import Classes
from skllkd.teachers.calibration import as_class_prior, mean_bias, pool_bias
from skllkd.teachers.class_tree.questions import (
    Question,
    examples_for,
    joined_bias,
    questions_of,
    split_bias,
)
from skllkd.teachers.labels import TeacherLabels, Usage


def label_down_tree(
    teacher: Any,
    texts: list[str],
    classes: Classes,
    class_bias: FloatArray | None,
    verbose: int,
) -> TeacherLabels:
    """Label distinct texts by questions about groups, each a labelling of its own.

    The probabilities of the questions multiply. A group is asked about while it is
    likelier than the likeliest class found, so that this is the class that asking about
    all groups would find; a group left out keeps its probability, which its classes
    share equally. Each question is calibrated by itself; the labels hold the sums of
    their biases.
    """
    descent = _Descent(teacher, texts, classes, class_bias, verbose)
    descent.run()
    return descent.labels()


class _Answers:
    """Answers to one question, of the texts it was asked about."""

    def __init__(self, question: Question, n_texts: int) -> None:
        self.question = question
        n_members = len(question.classes)
        self.log_prob: FloatArray = np.full((n_texts, n_members), np.nan)
        self.is_closed: BoolArray = np.zeros(n_texts, dtype=bool)  # asked
        self.usage = Usage()  # earlier runs included
        if n_members == 1:  # nothing to ask
            self.log_prob[:], self.is_closed[:] = 0.0, True

    @property
    def n_known(self) -> int:
        """Number of texts with an answer."""
        return int((~np.isnan(self.log_prob[:, 0])).sum())


class _Descent:
    """The labelling of texts down a tree."""

    def __init__(
        self,
        teacher: Any,
        texts: list[str],
        classes: Classes,
        class_bias: FloatArray | None,
        verbose: int,
    ) -> None:
        self.teacher, self.texts, self.verbose = teacher, texts, verbose
        self.classes, self.class_bias = classes, class_bias
        self.questions = questions_of(classes)
        self.answers = [_Answers(question, len(texts)) for question in self.questions]
        self.label_mass: FloatArray = np.full(len(texts), np.nan)
        self.error = np.full(len(texts), "", dtype=object)
        self.is_new = np.zeros(len(texts), dtype=bool)
        self.parts: list[TeacherLabels] = []
        limits = ("max_calls", "max_cost")
        self.is_limited = any(getattr(teacher, n, None) is not None for n in limits)
        if self.is_limited:
            for answers in self.answers:
                answers.usage = teacher._usage_so_far(answers.question.classes)

    def run(self) -> None:
        """Ask until no group that was not asked about is likelier than a class."""
        if not self.texts:  # the parameters are checked all the same
            first = next(a for a in self.answers if len(a.question.classes) > 1)
            self._ask(first, np.arange(0))
        while (wanted := self._wanted()).max(initial=-1) >= 0:
            for place, answers in enumerate(self.answers):
                rows = np.flatnonzero(wanted == place)
                if len(rows):
                    self._ask(answers, rows)

    def labels(self) -> TeacherLabels:
        """Return the labels."""
        proba, groups = self._reached()
        is_missing = self.error != ""  # another class may be likelier than those found
        for question, left in zip(self.questions, groups.T, strict=True):
            columns = question.columns
            proba[:, columns] += left[:, None] / len(columns)
        bias = joined_bias(self.questions, self._biases())
        with np.errstate(divide="ignore"):
            log_prob = np.log(proba) + bias
        log_prob[is_missing] = np.nan
        source = np.where(self.is_new, "model", "store").astype(object)
        source[is_missing] = ""
        return TeacherLabels(
            self.classes.names,
            log_prob,
            np.where(is_missing, np.nan, self.label_mass),
            class_bias=bias,
            n_asked=sum(labels.n_asked for labels in self.parts),
            n_truncated=max((p.n_truncated for p in self.parts), default=0),
            source=source,
            error=self.error,
            usage=functools.reduce(Usage.plus, (p.usage for p in self.parts), Usage()),
            confidence=self.parts[0].confidence,
        )

    def _biases(self) -> list[FloatArray]:
        """Return the bias of each question: given, or calibrated on its answers so far."""
        if self.class_bias is not None:
            return split_bias(self.questions, self.class_bias)
        return [self._bias(answers) for answers in self.answers]

    def _bias(self, answers: _Answers) -> FloatArray:
        """Return the bias of a question, drawn to none where few texts were asked."""
        n_members, calibration = len(answers.question.classes), self.teacher.calibration
        if calibration is None or n_members == 1:
            return np.zeros(n_members)
        prior = as_class_prior(calibration.class_prior, self.classes)
        if prior is not None:
            prior = np.array([prior[below].sum() for below in answers.question.below])
            prior = prior / prior.sum()
        is_plain = calibration.class_prior is None
        bias = (mean_bias if is_plain else pool_bias)(answers.log_prob, prior)
        weight = answers.n_known / (answers.n_known + n_members)
        drawn: FloatArray = (bias - bias.mean()) * weight
        return drawn

    def _reached(self) -> tuple[FloatArray, FloatArray]:
        """Return the probabilities of classes, and of groups not asked about.

        Of classes, (n_texts, n_classes), 0 where a group above was not asked about. Of
        groups, (n_texts, n_questions), 0 where they were, or a group above was not.
        """
        n_texts = len(self.texts)
        classes = np.zeros((n_texts, len(self.classes)))
        groups = np.zeros((n_texts, len(self.answers)))
        reached: dict[tuple[str, ...], FloatArray] = {(): np.ones(n_texts)}
        is_group = {question.path for question in self.questions}
        rounds = zip(self.answers, self._biases(), strict=True)
        for place, (answers, bias) in enumerate(rounds):
            question = answers.question
            own = reached[question.path]
            proba = normalise(answers.log_prob, bias)
            is_known = ~np.isnan(proba[:, 0])
            groups[:, place] = np.where(is_known, 0.0, own)
            shared = np.where(is_known[:, None], proba * own[:, None], 0.0)
            for column, name in enumerate(question.classes.names):
                path = (*question.path, name)
                reached[path] = shared[:, column]
                if path not in is_group:
                    classes[:, question.below[column][0]] = shared[:, column]
        return classes, groups

    def _wanted(self) -> IntArray:
        """Return the place of the question to ask next about each text, -1 for none."""
        classes, groups = self._reached()
        is_closed = np.stack([answers.is_closed for answers in self.answers], axis=1)
        left = np.where(is_closed, 0.0, groups)
        is_worth = left.max(axis=1) > classes.max(axis=1)
        is_worth &= self.error == ""
        return np.where(is_worth, left.argmax(axis=1), -1)

    def _ask(self, answers: _Answers, rows: IntArray) -> None:
        """Ask a question about some texts, and note the answers."""
        question = answers.question
        teacher = self._teacher_of(question)
        texts = [self.texts[row] for row in rows]
        labels = teacher._label_texts(texts, question.classes, self.verbose)
        answers.log_prob[rows] = labels.log_prob
        answers.is_closed[rows] = True
        answers.usage = answers.usage.plus(labels.usage)
        self.error[rows] = labels.error
        self.label_mass[rows] = np.fmin(self.label_mass[rows], labels.label_mass)
        self.is_new[rows] |= labels.source == "model"
        self.parts.append(labels)

    def _teacher_of(self, question: Question) -> Any:
        """Return the teacher with the examples and the budget that a question has."""
        teacher = copy.copy(self.teacher)
        if getattr(teacher, "examples", ()):
            teacher.examples = examples_for(question, teacher.examples, self.classes)
        if self.is_limited:
            usages = (answers.usage for answers in self.answers)
            own = teacher._usage_so_far(question.classes)
            teacher._spent_elsewhere = functools.reduce(Usage.plus, usages).minus(own)
        return teacher
