"""A fitted scikit-learn classifier as a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes
from skllkd._core.cloning import clone_sharing
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.base import Teacher
from skllkd.teachers.calibration import BatchCalibration
from skllkd.teachers.labels import TeacherLabels
from skllkd.teachers.outputs import log_prob_of_output


class SklearnTeacher(Teacher):
    """A fitted scikit-learn classifier as a teacher.

    A fitted classifier passed as `LLKDClassifier(teacher=...)` is wrapped in this: a
    large pipeline may teach a small one, or one fitted on a few gold labels teach from
    a pile without any. A fitted `LLKDClassifier` is such a classifier too. Its answers
    cost next to nothing: they are not stored, and not counted as asked for.

    Parameters
    ----------
    estimator : classifier
        A fitted classifier, or a pipeline that ends in one, with `predict_proba`. It
        reads texts, or rows of numbers with a student that takes those. Clones of the
        teacher share it: a clone of its own would have forgotten what it learned. With
        several classes a text (`Multilabel`) it is a multi-label one, such as
        `OneVsRestClassifier`; the columns of the indicator matrix that it was fitted on
        are the classes in their order.
    calibration : BatchCalibration, optional
        Correction of a preference for some labels; None, the default, for none.

    See Also
    --------
    CallableTeacher : Any function of texts.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skllkd.teachers import SklearnTeacher
    >>> pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    >>> pipeline = pipeline.fit(["win a prize", "see you at noon"], ["spam", "ham"])
    >>> labels = SklearnTeacher(pipeline).label(["your prize"], ["spam", "ham"])
    >>> labels.proba.round(2)
    array([[0.57, 0.43]])
    """

    _is_multilabel = True

    def __init__(
        self,
        estimator: Any,
        *,
        calibration: BatchCalibration | None = None,
    ) -> None:
        self.estimator = estimator
        self.calibration = calibration

    def __sklearn_clone__(self) -> SklearnTeacher:
        """Clone; the fitted classifier is shared."""
        return clone_sharing(self, "estimator")

    @override
    def _label_rows(self, rows: FloatArray, classes: Classes) -> TeacherLabels:
        return self._labels(rows, classes)

    @override
    def _label_distinct(
        self, texts: list[str], classes: Classes, verbose: int
    ) -> TeacherLabels:
        return self._labels(texts, classes)

    def _labels(self, X: Any, classes: Classes) -> TeacherLabels:
        """Label texts or rows of numbers."""
        columns = self._columns(classes)
        proba = np.empty((0, len(classes)))
        if len(X):
            answer = self.estimator.predict_proba(X)
            if isinstance(answer, list):  # an array for each class
                answer = self._of_yes(answer)
            proba = np.asarray(answer)[:, columns]
        log_prob = log_prob_of_output(proba, len(X), classes)
        return TeacherLabels(classes.names, log_prob, np.full(len(X), np.nan))

    def _of_yes(self, answer: list[Any]) -> FloatArray:
        """Return the probability of yes from those of no and yes for each class."""
        per_class = self.estimator.classes_
        columns = []
        for proba, values in zip(answer, per_class, strict=True):
            is_yes = np.asarray(values).astype(float) == 1
            columns.append(np.asarray(proba)[:, is_yes].sum(axis=1))  # 0 if never seen
        return np.column_stack(columns)

    def _columns(self, classes: Classes) -> list[int]:
        """Find the column of each class in the classifier's output."""
        self._check()
        kind, known = type(self.estimator).__name__, self.estimator.classes_
        if isinstance(known, list):
            known = range(len(known))  # a classifier for each class
        known = list(np.asarray(known).tolist())
        if set(known) == set(classes.names):
            return [known.index(name) for name in classes.names]
        if classes.multilabel and known == [*range(len(classes))]:
            return known  # an indicator matrix has no names
        raise InvalidParameterError(
            "`classes` must be those the teacher was fitted on; got "
            f"{list(classes.names)!r}, the {kind} has {known!r}."
        )

    def _check(self) -> None:
        """Raise unless the estimator is a fitted classifier with probabilities."""
        estimator, kind = self.estimator, type(self.estimator).__name__
        if not hasattr(estimator, "predict") or isinstance(estimator, type):
            raise InvalidParameterError(
                "`estimator` must be a fitted scikit-learn classifier; got "
                f"{estimator!r}."
            )
        try:
            check_is_fitted(estimator)
        except NotFittedError as error:
            raise InvalidParameterError(
                f"`estimator` must be fitted before it teaches; this {kind} is not. Fit "
                "it on texts whose classes are known."
            ) from error
        if not hasattr(estimator, "predict_proba"):
            raise InvalidParameterError(
                f"`estimator` must have `predict_proba`; this {kind} has none, and its "
                "decision function is no probability. Wrap it before it is fitted: "
                f"CalibratedClassifierCV({kind}(...))."
            )
