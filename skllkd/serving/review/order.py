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
    return np.asarray(least != most)


def _issues(pool: ReviewPool) -> BoolArray:
    """Return whether a sure student contradicts a sure teacher."""
    if TEACHER not in pool.judges:
        return np.zeros(len(pool.texts), dtype=bool)
    differ = pool.said(STUDENT) != pool.said(TEACHER)
    are_sure = [np.nan_to_num(pool.proba[name]).max(axis=1) >= SURE for name in _PAIR]
    return np.asarray(differ & are_sure[0] & are_sure[1])


_PAIR = (STUDENT, TEACHER)


def _sureness(pool: ReviewPool) -> FloatArray:
    """Return the probability of the label learned, or of the student's class."""
    sureness: FloatArray = pool.proba[STUDENT].max(axis=1)
    for name in (TEACHER, LABELS):
        if name in pool.judges:
            known = ~nan_rows(pool.proba[name])
            sureness = np.where(
                known, np.nan_to_num(pool.proba[name]).max(axis=1), sureness
            )
    return sureness


def _sorted(mask: BoolArray, value: FloatArray) -> list[int]:
    """Return the rows of a mask, those of the lowest value first."""
    rows: IntArray = np.flatnonzero(mask)
    order: list[int] = rows[np.argsort(value[rows], kind="stable")].tolist()
    return order
