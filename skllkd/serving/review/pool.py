"""The texts of a review, and the classes that student, teacher and labels give them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray
from skllkd._core.texts import is_blank
from skllkd._fitted import FittedState
from skllkd.exceptions import InvalidParameterError
from skllkd.serving.cascade import CascadeClassifier
from skllkd.serving.files import SETTINGS, load_classifier
from skllkd.serving.held_out import most_probable

#: Number of texts that a review reads, drawn at random where there are more.
MAX_TEXTS = 5000
STUDENT, TEACHER, LABELS = "student", "teacher", "refined labels"


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

    @cached_property
    def columns(self) -> dict[str, IntArray]:
        """The column of the class that each judge gives each text, -1 for none."""
        return {name: most_probable(proba) for name, proba in self.proba.items()}

    def said(self, judge: str) -> IntArray:
        """Return the column of the class that a judge gives each text, -1 for none."""
        return self.columns[judge]

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
    return ReviewPool(distinct, keys, classes, proba, is_learned, descriptions)


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
    n_impossible = (state.refined_proba[rows] == 0).sum(axis=1)
    return np.asarray(n_impossible == len(state.classes) - 1)


def load_reviewed(path: Path) -> tuple[Any, float | None]:
    """Return a saved classifier, and the threshold of the cascade it is part of."""
    threshold = None
    if (path / SETTINGS).exists():
        threshold = CascadeClassifier.load(path).threshold_
    classifier = load_classifier(path)
    if np.ndim(classifier.predict(["a text"])) == 2:  # a column a class
        raise InvalidParameterError(
            f"the classifier in {str(path)!r} gives a text none, one or several classes, "
            "and a review asks for one. Judge it with `skllkd evaluate` on texts with "
            "gold labels."
        )
    return classifier, threshold
