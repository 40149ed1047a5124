"""Scorers that need no gold labels, for choosing between fitted classifiers.

Each is used as `scoring=` in `GridSearchCV`, `cross_validate` and the like, with
`y=None`. They hold the student against the calibrated distribution of its teacher,
which is asked only about texts it has not labelled before.
"""

from __future__ import annotations

from typing import Any

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
    agreement, _ = _agreement(estimator, X)
    return float(agreement.mean())


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
    weight = proba.max(axis=1) - 1 / proba.shape[1]
    if not weight.sum() > 0:  # a teacher that is never surer than chance
        return float(agreement.mean())
    return float(np.average(agreement, weights=weight))


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
    if len(agreement) < 2:
        return 0.0
    error = agreement.std(ddof=1) / np.sqrt(len(agreement))
    return float(agreement.mean() - _Z * error)


def _agreement(estimator: Any, X: Any) -> tuple[FloatArray, FloatArray]:
    """Return the teacher's probability of each prediction, and its distributions."""
    while hasattr(estimator, "steps"):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    teacher_proba = estimator.known_teacher_proba(X)
    agreement, known = agreement_of_rows(estimator.predict_proba(X), teacher_proba)
    return agreement, teacher_proba[known]


def agreement_of_rows(
    student_proba: FloatArray, teacher_proba: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Return the teacher's probability of each prediction, and the rows that have one."""
    known = np.flatnonzero(~nan_rows(teacher_proba))
    if not len(known):
        raise TeacherOutputError("the teacher has no usable label for these texts.")
    return teacher_proba[known, student_proba[known].argmax(axis=1)], known
