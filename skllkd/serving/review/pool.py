"""The texts of a review, and the classes that student, teacher and labels give them.

A label is a class, or a tuple of classes where a text may have several.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows
from skllkd._core.params import shown
from skllkd._core.tags import tag_confidence
from skllkd._core.texts import is_blank
from skllkd._fitted import FittedState
from skllkd.exceptions import InvalidParameterError
from skllkd.serving.cascade import CascadeClassifier
from skllkd.serving.files import SETTINGS, load_classifier
from skllkd.serving.held_out import most_probable

#: Number of texts that a review reads, drawn at random where there are more.
MAX_TEXTS = 5000
STUDENT, TEACHER, LABELS = "student", "teacher", "refined labels"
#: The words for a text that has none of several classes.
NO_CLASS = "none of them"


@dataclass(frozen=True, eq=False)
class ReviewPool:
    """Distinct texts in an order drawn at random, and the views of them.

    The order is that of the texts' digests: it does not change when the table is sorted,
    and texts that are added to it fall in between. Its first n texts are a random sample.
    """

    texts: list[str]
    keys: list[str]  # names of the texts in addresses and forms
    classes: list[Any]
    proba: dict[str, FloatArray]  # of each judge (n_texts, n_classes); NaN for no view
    is_learned: BoolArray  # (n_texts,), whether the student learned its gold label
    descriptions: dict[Any, str] = field(default_factory=dict)
    #: (n_classes,): from which the student gives a class, where a text may have several
    thresholds: FloatArray | None = None

    @property
    def multilabel(self) -> bool:
        """Whether a text may have several classes."""
        return self.thresholds is not None

    @cached_property
    def columns(self) -> dict[str, IntArray]:
        """The labels of each judge, as `said` returns them."""
        if self.thresholds is None:
            return {name: most_probable(proba) for name, proba in self.proba.items()}
        return {
            name: np.where(nan_rows(p)[:, None], -2, p >= self.cut(name)).astype(int)
            for name, p in self.proba.items()
        }

    def said(self, judge: str) -> IntArray:
        """Return the column of the class that a judge gives each text, below 0 for none.

        Of several classes a text rows of 0 and 1, and rows below 0 for none.
        """
        return self.columns[judge]

    def cut(self, judge: str) -> FloatArray:
        """Return the probabilities from which a judge gives each of several classes."""
        assert self.thresholds is not None
        half = np.full(len(self.classes), 0.5)
        return self.thresholds if judge == STUDENT else half

    def sureness(self, judge: str) -> FloatArray:
        """Return how sure a judge is of the label of each text, 0 where it has none."""
        proba = np.nan_to_num(self.proba[judge])
        if not self.multilabel:
            return np.asarray(proba.max(axis=1))
        sure = tag_confidence(proba, self.cut(judge))
        return np.where(nan_rows(self.proba[judge]), 0.0, sure)

    def confidence_of(self, proba: FloatArray) -> float:
        """Return how sure the student is of the label of a text."""
        if self.thresholds is None:
            return float(proba.max())
        return float(tag_confidence(proba[None, :], self.thresholds)[0])

    def view(self, judge: str, row: int) -> Any:
        """Return the label that a judge gives a text, None for none."""
        said = self.said(judge)[row]
        if np.min(said) < 0:
            return None
        if not self.multilabel:
            return self.classes[said]
        return tuple(name for name, has in zip(self.classes, said, strict=True) if has)

    def column(self, gold: dict[int, Any]) -> IntArray:
        """Return the labels of some rows in the form of `said`, below 0 for the others."""
        place = {name: k for k, name in enumerate(self.classes)}
        shape = (len(self.texts), len(place)) if self.multilabel else len(self.texts)
        column = np.full(shape, -1)
        for row, label in gold.items():
            if label is None:
                continue
            column[row] = 0 if self.multilabel else place[label]
            for name in label if self.multilabel else ():
                column[row, place[name]] = 1
        return column

    def checked(self, label: Any) -> Any:
        """Return a label, its classes in their order, or raise if it is none."""
        names = label if self.multilabel and isinstance(label, tuple) else (label,)
        for name in names:
            if name not in self.classes:
                raise InvalidParameterError(
                    f"{shown(name)} is none of the classes {shown(self.classes)}."
                )
        if not self.multilabel:
            return label
        return tuple(name for name in self.classes if name in names)

    def words(self, label: Any) -> str:
        """Return a label in words."""
        if not self.multilabel:
            return str(label)
        return ", ".join(map(str, label)) or NO_CLASS

    @property
    def judges(self) -> list[str]:
        """The judges that say anything."""
        return [name for name, said in self.columns.items() if (said >= 0).any()]


def read_pool(classifier: Any, texts: list[str], teacher: Any = None) -> ReviewPool:
    """Return the pool of a classifier and some texts, of which a teacher may be asked.

    For the texts of `fit`, in their order, the labels of `fit` are known.
    """
    rows, keys = _drawn(texts)
    if not len(rows):
        raise InvalidParameterError(
            f"none of the {len(texts)} texts can be reviewed: all are empty. Name the "
            "column of the texts with --column."
        )
    distinct = [texts[row] for row in rows]
    proba = {STUDENT: classifier.predict_proba(distinct)}
    is_learned, descriptions = np.zeros(len(rows), dtype=bool), {}
    state = getattr(classifier, "_fitted", None)
    if isinstance(state, FittedState):
        given = state.given_classes
        descriptions = dict(zip(given.names, given.descriptions, strict=True))
        if state.is_pool(texts):
            proba |= _labels_of_fit(state, rows)
            is_learned = _has_learned_gold(state, rows)
        elif teacher is not None:
            classifier.set_params(teacher=teacher)
            proba[TEACHER] = classifier.known_teacher_proba(distinct)
    classes = classifier.classes_.tolist()
    thresholds = getattr(classifier, "thresholds_", None)
    return ReviewPool(
        distinct, keys, classes, proba, is_learned, descriptions, thresholds
    )


def _drawn(texts: list[str]) -> tuple[IntArray, list[str]]:
    """Return rows of distinct texts and their keys, in the order of the keys."""
    row_of: dict[str, int] = {}
    for row, text in enumerate(texts):
        if not is_blank(text):
            row_of.setdefault(text, row)
    keyed = sorted((_key(text), row) for text, row in row_of.items())[:MAX_TEXTS]
    return np.array([row for _, row in keyed], dtype=np.int64), [k for k, _ in keyed]


def _key(text: str) -> str:
    """Return the key of a text, by which texts are ordered at random."""
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=12, key=b"review").hexdigest()


def _labels_of_fit(state: FittedState, rows: IntArray) -> dict[str, FloatArray]:
    """Return the teacher's and the refined distributions of some texts of `fit`."""
    labels = {TEACHER: state.teacher_proba[rows]}
    if state.refined_proba is not None:
        labels[LABELS] = state.refined_proba[rows]
    return labels


def _has_learned_gold(state: FittedState, rows: IntArray) -> BoolArray:
    """Return whether the student learned a gold label of some texts of `fit`.

    A gold label is certain; labels that are inferred leave every class a chance.
    """
    if state.gold_accuracy is None or state.refined_proba is None:
        return np.zeros(len(rows), dtype=bool)
    if state.multilabel:
        return np.asarray(np.isin(state.refined_proba[rows], (0, 1)).all(axis=1))
    n_impossible = (state.refined_proba[rows] == 0).sum(axis=1)
    return np.asarray(n_impossible == len(state.classes) - 1)


def load_reviewed(path: Path) -> tuple[Any, float | None]:
    """Return a saved classifier, and the threshold of the cascade it is part of."""
    threshold = None
    if (path / SETTINGS).exists():
        threshold = CascadeClassifier.load(path).threshold_
    return load_classifier(path), threshold
