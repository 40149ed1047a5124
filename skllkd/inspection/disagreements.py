"""Texts on which student and teacher disagree, and the classes they confuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray

#: Probability from which student and teacher count as sure.
SURE = 0.8
#: Number of texts from which a pair of classes counts as confused.
_FEWEST = 3


@dataclass(frozen=True)
class LabelIssue:
    """A text on which a sure student contradicts a sure teacher.

    Parameters
    ----------
    row : int
        The text's row.
    text : object
        The text, or the row of numbers.
    teacher, student : object
        The classes they give it; of several classes a text one class, or "not" before
        its name.
    confidence : float
        The probability of which both are sure, in [0, 1].

    Examples
    --------
    >>> from skllkd.inspection.disagreements import LabelIssue
    >>> print(LabelIssue(3, "shares fell after the match", "sports", "business", 0.9))
    teacher sports, student business: shares fell after the match
    """

    row: int
    text: Any
    teacher: Any
    student: Any
    confidence: float

    def __str__(self) -> str:
        """Return labels and text in one line."""
        text = " ".join(str(self.text).split())
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        return f"teacher {self.teacher}, student {self.student}: {shown}"


@dataclass(frozen=True)
class Confusion:
    """A class of the teacher that is often taken for another.

    Parameters
    ----------
    teacher, student : object
        The teacher's class, and the one predicted in its place.
    n_texts : int
        The number of such texts.
    share : float
        Their share of the texts to which the teacher gives its class, in [0, 1].

    Examples
    --------
    >>> from skllkd.inspection.disagreements import Confusion
    >>> print(Confusion("sports", "business", 12, 0.25))
    sports taken for business: 12 texts, 25 % of sports
    """

    teacher: Any
    student: Any
    n_texts: int
    share: float

    def __str__(self) -> str:
        """Return the confusion in words."""
        return (
            f"{self.teacher} taken for {self.student}: {self.n_texts:,} texts, "
            f"{self.share:.0%} of {self.teacher}".replace("%", " %")
        )


def find_label_issues(
    texts: Any,
    classes: npt.NDArray[Any],
    rows: IntArray,
    teacher_proba: FloatArray,
    student_proba: FloatArray,
) -> list[LabelIssue]:
    """List the issues among some rows of the texts, the surest first."""
    label, chosen = teacher_proba.argmax(axis=1), student_proba.argmax(axis=1)
    sureness = np.minimum(teacher_proba.max(axis=1), student_proba.max(axis=1))
    found = np.flatnonzero((label != chosen) & (sureness >= SURE))
    found = found[np.argsort(-sureness[found], kind="stable")]
    names = classes.tolist()
    return [
        LabelIssue(
            row=int(rows[i]),
            text=texts[rows[i]],
            teacher=names[label[i]],
            student=names[chosen[i]],
            confidence=float(sureness[i]),
        )
        for i in found
    ]


def find_tag_issues(
    texts: Any,
    names: list[Any],
    rows: IntArray,
    teacher_proba: FloatArray,
    student_proba: FloatArray,
) -> list[LabelIssue]:
    """List the issues among some rows of texts that may have several classes.

    Of a text and a class one is sure that it has it, and the other that it has not.
    """
    sureness = np.minimum(
        np.maximum(teacher_proba, 1 - teacher_proba),
        np.maximum(student_proba, 1 - student_proba),
    )
    is_issue = ((teacher_proba >= 0.5) != (student_proba >= 0.5)) & (sureness >= SURE)
    found = np.argwhere(is_issue)
    found = found[np.argsort(-sureness[is_issue], kind="stable")]
    return [
        LabelIssue(
            row=int(rows[i]),
            text=texts[rows[i]],
            teacher=names[k] if teacher_proba[i, k] >= 0.5 else f"not {names[k]}",
            student=names[k] if student_proba[i, k] >= 0.5 else f"not {names[k]}",
            confidence=float(sureness[i, k]),
        )
        for i, k in found
    ]


def find_confusions(
    classes: npt.NDArray[Any], label: IntArray, predicted: IntArray
) -> list[Confusion]:
    """List the pairs of classes that are confused, the most texts first.

    `label` and `predicted` hold columns of `classes`, -1 for none.
    """
    known = (label >= 0) & (predicted >= 0)
    n_classes, names = len(classes), classes.tolist()
    pair = label[known] * n_classes + predicted[known]
    counts = np.bincount(pair, minlength=n_classes**2).reshape(n_classes, n_classes)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")
    pairs = [divmod(int(place), n_classes) for place in order]
    return [
        Confusion(
            names[k], names[j], int(counts[k, j]), float(counts[k, j] / totals[k])
        )
        for k, j in pairs
        if counts[k, j] >= _FEWEST
    ]
