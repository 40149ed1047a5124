"""Results of a review: accuracies of a random sample, and the confusions of all answers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from skllkd._core.arrays import BoolArray, IntArray
from skllkd.refinement.gold import Accuracy
from skllkd.serving.review.pool import STUDENT, TEACHER, ReviewPool
from skllkd.serving.review.tag_results import (
    TagScores,
    one_class,
    tag_scores,
    whole_texts,
    wrong_tags,
)

#: Texts shown of each confusion, and characters of each.
_N_EXAMPLES, _EXAMPLE_CHARS = 3, 300
#: p-value below which one of two judges counts as right more often.
_ALPHA = 0.05


class Confused(NamedTuple):
    """A class taken for another by a judge."""

    gold: Any
    said: Any
    n_texts: int
    examples: list[str]


@dataclass(frozen=True)
class Comparison:
    """Student and teacher on the texts of the random sample of which both say something.

    Parameters
    ----------
    n_texts : int
        The number of these texts.
    n_student_only, n_teacher_only : int
        The number on which only the one is right.
    p_value : float
        The probability of counts as uneven if both were right equally often (the exact
        test of McNemar).

    Examples
    --------
    >>> from skllkd.serving.review.results import Comparison
    >>> print(Comparison(50, 9, 1, 0.021))
    The student is right more often than the teacher: alone on 9 of 50 texts, the teacher
    alone on 1 (p = 0.021).
    """

    n_texts: int
    n_student_only: int
    n_teacher_only: int
    p_value: float

    def __str__(self) -> str:
        """Return the comparison in words."""
        if not self.n_texts:
            return "Student and teacher cannot be compared yet."
        pairs = [("student", self.n_student_only), ("teacher", self.n_teacher_only)]
        (more, n), (less, m) = sorted(pairs, key=lambda pair: -pair[1])
        counts = (
            f"alone on {n} of {self.n_texts} texts, the {less} alone on {m} "
            f"(p = {self.p_value:.2g})."
        )
        if self.p_value < _ALPHA:
            return f"The {more} is right more often than the {less}: {counts}"
        return f"No difference is shown: the {more} is right {counts}"


@dataclass(frozen=True, eq=False)
class ReviewResults:
    """Results of a review so far.

    Parameters
    ----------
    accuracy : dict of str to Accuracy
        The accuracy of each judge on the random sample, on texts with a class.
    by_class : dict of object to dict of str to Accuracy
        The same, of the texts of each class.
    n_undecided : int
        The number of texts of the sample that were asked about and have no class.
    comparison : Comparison or None
        Student against teacher; None without a teacher.
    confusion : dict of str to ndarray of shape (n_classes, n_classes)
        For each judge, the number of texts of each class (row) that it gives each class,
        over all answers: those that were not drawn at random are the difficult ones.
        Empty where a text may have several classes.
    confused : dict of str to list of Confused
        The pairs of classes a judge confuses, with examples, the most frequent first.
        Where a text may have several, a class and "not" before its name.
    tags : dict of str to TagScores
        The F1 scores of each judge on the random sample where a text may have several
        classes; else empty. Accuracies are then of whole texts, all classes of which
        must be right, and those by class of each class as a question of yes or no.
    """

    accuracy: dict[str, Accuracy]
    by_class: dict[Any, dict[str, Accuracy]]
    n_undecided: int
    comparison: Comparison | None
    confusion: dict[str, IntArray]
    confused: dict[str, list[Confused]]
    tags: dict[str, TagScores] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the results in lines of text."""
        lines = [f"{name:<15} {found}" for name, found in self.accuracy.items()]
        of = ", all classes of a text right" if self.tags else ""
        lines.insert(0, f"Accuracy on the random sample{of}:")
        lines += [f"{name:<15} {found}" for name, found in self.tags.items()]
        for label, found in self.by_class.items() if self.tags else ():
            lines.append(f"  {label}: student {found[STUDENT]}")
        if self.n_undecided:
            lines.append(f"Unsure in the sample, and left out: {self.n_undecided}")
        if self.comparison is not None:
            lines.append(str(self.comparison))
        pairs = self.confused[STUDENT][:5]
        if pairs:
            lines.append("Most confused by the student, among all answers:")
        lines += [f"  {p.gold} taken for {p.said}: {p.n_texts}" for p in pairs]
        return "\n".join(lines)


