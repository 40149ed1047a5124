"""Figures of the demonstration: a table, and a verdict in words."""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

import numpy as np

from skllkd._classifier import LLKDClassifier
from skllkd._core.arrays import BoolArray
from skllkd._core.intervals import wilson_interval
from skllkd.teachers import TeacherLabels


class DemoFigures(NamedTuple):
    """Results of the demonstration; accuracies are shares of the held-out stories."""

    pool: int
    held_out: int
    most_frequent: float  # the accuracy of always naming the most frequent class
    labels_right: float  # the share of the pool's labels, as the teacher gave them
    refined_labels_right: float
    teacher_accuracy_raw: float
    teacher_accuracy_calibrated: float
    student_accuracy: float
    student_lead: float  # over the calibrated teacher
    student_lead_error: float  # the standard error of that lead
    selected_per_step: float
    selected_distinct: float
    teacher_calls: int
    teacher_calls_saved: int
    seconds_labelling: float
    seconds_training: float
    seconds_predicting: float
    teacher_texts_per_second: float | None  # None without a call
    student_texts_per_second: float


def figures_of(
    classifier: LLKDClassifier,
    labels: TeacherLabels,
    predicted: Any,
    pool_gold: Any,
    gold: Any,
    seconds_predicting: float,
) -> DemoFigures:
    """Return the figures of a classifier, with the teacher's labels of held-out stories."""
    refined = classifier.classes_[classifier.refined_proba_.argmax(axis=1)]
    names = np.array(labels.classes)
    raw_right = names[labels.raw_proba.argmax(axis=1)] == gold
    teacher_right = names[labels.proba.argmax(axis=1)] == gold
    student_right = predicted == gold
    history, n_pool = classifier.history_, len(classifier.times_selected_)
    n_asked = classifier.n_teacher_calls_ + labels.n_asked
    seconds_labelling = classifier.seconds_["labelling"] + labels.seconds
    lead = student_right.astype(float) - teacher_right
    return DemoFigures(
        pool=n_pool,
        held_out=len(gold),
        most_frequent=max(_share(gold == name) for name in names),
        labels_right=_share(classifier.pseudo_labels_ == pool_gold),
        refined_labels_right=_share(refined == pool_gold),
        teacher_accuracy_raw=_share(raw_right),
        teacher_accuracy_calibrated=_share(teacher_right),
        student_accuracy=_share(student_right),
        student_lead=float(lead.mean()),
        student_lead_error=float(lead.std() / np.sqrt(len(lead))),
        selected_per_step=float(
            history["n_selected"].sum() / history["n_presented"].sum()
        ),
        selected_distinct=_share(classifier.times_selected_ > 0),
        teacher_calls=n_asked,
        teacher_calls_saved=n_pool + len(gold) - n_asked,
        seconds_labelling=seconds_labelling,
        seconds_training=classifier.seconds_["training"],
        seconds_predicting=seconds_predicting,
        teacher_texts_per_second=n_asked / seconds_labelling if n_asked else None,
        student_texts_per_second=len(gold) / seconds_predicting,
    )


def _share(mask: BoolArray) -> float:
    """Return the share of true values."""
    return float(np.mean(mask))


def format_table(figures: DemoFigures) -> str:
    """Return the figures as a table."""
    rate = figures.teacher_texts_per_second
    rows = [
        ("labels right, before refinement", f"{figures.labels_right:.1%}"),
        ("labels right, after refinement", f"{figures.refined_labels_right:.1%}"),
        ("teacher accuracy, raw", f"{figures.teacher_accuracy_raw:.1%}"),
        ("teacher accuracy, calibrated", f"{figures.teacher_accuracy_calibrated:.1%}"),
        ("student accuracy", f"{figures.student_accuracy:.1%}"),
        ("rows selected, per step", f"{figures.selected_per_step:.1%}"),
        ("rows selected, distinct", f"{figures.selected_distinct:.1%}"),
        ("teacher calls made", f"{figures.teacher_calls:,}"),
        ("teacher calls saved", f"{figures.teacher_calls_saved:,}"),
        ("seconds labelling", f"{figures.seconds_labelling:.1f}"),
        ("seconds training", f"{figures.seconds_training:.1f}"),
        ("seconds predicting", f"{figures.seconds_predicting:.1f}"),
        ("teacher texts per second", "(no calls)" if rate is None else f"{rate:.1f}"),
        ("student texts per second", f"{figures.student_texts_per_second:.1f}"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value:>11}" for name, value in rows]
    rule = "-" * len(lines[0])
    notes = [f"(accuracy on {figures.held_out:,} stories that were not trained on)"]
    if figures.teacher_calls == 0:
        notes.append(
            "0 teacher calls: every label was in the store from an earlier run."
        )
    return "\n".join([rule, *lines, rule, *notes])


def format_verdict(figures: DemoFigures) -> str:
    """Return a judgement of the result, in words."""
    n_right = round(figures.student_accuracy * figures.held_out)
    low, high = wilson_interval(n_right, figures.held_out)
    result = (
        f"Without a label of yours, the student is right on {figures.student_accuracy:.0%} "
        f"of the stories it never saw (95 % interval {low:.0%} to {high:.0%})."
    )
    if low < figures.most_frequent + 0.1:
        sentences = [
            f"Verdict: this did not work. {result} Always naming the most frequent topic "
            f"is right on {figures.most_frequent:.0%}. More stories to learn from may "
            "help (--pool)."
        ]
    else:
        sentences = [f"Verdict: this worked. {result}", _lead(figures), _speed(figures)]
    return textwrap.fill(" ".join(sentences), 79)


def _lead(figures: DemoFigures) -> str:
    """Return a sentence about the accuracies of student and teacher."""
    lead, teacher = figures.student_lead, f"{figures.teacher_accuracy_calibrated:.0%}"
    if abs(lead) <= 1.96 * figures.student_lead_error:
        return f"Its teacher is right on {teacher}: no clear difference."
    if lead > 0:
        return f"It surpasses its teacher, which is right on {teacher}."
    return f"Its teacher is right on {teacher}: give it more stories (--pool)."


def _speed(figures: DemoFigures) -> str:
    """Return a sentence about the speed of the student."""
    rate, of_teacher = (
        figures.student_texts_per_second,
        figures.teacher_texts_per_second,
    )
    if of_teacher is None:
        return f"It reads {rate:.0f} texts a second."
    return (
        f"It reads {rate:.0f} texts a second, {rate / of_teacher:.0f} times as many as "
        "its teacher."
    )
