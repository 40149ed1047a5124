"""The order in which a review asks: the most telling texts first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows
from skllkd.inspection.disagreements import SURE
from skllkd.serving.review.pool import LABELS, STUDENT, TEACHER, ReviewPool

RANDOM, DISAGREEMENT, ISSUE, REST = "random", "disagreement", "label issue", "rest"
#: Number of disagreements asked before the label issues, which come before the others.
_N_DISAGREEMENTS = 50


class Part(NamedTuple):
    """A part of the review, and its rows of the pool in the order they are asked."""

    name: str
    rows: list[int]


def asking_order(pool: ReviewPool, n_random: int) -> list[Part]:
    """Return the parts of a review, which hold each row once.

    First a random sample of the texts whose gold label the student has not learned; then
    disagreements of student, teacher and refined labels, the least sure first; then label
    issues, where both are sure and contradict each other, the surest first.
    """
    every = np.arange(len(pool.texts))
    sample = every[~pool.is_learned][:n_random]
    is_left = ~np.isin(every, sample)
    differ, is_issue = _disagree(pool), _issues(pool)
    sureness = _sureness(pool)
    differing = _sorted(is_left & differ & ~is_issue, sureness)
    issues = _sorted(is_left & is_issue, -sureness)
    rest = np.flatnonzero(is_left & ~differ)
    return [
        Part(RANDOM, sample.tolist()),
        Part(DISAGREEMENT, differing[:_N_DISAGREEMENTS]),
        Part(ISSUE, issues),
        Part(DISAGREEMENT, differing[_N_DISAGREEMENTS:]),
        Part(REST, rest.tolist()),
    ]


def _disagree(pool: ReviewPool) -> BoolArray:
    """Return whether judges that say something say different classes."""
    said = np.array([pool.said(name) for name in pool.proba])
    most = said.max(axis=0)
    least = np.where(said < 0, most, said).min(axis=0)
    return _any_class(least != most)


def _issues(pool: ReviewPool) -> BoolArray:
    """Return whether a sure student contradicts a sure teacher."""
    if TEACHER not in pool.judges:
        return np.zeros(len(pool.texts), dtype=bool)
    differ = pool.said(STUDENT) != pool.said(TEACHER)
    proba = [np.nan_to_num(pool.proba[name], nan=0.5) for name in (STUDENT, TEACHER)]
    if pool.multilabel:  # of a class each is sure that the text has it, or has not
        sure = [np.maximum(p, 1 - p) >= SURE for p in proba]
        differ = (proba[0] >= 0.5) != (proba[1] >= 0.5)
    else:
        sure = [p.max(axis=1) >= SURE for p in proba]
    return _any_class(differ & sure[0] & sure[1])


def _any_class(mask: BoolArray) -> BoolArray:
    """Return a mask of texts: those of which it holds for any of several classes."""
    return np.asarray(mask.any(axis=1) if mask.ndim == 2 else mask)


def _sureness(pool: ReviewPool) -> FloatArray:
    """Return the probability of the label learned, or of the student's class."""
    sureness = pool.sureness(STUDENT)
    for name in (TEACHER, LABELS):
        if name in pool.judges:
            known = ~nan_rows(pool.proba[name])
            sureness = np.where(known, pool.sureness(name), sureness)
    return sureness


def _sorted(mask: BoolArray, value: FloatArray) -> list[int]:
    """Return the rows of a mask, those of the lowest value first."""
    rows: IntArray = np.flatnonzero(mask)
    order: list[int] = rows[np.argsort(value[rows], kind="stable")].tolist()
    return order