def results_of(
    pool: ReviewPool, gold: dict[int, Any], sample: list[int]
) -> ReviewResults:
    """Return the results of answers, the class of each row or None for unsure."""
    column, drawn = pool.column(gold), np.array(sample, dtype=np.int64)
    if pool.multilabel:
        return _of_tags(pool, column, gold, drawn)
    known = drawn[column[drawn] >= 0]
    judges = pool.judges
    return ReviewResults(
        accuracy={name: _accuracy(pool, name, column, known) for name in judges},
        by_class={
            label: {
                name: _accuracy(pool, name, column, known[column[known] == k])
                for name in judges
            }
            for k, label in enumerate(pool.classes)
        },
        n_undecided=sum(row in gold for row in sample) - len(known),
        comparison=_comparison(pool, column, known) if TEACHER in judges else None,
        confusion={name: _confusion(pool, name, column) for name in judges},
        confused={name: _confused(pool, name, column) for name in judges},
    )


def _of_tags(
    pool: ReviewPool, column: IntArray, gold: dict[int, Any], sample: IntArray
) -> ReviewResults:
    """Return the results where a text may have several classes."""
    known = sample[column[sample, 0] >= 0]
    answered, judges = np.flatnonzero(column[:, 0] >= 0), pool.judges
    said = {name: pool.said(name) for name in judges}
    rows = {name: known[said[name][known, 0] >= 0] for name in judges}
    pairs = {name: (column[of], said[name][of]) for name, of in rows.items()}
    comparison = None
    if TEACHER in judges:
        both, teacher = pairs[STUDENT], pairs[TEACHER]
        of_teacher = np.isin(rows[STUDENT], rows[TEACHER])
        comparison = compared(
            (both[0] == both[1]).all(axis=1)[of_teacher],
            (teacher[0] == teacher[1]).all(axis=1),
        )
    return ReviewResults(
        accuracy={name: whole_texts(*pair) for name, pair in pairs.items()},
        by_class={
            label: {name: one_class(*pair, k) for name, pair in pairs.items()}
            for k, label in enumerate(pool.classes)
        },
        n_undecided=int(np.isin(sample, list(gold)).sum()) - len(known),
        comparison=comparison,
        confusion={},
        confused={
            name: [
                Confused(of, by, len(texts), _examples(texts))
                for of, by, texts in wrong_tags(pool, name, column, answered)
            ]
            for name in judges
        },
        tags={name: tag_scores(*pair) for name, pair in pairs.items()},
    )


def _examples(texts: list[str]) -> list[str]:
    """Return the beginnings of a few texts."""
    return [text[:_EXAMPLE_CHARS] for text in texts[:_N_EXAMPLES]]


def _accuracy(
    pool: ReviewPool, judge: str, column: IntArray, rows: IntArray
) -> Accuracy:
    """Return the accuracy of a judge on some rows of which it says something."""
    said = pool.said(judge)[rows]
    is_right = said == column[rows]
    return Accuracy(int((said >= 0).sum()), int(is_right.sum()))


def _comparison(pool: ReviewPool, column: IntArray, rows: IntArray) -> Comparison:
    """Compare student and teacher on some rows."""
    student, teacher = pool.said(STUDENT)[rows], pool.said(TEACHER)[rows]
    both, truth = teacher >= 0, column[rows]
    return compared((student == truth)[both], (teacher == truth)[both])


def compared(student: BoolArray, teacher: BoolArray) -> Comparison:
    """Compare two judges by the texts on which each is right."""
    from scipy.stats import binomtest  # slow to import

    n_student, n_teacher = (
        int((student & ~teacher).sum()),
        int((teacher & ~student).sum()),
    )
    n = n_student + n_teacher
    p_value = float(binomtest(n_student, n).pvalue) if n else 1.0
    return Comparison(len(student), n_student, n_teacher, p_value)


def _answered(pool: ReviewPool, judge: str, column: IntArray) -> IntArray:
    """Return the rows with a class of which a judge says something."""
    return np.flatnonzero((column >= 0) & (pool.said(judge) >= 0))


def _confusion(pool: ReviewPool, judge: str, column: IntArray) -> IntArray:
    """Return the number of texts of each class that a judge gives each class."""
    rows, n_classes = _answered(pool, judge, column), len(pool.classes)
    pairs = column[rows] * n_classes + pool.said(judge)[rows]
    counts: IntArray = np.bincount(pairs, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def _confused(pool: ReviewPool, judge: str, column: IntArray) -> list[Confused]:
    """Return the confusions of a judge with examples, the most frequent first."""
    said, texts = pool.said(judge), defaultdict(list)
    for row in _answered(pool, judge, column).tolist():
        if said[row] != column[row]:
            texts[column[row], said[row]].append(pool.texts[row])
    found = [
        Confused(
            pool.classes[k],
            pool.classes[j],
            len(some),
            _examples(some),
        )
        for (k, j), some in texts.items()
    ]
    return sorted(found, key=lambda pair: -pair.n_texts)
