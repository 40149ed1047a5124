"""A fitted scikit-learn classifier as a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes
from skllkd._core.cloning import clone_sharing
from skllkd.exceptions import InvalidClassesError, InvalidParameterError
from skllkd.teachers.base import Found, Teacher
from skllkd.teachers.metered.usage import Answer
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
        teacher share it: a clone of its own would have forgotten what it learned.
    calibration : {"batch", None}, default=None
        Whether to take out a preference for some labels: see `LlamaCppTeacher`.
    class_prior : mapping, sequence, "em" or None, default=None
        The expected share of each class, for calibration.

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

    def __init__(
        self,
        estimator: Any,
        *,
        calibration: str | None = None,
        class_prior: Any = None,
    ) -> None:
        self.estimator = estimator
        self.calibration = calibration
        self.class_prior = class_prior

    def __sklearn_clone__(self) -> SklearnTeacher:
        """Return a clone that shares the fitted classifier."""
        return clone_sharing(self, "estimator")

    def _label_rows(self, rows: FloatArray, classes: Classes) -> tuple[FloatArray, int]:
        """Return the classifier's answers for rows of numbers."""
        return self._log_prob(rows, len(rows), classes), 0

    def _answer(self, texts: list[str], classes: Classes, verbose: int) -> Found:
        """Return the classifier's answers for texts."""
        columns = self._columns(classes)
        if not texts:
            return Found({})
        log_prob = self._log_prob(texts, len(texts), classes, columns)
        found = {
            text: Answer(row, np.nan)
            for text, row in zip(texts, log_prob, strict=True)
            if not np.isnan(row).any()
        }
        return Found(found, fresh=frozenset(found))

    def _log_prob(
        self,
        X: Any,
        n_rows: int,
        classes: Classes,
        columns: list[int] | None = None,
    ) -> FloatArray:
        """Return log-probabilities, columns as `classes`."""
        columns = self._columns(classes) if columns is None else columns
        proba = np.asarray(self.estimator.predict_proba(X), dtype=np.float64)
        return log_prob_of_output(proba[:, columns], n_rows, classes)

    def _columns(self, classes: Classes) -> list[int]:
        """Return where the classifier has each class."""
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
        known = np.asarray(estimator.classes_).tolist()
        if set(known) != set(classes.names):
            raise InvalidClassesError(
                "`classes` must be those the teacher was fitted on; got "
                f"{list(classes.names)!r}, the {kind} has {known!r}."
            )
        return [known.index(name) for name in classes.names]
