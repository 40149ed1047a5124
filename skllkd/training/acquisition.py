"""Labelling in rounds: label, train, label the texts the student is uncertain of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, nan_rows
from skllkd._core.classes import Classes
from skllkd.selection import AcceptReject, Pool, Selection, TopConfidence
from skllkd.selection.per_class import PerClass, answers
from skllkd.students import Student
from skllkd.teachers import Teacher, TeacherLabels
from skllkd.teachers.labels import spread_labels
from skllkd.training.cross_fit import train_and_predict
from skllkd.training.schedule import Schedule
from skllkd.training.targets import take

#: Bounds of a round's training: a few texts need many epochs.
_MIN_STEPS, _MAX_EPOCHS = 300, 100


def label_in_rounds(
    rule: AcceptReject,
    teacher: Teacher,
    student: Student,
    texts: Any,
    classes: Classes,
    schedule: Schedule,
) -> TeacherLabels:
    """Return labels of the texts that a rule chooses; NaN rows for the others.

    Each round trains the untrained student's `fast_proxy` on the labels so far.
    """
    rng = np.random.RandomState(schedule.random_state.randint(2**31 - 1))
    first, *rounds = rule.parts(len(texts))
    is_asked = np.zeros(len(texts), dtype=bool)
    is_asked[rng.permutation(len(texts))[:first]] = True
    some = take(texts, np.flatnonzero(is_asked))
    labels = teacher.label(some, classes, verbose=schedule.verbose)
    class_bias = labels.class_bias
    if class_bias is None:
        class_bias = np.zeros(len(classes.names))
    whole = _spread(labels, is_asked)
    for index, n_wanted in enumerate(rounds):
        share = rule.confident_seed if index == 0 else 1.0
        given = (student, texts, whole.proba, is_asked, share, rng, schedule)
        proba = _student_proba(*given, classes.multilabel)
        if classes.multilabel:
            proba = _most_uncertain(proba)
        is_new = np.zeros(len(texts), dtype=bool)
        is_new[np.flatnonzero(~is_asked)[rule.accept(proba, n_wanted, rng)]] = True
        some = take(texts, np.flatnonzero(is_new))
        labels = teacher.label(
            some, classes, class_bias=class_bias, verbose=schedule.verbose
        )
        whole = _joined(whole, _spread(labels, is_new), is_new)
        is_asked |= is_new
    return whole


def _spread(labels: TeacherLabels, mask: BoolArray) -> TeacherLabels:
    """Return labels of the texts of a mask as labels of all texts."""
    return spread_labels(labels, np.where(mask, mask.cumsum() - 1, -1), "not sent")


def _joined(old: TeacherLabels, new: TeacherLabels, mask: BoolArray) -> TeacherLabels:
    """Return old labels with those of a mask from new ones; counts add up."""
    counts = ("n_asked", "n_reused", "n_blank", "n_truncated", "seconds")
    return replace(
        old,
        log_prob=np.where(mask[:, None], new.log_prob, old.log_prob),
        label_mass=np.where(mask, new.label_mass, old.label_mass),
        source=np.where(mask, new.source, old.source),
        error=np.where(mask, new.error, old.error),
        usage=old.usage.plus(new.usage),
        **{name: getattr(old, name) + getattr(new, name) for name in counts},
    )


def _student_proba(
    student: Student,
    texts: Any,
    teacher_proba: FloatArray,
    is_asked: BoolArray,
    share: float,
    rng: np.random.RandomState,
    schedule: Schedule,
    multilabel: bool,
) -> FloatArray:
    """Train a student on the most confident labels so far; predict the other texts."""
    known = np.flatnonzero(is_asked & ~nan_rows(teacher_proba))
    others = take(texts, np.flatnonzero(~is_asked))
    n_classes = teacher_proba.shape[1]
    if not len(known):
        return np.full((len(others), n_classes), 1 / (2 if multilabel else n_classes))
    quick, n_epochs = student.fast_proxy(schedule.n_epochs)
    n_batches = -(-len(known) // schedule.batch_size)
    n_epochs = max(n_epochs, min(-(-_MIN_STEPS // n_batches), _MAX_EPOCHS))
    seed = int(rng.randint(2**31 - 1))
    quick.begin_fit(take(texts, known), n_classes, seed, multilabel=multilabel)
    proba, weight = teacher_proba[known], np.ones(len(known))
    selection: Selection = TopConfidence(share, per_class=True)
    if multilabel:
        selection = PerClass(selection)
    selection.begin(Pool(proba), n_epochs * n_batches, rng)
    own = Schedule(n_epochs, schedule.batch_size, np.random.RandomState(seed))
    given = (quick, selection, proba, weight, own, others)
    return train_and_predict(*given, multilabel)


def _most_uncertain(proba: FloatArray) -> FloatArray:
    """Return the distribution over no and yes of each text's most uncertain class."""
    column = np.abs(proba - 0.5).argmin(axis=1)
    return answers(proba[np.arange(len(proba)), column])
