"""Scorers that need no gold labels, for choosing between fitted classifiers.

Each is used as `scoring=` in `GridSearchCV`, `cross_validate` and the like, with
`y=None`. They hold the student against the calibrated distribution of its teacher,
which is asked only about texts it has not labelled before.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd.exceptions import TeacherOutputError

__all__ = [
    "agreement_lower_bound",
    "confidence_weighted_agreement",
    "expected_agreement",
]

#: The quantile of the normal distribution for a one-sided bound at 95 %.
_Z = 1.6448536269514722


def expected_agreement(estimator: Any, X: Any, y: Any = None) -> float:
    """Return the mean probability the teacher gives to the student's prediction.

    Of several classes a text, the micro-F1 that the teacher's probabilities lead to
    expect: twice the sum of the probabilities of the classes predicted, over the sum of
    all probabilities plus the number of classes predicted.

    Parameters
    ----------
    estimator : LLKDClassifier, or a Pipeline that ends in one
        The fitted classifier.
    X : sequence of str of shape (n_texts,)
        The texts.
    y : None
        Ignored.

    Returns
    -------
    float
        The score, in [0, 1]: the expected accuracy, were the teacher's calibrated
        probabilities true.

    Examples
    --------
    >>> from skllkd import LLKDClassifier
    >>> from skllkd.metrics import expected_agreement
    >>> from skllkd.students import SklearnStudent
    >>> def teacher(texts):
    ...     return [(0.9, 0.1) if "card" in text else (0.2, 0.8) for text in texts]
    >>> texts = ["my card was charged", "nothing loads", "card declined", "it is down"]
    >>> clf = LLKDClassifier(
    ...     teacher, ["billing", "outage"], student=SklearnStudent(), n_epochs=20,
    ...     random_state=0,
    ... )
    >>> round(expected_agreement(clf.fit(texts), texts), 3)
    0.85
    """
    return _agreement(estimator, X)[0].mean()


def confidence_weighted_agreement(estimator: Any, X: Any, y: Any = None) -> float:
    """Return the expected agreement, each text weighted by the teacher's confidence.

    The weight is the distance of the largest probability from chance, so that texts
    about which the teacher knows nothing do not count.

    Parameters
    ----------
    estimator : LLKDClassifier, or a Pipeline that ends in one
        The fitted classifier.
    X : sequence of str of shape (n_texts,)
        The texts.
    y : None
        Ignored.

    Returns
    -------
    float
        The score, in [0, 1].
    """
    agreement, proba = _agreement(estimator, X)
    if agreement.size is not None:  # each class is a question of its own
        weight = np.abs(proba - 0.5).mean(axis=1)
    else:
        weight = proba.max(axis=1) - 1 / proba.shape[1]
    if not weight.sum() > 0:  # a teacher that is never surer than chance
        return agreement.mean()
    return agreement.mean(weight)


def agreement_lower_bound(estimator: Any, X: Any, y: Any = None) -> float:
    """Return a lower 95 % confidence bound on the expected agreement.

    The mean less 1.645 standard errors: of two candidates that agree alike, the one
    measured on fewer texts, or agreeing less evenly, scores lower.

    Parameters
    ----------
    estimator : LLKDClassifier, or a Pipeline that ends in one
        The fitted classifier.
    X : sequence of str of shape (n_texts,)
        The texts.
    y : None
        Ignored.

    Returns
    -------
    float
        The score, at most 1; it can be below 0 for a handful of texts.
    """
    agreement, _ = _agreement(estimator, X)
    if len(agreement.rows) < 2:
        return 0.0
    return agreement.mean() - _Z * agreement.standard_error()


def _agreement(estimator: Any, X: Any) -> tuple[Agreement, FloatArray]:
    """Return the agreement with the teacher, and its distributions."""
    while hasattr(estimator, "steps"):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    teacher_proba = estimator.known_teacher_proba(X)
    thresholds = getattr(estimator, "thresholds_", None)
    found = agreement_of_rows(estimator.predict_proba(X), teacher_proba, thresholds)
    return found, teacher_proba[found.rows]


class Agreement(NamedTuple):
    """The teacher's probability of the classes predicted, for the rows that have one.

    Of several classes a text `share` holds twice the sum over those predicted, and
    `size` that of all probabilities plus their number: the ratio of the sums is micro-F1.
    """

    rows: IntArray
    share: FloatArray
    size: FloatArray | None = None

    def mean(self, weight: FloatArray | None = None) -> float:
        """Return the mean over the rows, or micro-F1."""
        share = float(np.average(self.share, weights=weight))
        if self.size is None:
            return share
        size = float(np.average(self.size, weights=weight))
        return share / size if size else 1.0  # no class for any text, as expected

    def standard_error(self) -> float:
        """Return the standard error of the mean, of a ratio by its linearisation."""
        deviation = self.share
        if self.size is not None:
            size = max(float(self.size.mean()), 1e-12)
            deviation = (self.share - self.mean() * self.size) / size
        return float(deviation.std(ddof=1) / np.sqrt(len(deviation)))


def agreement_of_rows(
    student_proba: FloatArray,
    teacher_proba: FloatArray,
    thresholds: FloatArray | None = None,
) -> Agreement:
    """Return the agreement of predictions with the teacher's probabilities.

    With `thresholds` a text may have several of the classes.
    """
    known = np.flatnonzero(~nan_rows(teacher_proba))
    if not len(known):
        raise TeacherOutputError("the teacher has no usable label for these texts.")
    proba = teacher_proba[known]
    if thresholds is None:
        chosen = student_proba[known].argmax(axis=1)
        return Agreement(known, proba[np.arange(len(known)), chosen])
    has = student_proba[known] >= thresholds
    n_predicted, expected = has.sum(axis=1), proba.sum(axis=1)
    return Agreement(known, 2 * (proba * has).sum(axis=1), n_predicted + expected)
