"""A few texts that a teacher is asked about before all of them: prompt, answers, time."""

from __future__ import annotations

import copy
import textwrap
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skllkd._core.classes import Classes, as_classes
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError, SkllkdWarning
from skllkd.teachers.base import Teacher, distinct_texts
from skllkd.teachers.class_tree.questions import first_question
from skllkd.teachers.labels import TeacherLabels

#: Width of the lines of the table, and number of classes listed of a text.
_WIDTH, _LISTED = 88, 4


@dataclass(frozen=True)
class Sample:
    """Texts, the prompt of the first as it is sent, and the teacher's answers."""

    texts: list[str]
    labels: TeacherLabels  # before calibration
    prompt: str  # "" where there is none
    n_asked: int
    seconds_per_text: float | None  # once the model is loaded; None if not measured

    def __str__(self) -> str:
        """Return the sample as a table."""
        lines = []
        if self.prompt:
            lines += ["the prompt of the first text, as it is sent:"]
            lines += [f"  | {line}" for line in self.prompt.splitlines()]
        stored = len(self.texts) - self.n_asked
        lines.append(
            f"answers to {len(self.texts)} texts before calibration, {self.n_asked} of "
            f"them asked now, {stored} known:"
        )
        lines += [self._line(row) for row in range(len(self.texts))]
        return "\n".join([*lines, *self._summary()])

    def _line(self, row: int) -> str:
        """Return the line about a text."""
        text = textwrap.shorten(self.texts[row], _WIDTH // 2)
        if self.labels.missing[row]:
            return f"  no answer  {text!r}: {self.labels.error[row]}"
        proba = self.labels.raw_proba[row]
        if self.labels.multilabel:
            likeliest = np.argsort(-proba, kind="stable")[:_LISTED]
            named = [f"{proba[k]:.2f} {self.labels.classes[k]}" for k in likeliest]
            return f"  {', '.join(named)}  {text!r}"
        name = self.labels.classes[int(proba.argmax())]
        return f"  {proba.max():.2f}  {name}  {text!r}"

    def _summary(self) -> list[str]:
        """Return the lines about confidence and label mass."""
        labels = self.labels
        confidence = {"none": "no confidence: labels only", "votes": "shares of votes"}
        lines = [
            f"the answers give {confidence.get(labels.confidence, labels.confidence)}"
        ]
        mass = labels.label_mass[~np.isnan(labels.label_mass)]
        if len(mass):
            lines.append(f"probability on any of the labels, mean: {mass.mean():.3f}")
        return lines


def ask_sample(teacher: Teacher, texts: Any, classes: Any, n_texts: int) -> Sample:
    """Ask about a few random texts: the first alone, as it may load a model."""
    named, distinct = as_classes(classes), distinct_texts(as_texts(texts, "texts"))
    if not distinct:
        raise InvalidParameterError("every text is empty: there is nothing to label.")
    teacher = copy.copy(teacher)
    if hasattr(teacher, "max_retries"):
        teacher.max_retries = min(teacher.max_retries, 1)  # a trial does not wait long
    asked = first_question(named) if teacher._asks_down(named) else named
    order = np.random.RandomState(0).permutation(len(distinct))
    some = [distinct[row] for row in order[:n_texts]]
    labels = _uncalibrated(teacher, some[:1], named)
    n_asked, seconds = labels.n_asked, None
    if some[1:]:
        others = _uncalibrated(teacher, some[1:], named)
        n_asked += others.n_asked
        seconds = others.seconds / others.n_asked if others.n_asked else None
        columns = ("log_prob", "label_mass", "source", "error")
        joined: dict[str, Any] = {
            c: np.concatenate([getattr(labels, c), getattr(others, c)]) for c in columns
        }
        labels = replace(labels, **joined)
    return Sample(some, labels, teacher._prompt_of(some[0], asked), n_asked, seconds)


def _uncalibrated(
    teacher: Teacher, texts: list[str], classes: Classes
) -> TeacherLabels:
    """Label texts without calibration, and without warnings that the table repeats."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkllkdWarning)
        return teacher.label(texts, classes, class_bias=np.zeros(len(classes)))
