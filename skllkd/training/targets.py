"""From a teacher's answers, or labels bought elsewhere, to what is trained on."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d

from skllkd._core.arrays import BoolArray, IntArray, is_missing
from skllkd._core.classes import Classes, as_classes
from skllkd._core.texts import column_entries, is_blank
from skllkd.exceptions import (
    InvalidClassesError,
    InvalidParameterError,
    MissingLabelWarning,
)
from skllkd.teachers import TeacherLabels, log_prob_of_output


def labels_in_y(texts: Any, y: Any, classes: Any) -> tuple[TeacherLabels, Classes]:
    """Return labels that were bought elsewhere as a teacher's.

    Parameters
    ----------
    texts : list of str or ndarray
        The texts.
    y : sequence of shape (n_texts,)
        A label each; None, NaN or NA where there is none.
    classes : sequence, mapping or None
        The class names; None for those in `y`.

    Returns
    -------
    labels : TeacherLabels
        The labels; none for an empty text.
    classes : Classes
        The classes.

    Raises
    ------
    InvalidParameterError
        If there are no labels, or not as many as texts.

    Warns
    -----
    MissingLabelWarning
        If texts have no label.
    """
    if y is None:
        raise InvalidParameterError(
            "without a `teacher` the classifier requires y to be passed, but the target "
            "y is None. Set teacher=..., or call fit(X, y) with labels bought elsewhere."
        )
    if getattr(y, "ndim", 1) == 2:
        y = column_or_1d(y, warn=True)
    given = [None if is_missing(label) else label for label in column_entries(y, "y")]
    if len(given) != len(texts):
        raise InvalidParameterError(
            f"`y` must hold one label a text; got {len(given)} for {len(texts)} texts."
        )
    blank = _blank_rows(texts)
    given = [
        None if nothing else label
        for nothing, label in zip(blank, _whole_numbers(given), strict=True)
    ]
    named = as_classes(_distinct(given) if classes is None else classes)
    labels = TeacherLabels(
        classes=named.names,
        log_prob=log_prob_of_output(given, len(texts), named),
        label_mass=np.broadcast_to(np.nan, len(texts)),
        n_blank=int(blank.sum()),
    )
    _warn_of_missing(labels, "y")
    return labels, named


def labels_in_proba(
    texts: Any, teacher_proba: Any, classes: Any
) -> tuple[TeacherLabels, Classes]:
    """Return distributions that are known already as a teacher's.

    Parameters
    ----------
    texts : list of str or ndarray
        The texts.
    teacher_proba : array-like of shape (n_texts, n_classes)
        A distribution each, columns as `classes`; rows of NaN where there is none.
    classes : sequence or mapping
        The class names.

    Returns
    -------
    labels : TeacherLabels
        The distributions; none for an empty text.
    classes : Classes
        The classes.
    """
    named = as_classes(classes)
    proba = np.asarray(teacher_proba, dtype=np.float64)
    log_prob = log_prob_of_output(proba, len(texts), named)
    blank = _blank_rows(texts)
    log_prob[blank] = np.nan
    unknown_mass = np.broadcast_to(np.nan, len(texts))
    n_blank = int(blank.sum())
    labels = TeacherLabels(named.names, log_prob, unknown_mass, n_blank=n_blank)
    _warn_of_missing(labels, "teacher_proba")
    return labels, named


def take(texts: Any, rows: IntArray) -> Any:
    """Return some of the texts, or of the rows of numbers.

    Parameters
    ----------
    texts : list of str or ndarray of shape (n_rows, n_features)
        All of them.
    rows : ndarray of shape (n,), int
        Which, in ascending order.

    Returns
    -------
    list of str or ndarray of shape (n, n_features)
        Those; where it is all of them, no copy.
    """
    if len(rows) == len(texts):
        return texts
    if isinstance(texts, np.ndarray):
        return texts[rows]
    return [texts[row] for row in rows]


def _blank_rows(texts: Any) -> BoolArray:
    """Return which texts are empty or white space; no row of numbers is."""
    if isinstance(texts, np.ndarray):
        return np.zeros(len(texts), dtype=bool)
    return np.array([is_blank(text) for text in texts])


def _warn_of_missing(labels: TeacherLabels, name: str) -> None:
    """Warn of texts without a label."""
    n_missing = int(labels.missing.sum())
    if n_missing:
        warnings.warn(
            f"{n_missing} of {len(labels)} texts have no label ({labels.n_blank} empty "
            f"or white space, {n_missing - labels.n_blank} without one in `{name}`). "
            "They take no part in training.",
            MissingLabelWarning,
            stacklevel=6,
        )


def _distinct(labels: list[Any]) -> list[Any]:
    """Return the class names among labels, sorted."""
    distinct = {label for label in labels if label is not None}
    broken = [label for label in distinct if isinstance(label, float)]
    if broken:
        raise InvalidClassesError(
            "Unknown label type: continuous. `y` must hold class labels; got numbers "
            f"that are not whole, as {broken[0]!r}."
        )
    if len(distinct) == 1:
        raise InvalidClassesError(
            f"`y` must hold at least 2 classes; got 1 class: {list(distinct)!r}."
        )
    try:
        return sorted(distinct)
    except TypeError as error:
        raise InvalidClassesError(
            f"`y` must hold labels of one type; got {sorted(map(repr, distinct))[:5]}."
        ) from error


def _whole_numbers(labels: list[Any]) -> list[Any]:
    """Return labels with 1.0 as 1: a gap turns a column of integers into floats."""
    known = [label for label in labels if label is not None]
    if not all(isinstance(label, float) and label.is_integer() for label in known):
        return labels
    return [None if label is None else int(label) for label in labels]
