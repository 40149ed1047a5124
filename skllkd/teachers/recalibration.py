"""A teacher whose confidence is calibrated on a few gold labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.classes import Classes, as_classes
from skllkd._core.params import check_option
from skllkd._core.texts import as_texts, column_entries
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.base import Found, Teacher
from skllkd.teachers.calibration import Isotonic, Temperature
from skllkd.teachers.labels import TeacherLabels

#: With fewer gold labels than this there is nothing to learn from.
_MIN_GOLD = 10


class CalibratedTeacher(Teacher):
    """A teacher whose confidence is calibrated on a few gold labels.

    `teacher.calibrate(texts, y)` makes one. The likeliest class of a text is that of
    the teacher; how sure it is of it follows how often it was right on the texts whose
    classes are known.

    Parameters
    ----------
    teacher : Teacher
        Who labels. Its own calibration comes first.
    texts : sequence of str
        Texts with known classes, at least 10.
    y : sequence of shape (n_texts,)
        Their classes.
    method : {"temperature", "isotonic"}, default="temperature"
        How: one number, which some 30 labels determine, or a rising curve, which wants
        a few hundred.

    See Also
    --------
    EnsembleTeacher : Several teachers as one.

    Examples
    --------
    >>> from skllkd.teachers import PrecomputedTeacher
    >>> texts = [f"text {i}" for i in range(40)]
    >>> teacher = PrecomputedTeacher(texts, (["ham"] * 40, [0.99] * 40))
    >>> gold = ["ham"] * 30 + ["spam"] * 10
    >>> calibrated = teacher.calibrate(texts, gold)
    >>> calibrated.label(texts[:1], ["ham", "spam"]).proba.round(2)
    array([[0.75, 0.25]])
    """

    def __init__(
        self, teacher: Any, texts: Any, y: Any, *, method: str = "temperature"
    ) -> None:
        self.teacher = teacher
        self.texts = texts
        self.y = y
        self.method = method

    def label(
        self,
        texts: Any,
        classes: Any,
        *,
        class_bias: FloatArray | None = None,
        verbose: int = 0,
    ) -> TeacherLabels:
        """Return the teacher's labels, with the confidence calibrated.

        Parameters
        ----------
        texts : sequence of str, or ndarray of shape (n_rows, n_features)
            The texts.
        classes : sequence or mapping
            The class names, or names with descriptions.
        class_bias : ndarray, optional
            The calibration of an earlier pool.
        verbose : int, default=0
            Whether to show progress.

        Returns
        -------
        TeacherLabels
            The answers.
        """
        check_option(self.method, "method", ["temperature", "isotonic"])
        named = as_classes(classes)
        labels: TeacherLabels = self.teacher.label(
            texts, classes, class_bias=class_bias, verbose=verbose
        )
        gold, places = self._gold(labels, classes, named, verbose)
        usable = ~nan_rows(gold.log_prob)
        if usable.sum() < _MIN_GOLD:
            raise InvalidParameterError(
                f"`texts` must hold at least {_MIN_GOLD} texts that the teacher has an "
                f"answer for; got {int(usable.sum())}. Label some more by hand."
            )
        kind = Temperature if self.method == "temperature" else Isotonic
        return replace(
            labels,
            recalibration=kind.fitted(gold.proba[usable], places[usable]),
            n_asked=labels.n_asked + gold.n_asked,
            usage=labels.usage.plus(gold.usage),
            seconds=labels.seconds + gold.seconds,
        )

    def _gold(
        self, labels: TeacherLabels, classes: Any, named: Classes, verbose: int
    ) -> tuple[TeacherLabels, IntArray]:
        """Return the teacher's labels of the gold texts, calibrated as others, and y."""
        texts = as_texts(self.texts, "texts")
        gold = column_entries(self.y, "y")
        if len(gold) != len(texts):
            raise InvalidParameterError(
                f"`y` must hold one class a text; got {len(gold)} for {len(texts)} texts."
            )
        unknown = sorted({str(name) for name in gold if name not in named.names})
        if unknown:
            raise InvalidParameterError(
                f"`y` must hold names in `classes`; got {unknown[:5]}, classes are "
                f"{list(named.words)}."
            )
        known: TeacherLabels = self.teacher.label(
            texts, classes, class_bias=labels.class_bias, verbose=verbose
        )
        return known, np.array([named.names.index(name) for name in gold])

    def plan(self, texts: Any, classes: Any) -> Any:
        """Return what labelling texts would take, the gold ones included.

        Parameters
        ----------
        texts : sequence of str
            The texts.
        classes : sequence or mapping
            The class names, or names with descriptions.

        Returns
        -------
        LabellingPlan
            Texts, calls, tokens, cost and time.
        """
        every = [*as_texts(texts, "texts"), *as_texts(self.texts, "texts")]
        return self.teacher.plan(every, classes)

    def _answer(self, texts: list[str], classes: Classes, verbose: int) -> Found:
        """Answer as the teacher does."""
        answers: Found = self.teacher._answer(texts, classes, verbose)
        return answers
