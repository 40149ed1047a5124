"""TrainingSet: texts with the teacher's distributions, ready to be trained on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.classes import Classes
from skllkd.exceptions import (
    MissingLabelWarning,
    TeacherOutputError,
)
from skllkd.refinement.gold import Accuracy
from skllkd.refinement.record import Source
from skllkd.teachers import TeacherLabels

#: An array with a column for each class.
Columns = TypeVar("Columns", bound=npt.NDArray[Any])


@dataclass(frozen=True)
class TrainingSet:
    """Texts with their distributions, columns in the order of `classes`."""

    texts: Any  # list of str or ndarray of shape (n_rows, n_features)
    classes: npt.NDArray[Any]  # sorted
    given_classes: Classes  # in the user's order
    #: (n_texts, n_classes); NaN rows without a label. Of several classes a text, each
    #: column is a probability by itself, here and in `refined_proba`.
    teacher_proba: FloatArray
    label_mass: FloatArray  # (n_texts,)
    class_bias: FloatArray | None  # in the order of `given_classes`
    is_recalibrated: bool
    n_asked: int
    n_reused: int
    refined_proba: FloatArray | None = None  # (n_texts, n_classes)
    #: (n_texts,), columns; -1 for none. Of several classes a text, as `gold`.
    out_of_fold: IntArray | None = None
    sources: tuple[Source, ...] = ()  # of the refinement
    gold_accuracy: dict[str, Accuracy] | None = None  # with gold labels
    is_given: bool = False  # whether the labels are the user's own, of no teacher
    #: (n_texts, n_classes) of several classes a text: 0 and 1, rows of -1 for none
    gold: IntArray | None = None

    @classmethod
    def of(cls, texts: Any, labels: TeacherLabels, classes: Classes) -> TrainingSet:
        """Return the training set of a teacher's labels."""
        return cls(
            texts=texts,
            classes=np.unique(np.array(classes.names)),
            given_classes=classes,
            teacher_proba=in_class_order(labels.proba, classes),
            label_mass=labels.label_mass,
            class_bias=labels.class_bias,
            is_recalibrated=labels.recalibration is not None,
            n_asked=labels.n_asked,
            n_reused=labels.n_reused,
        )

    def with_gold(self, gold: IntArray | None, *, is_given: bool) -> TrainingSet:
        """Return the training set with what is known beside a teacher's labels.

        Gold labels are in the user's order of the classes; of one class a text they are
        part of the refinement alone.
        """
        if gold is not None:
            gold = in_class_order(gold, self.given_classes) if self.multilabel else None
        return replace(self, gold=gold, is_given=is_given)

    @property
    def proba(self) -> FloatArray:
        """The distributions to learn: the refined ones, or else the teacher's."""
        return self.teacher_proba if self.refined_proba is None else self.refined_proba

    @property
    def multilabel(self) -> bool:
        """Whether a text has none, one or several of the classes."""
        return self.given_classes.multilabel

    @cached_property
    def labelled(self) -> IntArray:
        """The rows with a label to learn."""
        return np.flatnonzero(~nan_rows(self.proba))

    def check_labelled(self) -> None:
        """Raise if no text has a label."""
        if not len(self.labelled):
            raise TeacherOutputError(
                f"none of the {len(self.teacher_proba)} texts has a usable teacher label, "
                "so there is nothing to learn from. Look at the teacher's answers: "
                "teacher.label(texts[:5], classes)."
            )

    def check_classes(self, on_missing_class: str) -> None:
        """Raise or warn if the teacher chose a class for no text."""
        proba = self.proba[self.labelled]
        if self.multilabel:
            counts = (proba >= 0.5).sum(axis=0)
        else:
            counts = np.bincount(proba.argmax(axis=1), minlength=len(self.classes))
        absent = self.classes[counts == 0].tolist()
        if not absent:
            return
        shown = ", ".join(map(repr, absent[:5])) + (", ..." if absent[5:] else "")
        message = (
            f"the teacher chose {len(absent)} of the {len(counts)} `classes` for none of "
            f"the {len(proba)} texts: {shown}. The student cannot learn "
            f"{'it' if len(absent) == 1 else 'them'}."
        )
        if on_missing_class == "raise":
            raise TeacherOutputError(
                f"{message} Describe the class better (classes={{name: description}}), "
                "drop it, or set on_missing_class='warn' to go on without. The labels "
                "bought are kept."
            )
        warnings.warn(message, MissingLabelWarning, stacklevel=4)


def in_class_order(columns: Columns, classes: Classes) -> Columns:
    """Return columns in the user's order of classes as columns in sorted order."""
    names = np.unique(np.array(classes.names)).tolist()
    ordered: Columns = columns[:, [classes.names.index(name) for name in names]]  # type: ignore[assignment]
    return ordered


def in_given_order(columns: Columns, classes: Classes) -> Columns:
    """Return columns in sorted order of classes as columns in the user's order."""
    names = np.unique(np.array(classes.names)).tolist()
    ordered: Columns = columns[:, [names.index(name) for name in classes.names]]  # type: ignore[assignment]
    return ordered


def labels_in_class_order(labels: IntArray, classes: Classes) -> IntArray:
    """Return columns in the user's order of classes as those in sorted order; -1 stays.

    Of several classes a text, labels are rows of 0 and 1, or of -1.
    """
    if classes.multilabel:
        return in_class_order(labels, classes)
    names = np.unique(np.array(classes.names)).tolist()
    place = np.array([names.index(name) for name in classes.names])
    return np.where(labels < 0, -1, place[labels])
