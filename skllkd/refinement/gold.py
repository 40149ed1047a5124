"""Accuracy of labels, judged by gold labels that were not used to find them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.intervals import wilson_interval
from skllkd.refinement.cross_fitting import folds_of

#: Number of parts of the gold labels; each is judged by what the others lead to.
_N_FOLDS = 5
#: Names of the judged in reports.
GOLD_WORDS = {
    "teacher": "teacher",
    "labels": "refined labels",
    "student": "student, out of fold",
}


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of labels on texts with gold labels.

    Parameters
    ----------
    n_texts : int
        The number of distinct texts with a gold label that have a label to be judged.
    n_right : int
        The number of them whose label is the gold label.

    Examples
    --------
    >>> from skllkd.refinement.gold import Accuracy
    >>> print(Accuracy(50, 40))
    80.0% [67.0%, 88.8%] of 50 texts
    """

    n_texts: int
    n_right: int

    @property
    def share(self) -> float:
        """The accuracy, in [0, 1]; NaN of no text."""
        return self.n_right / self.n_texts if self.n_texts else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy."""
        return wilson_interval(self.n_right, self.n_texts)

    def __str__(self) -> str:
        """Return the accuracy with its interval."""
        low, high = self.interval
        return f"{self.share:.1%} [{low:.1%}, {high:.1%}] of {self.n_texts:,} texts"


def accuracy_on(proba: FloatArray, gold: IntArray, rows: IntArray) -> Accuracy:
    """Return the accuracy on the rows that have a distribution."""
    known = rows[~nan_rows(proba[rows])]
    right = proba[known].argmax(axis=1) == gold[known]
    return Accuracy(len(known), int(right.sum()))


def distinct_rows(texts: Any, gold: IntArray) -> IntArray:
    """Return the rows with a gold label, one of each text."""
    rows = np.flatnonzero(gold >= 0)
    if isinstance(texts, np.ndarray):
        return rows
    first = {texts[row]: row for row in rows[::-1]}
    return np.sort(np.array(list(first.values()), dtype=np.int64))


def held_out(
    texts: Any, gold: IntArray, seed: int
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield rows with a gold label, and the gold labels without theirs, in folds.

    Equal texts are held out together, and one of each is among the rows.
    """
    every, distinct = np.flatnonzero(gold >= 0), distinct_rows(texts, gold)
    of_gold = (
        texts[every] if isinstance(texts, np.ndarray) else [texts[i] for i in every]
    )
    fold = folds_of(of_gold, _N_FOLDS, seed)
    for test in np.unique(fold):
        rows, others = every[fold == test], gold.copy()
        others[rows] = -1
        yield np.intersect1d(rows, distinct), others
