"""Buying labels in rounds: ask, learn, ask about what is not yet learned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, nan_rows
from skllkd._core.classes import Classes
from skllkd.selection import AcceptReject, ConfidentShare
from skllkd.students import Student
from skllkd.teachers import Teacher, TeacherLabels
from skllkd.training.cross_fit import beliefs_once_trained
from skllkd.training.loop import Plan
from skllkd.training.targets import take

#: Steps a round's student learns for, at least: a few texts need many epochs.
_LEAST_STEPS, _MOST_EPOCHS = 300, 100


def buy_in_rounds(
    rule: AcceptReject,
    teacher: Teacher,
    student: Student,
    texts: Any,
    classes: Classes,
    plan: Plan,
) -> TeacherLabels:
    """Return labels of the texts that a rule asks the teacher about.

    Parameters
    ----------
    rule : AcceptReject
        The rule.
    teacher : Teacher
        Who is asked.
    student : Student
        An untrained student; each round trains its `fast_proxy`.
    texts : list of str or ndarray
        The pool.
    classes : Classes
        The classes.
    plan : Plan
        How to train.

    Returns
    -------
    TeacherLabels
        A row a text; NaN where the teacher was not asked.
    """
    rng = np.random.RandomState(plan.random_state.randint(2**31 - 1))
    first, *rounds = rule.parts(len(texts))
    asked = np.zeros(len(texts), dtype=bool)
    asked[rng.permutation(len(texts))[:first]] = True
    bought = _ask(teacher, texts, classes, asked, plan.verbose)
    whole = _spread(bought, asked)
    fixed = bought.class_bias
    fixed = np.zeros(len(classes.names)) if fixed is None else fixed
    for place, n_wanted in enumerate(rounds):
        share = rule.confident_seed if place == 0 else 1.0
        believed = _beliefs(student, texts, whole.proba, asked, share, rng, plan)
        rows = np.flatnonzero(~asked)[rule.accept(believed, n_wanted, rng)]
        new = np.zeros(len(texts), dtype=bool)
        new[rows] = True
        answers = _ask(teacher, texts, classes, new, plan.verbose, fixed)
        whole = _joined(whole, _spread(answers, new), new)
        asked |= new
    return whole


def _ask(
    teacher: Teacher,
    texts: Any,
    classes: Classes,
    which: BoolArray,
    verbose: int,
    class_bias: FloatArray | None = None,
) -> TeacherLabels:
    """Ask the teacher about some of the texts."""
    some = take(texts, np.flatnonzero(which))
    return teacher.label(some, classes, class_bias=class_bias, verbose=verbose)


def _spread(labels: TeacherLabels, which: BoolArray) -> TeacherLabels:
    """Return labels of some texts as labels of all."""
    n_rows = len(which)
    log_prob = np.full((n_rows, labels.log_prob.shape[1]), np.nan)
    label_mass = np.full(n_rows, np.nan)
    log_prob[which], label_mass[which] = labels.log_prob, labels.label_mass
    source = np.full(n_rows, "", dtype=object)
    error = np.full(n_rows, "not asked", dtype=object)
    if len(labels.source):
        source[which] = labels.source
    error[which] = labels.error if len(labels.error) else ""
    return replace(
        labels, log_prob=log_prob, label_mass=label_mass, source=source, error=error
    )


def _joined(old: TeacherLabels, new: TeacherLabels, which: BoolArray) -> TeacherLabels:
    """Return old labels with those of some texts from new ones; counts add up."""
    counts = ("n_asked", "n_reused", "n_blank", "n_truncated", "seconds")
    return replace(
        old,
        log_prob=np.where(which[:, None], new.log_prob, old.log_prob),
        label_mass=np.where(which, new.label_mass, old.label_mass),
        source=np.where(which, new.source, old.source),
        error=np.where(which, new.error, old.error),
        usage=old.usage.plus(new.usage),
        **{name: getattr(old, name) + getattr(new, name) for name in counts},
    )


def _beliefs(
    student: Student,
    texts: Any,
    proba: FloatArray,
    asked: BoolArray,
    share: float,
    rng: np.random.RandomState,
    plan: Plan,
) -> FloatArray:
    """Return what a student of the labels bought so far believes of the other texts."""
    known = np.flatnonzero(asked & ~nan_rows(proba))
    others = take(texts, np.flatnonzero(~asked))
    n_classes = proba.shape[1]
    if not len(known):
        return np.full((len(others), n_classes), 1 / n_classes)
    quick, n_epochs = student.fast_proxy(plan.n_epochs)
    n_batches = -(-len(known) // plan.batch_size)
    n_epochs = max(n_epochs, min(-(-_LEAST_STEPS // n_batches), _MOST_EPOCHS))
    seed = int(rng.randint(2**31 - 1))
    quick.begin_fit(take(texts, known), n_classes, seed)
    surest = ConfidentShare(share, per_class=True)
    surest.reset(n_classes, n_epochs * n_batches, rng, proba[known])
    schedule = Plan(n_epochs, plan.batch_size, np.random.RandomState(seed))
    weight = np.ones(len(known))
    return beliefs_once_trained(quick, surest, proba[known], weight, schedule, others)
