"""Record of a refinement: its sources, and the labels it changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows


@dataclass(frozen=True)
class Source:
    """A source of evidence in a refinement.

    Parameters
    ----------
    name : str
        The name.
    weight : float
        Its weight beside the teacher's 1; 0 if it stood aside.
    n_texts : int
        The number of texts it spoke of.
    missing : str, default=""
        The requirement without which it stood aside.
    agreement : float, optional
        The share of the texts with a label of the teacher for which its most probable
        class is the teacher's, in [0, 1]; None if it had no answer.
    by_class : tuple of float or None
        With several classes a text, how far it finds the texts of each class that the
        teacher finds, in the user's order of the classes: Cohen's kappa, 0 for guessing
        and 1 at most; None where either says nothing.

    Examples
    --------
    >>> from skllkd.refinement.record import Source
    >>> print(Source("class names", 0.72, 3000))
    class names: weight 0.72
    >>> print(Source("class names", 0, 0, "the student's pretrained encoder"))
    class names: stood aside (needs the student's pretrained encoder)
    """

    name: str
    weight: float
    n_texts: int
    missing: str = ""
    agreement: float | None = None
    by_class: tuple[float | None, ...] = ()

    def __str__(self) -> str:
        """Return the source in a few words."""
        if self.missing:
            return f"{self.name}: stood aside (needs {self.missing})"
        return f"{self.name}: weight {self.weight:.2f}"


@dataclass(frozen=True)
class ClassChange:
    """The labels of a class before and after a refinement.

    Parameters
    ----------
    name : object
        The class.
    n_teacher, n_refined : int
        The number of texts the teacher and the refined labels give it.
    n_left : int
        The number of the teacher's texts that another class has now.
    n_came : int
        The number of texts that it has from another class.
    n_new : int
        The number of texts that it has without a label of the teacher.

    Examples
    --------
    >>> from skllkd.refinement.record import ClassChange
    >>> ClassChange("sports", 10, 11, n_left=1, n_came=2, n_new=0).n_refined
    11
    """

    name: Any
    n_teacher: int
    n_refined: int
    n_left: int
    n_came: int
    n_new: int


@dataclass(frozen=True, repr=False)
class RefinementRecord:
    """Record of a refinement.

    Parameters
    ----------
    sources : tuple of Source
        The sources of evidence beside the teacher.
    per_class : tuple of ClassChange
        The changes of each class.
    changed : ndarray of shape (n_changed,), int
        Rows whose label differs from the teacher's, the surest first: those to read.
    n_new : int
        The number of texts that have a label without one of the teacher's.
    n_texts : int
        The number of texts that have a label.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.refinement.record import refinement_record
    >>> teacher = np.array([[0.9, 0.1], [0.4, 0.6], [np.nan, np.nan]])
    >>> refined = np.array([[0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    >>> record = refinement_record(np.array(["ham", "spam"]), teacher, refined, ())
    >>> record.changed, record.n_new
    (array([1]), 1)
    """

    sources: tuple[Source, ...]
    per_class: tuple[ClassChange, ...]
    changed: IntArray
    n_new: int
    n_texts: int

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each source beside the teacher's 1, by name."""
        return {source.name: source.weight for source in self.sources}

    def __repr__(self) -> str:
        """Return the record in one line."""
        return f"<RefinementRecord: {self.summary}; {self.sources_in_words}>"

    @property
    def summary(self) -> str:
        """The numbers of labels changed and added, in words."""
        added = f", {self.n_new:,} added" if self.n_new else ""
        return f"{len(self.changed):,} of {self.n_texts:,} labels changed{added}"

    @property
    def sources_in_words(self) -> str:
        """The sources and their weights, in words."""
        return ", ".join(map(str, self.sources)) or "no evidence"


def refinement_record(
    classes: npt.NDArray[Any],
    teacher_proba: FloatArray,
    refined_proba: FloatArray,
    sources: tuple[Source, ...],
    *,
    multilabel: bool = False,
) -> RefinementRecord:
    """Compare refined distributions with the teacher's, columns as `classes`.

    With several classes a text, each class counts the texts that have it, lost it and got
    it, and a text is changed if any of its classes is.
    """
    known, before = ~nan_rows(refined_proba), ~nan_rows(teacher_proba)
    has, had = (_has_class(p, multilabel) for p in (refined_proba, teacher_proba))
    changed = known & before & (has != had).any(axis=1)
    is_new = known & ~before
    rows = np.flatnonzero(changed)
    of_change = np.where(has != had, np.maximum(refined_proba, 1 - refined_proba), 0)
    sure = (of_change if multilabel else refined_proba)[rows].max(axis=1)
    surest = np.argsort(-sure, kind="stable")

    def count(labels: BoolArray, mask: BoolArray) -> list[int]:
        counts: list[int] = labels[mask].sum(axis=0).tolist()
        return counts

    columns = (
        classes.tolist(),
        count(had, before),
        count(has, known),
        count(had & ~has, changed),
        count(has & ~had, changed),
        count(has, is_new),
    )
    return RefinementRecord(
        sources=sources,
        per_class=tuple(ClassChange(*row) for row in zip(*columns, strict=True)),
        changed=rows[surest],
        n_new=int(is_new.sum()),
        n_texts=int(known.sum()),
    )


def _has_class(proba: FloatArray, multilabel: bool) -> BoolArray:
    """Return which classes the labels are: the likeliest, or those likelier than not."""
    if multilabel:
        return proba >= 0.5
    label = np.nan_to_num(proba).argmax(axis=1)
    has: BoolArray = np.eye(proba.shape[1], dtype=bool)[label]
    return has
