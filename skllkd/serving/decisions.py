"""Decisions of a cascade, and the record of its traffic."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows
from skllkd._core.class_tree import Level
from skllkd._core.params import optional_import
from skllkd.serving.reading import Reading

STUDENT, TEACHER, ABSTAINED = "student", "teacher", "abstained"
#: Number of calls whose duration is remembered.
_MAX_CALLS = 10_000


@dataclass(frozen=True, eq=False)
class Decisions:
    """Answers to a list of texts, and who gave them.

    Parameters
    ----------
    label : ndarray of shape (n_texts,)
        The labels; the abstention label where neither student nor teacher answered. Of
        several classes a text, tuples of them.
    confidence : ndarray of shape (n_texts,)
        The probability of the label, in [0, 1]; of an abstention that of the student's
        most probable class. Of several classes a text, the smallest of max(p, 1 - p)
        over the classes, with each threshold moved to one half.
    source : ndarray of shape (n_texts,), object
        "student", "teacher" or "abstained".
    proba : ndarray of shape (n_texts, n_classes)
        The probabilities of the source; a row of NaN of an abstention.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.serving.decisions import Decisions
    >>> Decisions(np.array(["spam", None]), np.array([0.9, 0.6]),
    ...           np.array(["student", "abstained"]), np.array([[0.1, 0.9], [np.nan] * 2]))
    <Decisions: 2 texts, 1 by the student, 0 by the teacher, 1 abstained>
    """

    label: npt.NDArray[Any]
    confidence: FloatArray
    source: npt.NDArray[np.object_]
    proba: FloatArray

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.label)

    def __repr__(self) -> str:
        """Return the counts in one line."""
        n_student, n_teacher, n_abstained = counts_of(self.source)
        return (
            f"<Decisions: {len(self):,} texts, {n_student:,} by the student, "
            f"{n_teacher:,} by the teacher, {n_abstained:,} abstained>"
        )

    def in_groups(self, groups: Level) -> Decisions:
        """Return the decisions with the likeliest group in place of each class.

        Parameters
        ----------
        groups : Level
            The groups at a level of the tree of classes.

        Returns
        -------
        Decisions
            The decisions, with the probabilities of the groups; abstentions stay.
        """
        proba, answered = groups.sums(self.proba), self.source != ABSTAINED
        likeliest, highest = proba.argmax(axis=1), proba.max(axis=1)
        return Decisions(
            np.where(answered, groups.names[likeliest], self.label),
            np.where(answered, highest, self.confidence),
            self.source,
            proba,
        )

    def to_pandas(self) -> Any:
        """Make a table of the decisions.

        Returns
        -------
        pandas.DataFrame
            A row a text: `label`, `confidence` and `source`.
        """
        pandas = optional_import("pandas", "table")
        columns = ("label", "confidence", "source")
        return pandas.DataFrame({name: getattr(self, name) for name in columns})


def decide(
    reading: Reading,
    answered: BoolArray,
    proba: FloatArray,
    said: FloatArray,
    abstention_label: Any,
) -> Decisions:
    """Return the student's answers where it is sure, and those of the teacher elsewhere."""
    by_teacher = ~answered & ~nan_rows(said)
    source = np.full(len(proba), ABSTAINED, dtype=object)
    source[answered], source[by_teacher] = STUDENT, TEACHER
    label, confidence = reading.label(proba), reading.confidence(proba)
    label[by_teacher] = reading.teacher_label(said[by_teacher])
    confidence[by_teacher] = reading.teacher_confidence(said[by_teacher])
    answer = np.where(by_teacher[:, None], said, proba)
    answer[source == ABSTAINED] = np.nan
    names = _names(reading, label, source, abstention_label)
    return Decisions(names, confidence, source, answer)


def _names(
    reading: Reading,
    label: IntArray,
    source: npt.NDArray[np.object_],
    abstention_label: Any,
) -> npt.NDArray[Any]:
    """Return the names of the labels, the abstention label among them."""
    names, abstained = reading.names(label), source == ABSTAINED
    if abstention_label is not None:
        return np.where(abstained, np.array(abstention_label), names)
    if abstained.any():
        names = names.astype(object)
        names[abstained] = None
    return names


@dataclass(eq=False)
class Traffic:
    """Numbers of texts by source, and durations of calls, since `fit`."""

    n_texts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((STUDENT, TEACHER, ABSTAINED), 0)
    )
    n_rechecked: int = 0  # answers of the student that the teacher was asked about, too
    seconds: dict[str, deque[float]] = field(
        default_factory=lambda: {
            name: deque(maxlen=_MAX_CALLS) for name in (STUDENT, TEACHER)
        }
    )

    def add(self, source: npt.NDArray[np.object_], n_rechecked: int) -> None:
        """Count the texts of a call."""
        for name, n in zip(self.n_texts, counts_of(source), strict=True):
            self.n_texts[name] += n
        self.n_rechecked += n_rechecked


def counts_of(source: npt.NDArray[np.object_]) -> list[int]:
    """Return the number of texts answered by the student, the teacher and nobody."""
    return [int((source == name).sum()) for name in (STUDENT, TEACHER, ABSTAINED)]
