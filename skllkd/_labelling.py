"""From a teacher's answers, or labels bought elsewhere, to what is trained on."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._validation import (
    Classes,
    FloatArray,
    as_classes,
    column_entries,
    is_blank,
    is_missing,
    nan_rows,
)
from skllkd.exceptions import (
    InvalidClassesError,
    InvalidParameterError,
    MissingLabelWarning,
)
from skllkd.teachers import TeacherLabels, log_prob_of_output


def labels_in_y(
    texts: list[str], y: Any, classes: Any
) -> tuple[TeacherLabels, Classes]:
    """Return labels that were bought elsewhere as a teacher's.

    Parameters
    ----------
    texts : list of str
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
            "`fit` needs a `teacher`, or labels bought elsewhere as `y`; got "
            "neither. Set teacher=..., or call fit(X, y)."
        )
    given = [None if is_missing(label) else label for label in column_entries(y, "y")]
    if len(given) != len(texts):
        raise InvalidParameterError(
            f"`y` must hold one label a text; got {len(given)} for {len(texts)} texts."
        )
    given = _whole_numbers(given)
    n_blank = sum(map(is_blank, texts))
    given = [
        None if is_blank(text) else label
        for text, label in zip(texts, given, strict=True)
    ]
    named = as_classes(_distinct(given) if classes is None else classes)
    labels = TeacherLabels(
        classes=named.names,
        log_prob=log_prob_of_output(given, len(texts), named),
        label_mass=np.full(len(texts), np.nan),
        n_blank=n_blank,
    )
    n_missing = int(labels.missing.sum())
    if n_missing:
        warnings.warn(
            f"{n_missing} of {len(texts)} texts have no label ({n_blank} empty or white "
            f"space, {n_missing - n_blank} without one in `y`). They take no part in "
            "training.",
            MissingLabelWarning,
            stacklevel=4,
        )
    return labels, named


def _distinct(labels: list[Any]) -> list[Any]:
    """Return the class names among labels, sorted."""
    distinct = {label for label in labels if label is not None}
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


def columns_in_order(
    proba: FloatArray, classes: Classes, names: npt.NDArray[Any]
) -> FloatArray:
    """Return probabilities with their columns in the order of class names.

    Parameters
    ----------
    proba : ndarray of shape (n_texts, n_classes)
        Probabilities whose columns follow `classes`.
    classes : Classes
        The classes as the user gave them.
    names : ndarray of shape (n_classes,)
        The order wanted.

    Returns
    -------
    ndarray of shape (n_texts, n_classes)
        The same probabilities.
    """
    return proba[:, [classes.names.index(name) for name in names.tolist()]]


def likeliest_names(
    proba: FloatArray, names: npt.NDArray[Any]
) -> npt.NDArray[np.object_]:
    """Return the likeliest class of each row.

    Parameters
    ----------
    proba : ndarray of shape (n_texts, n_classes)
        Probabilities; rows of NaN have no class.
    names : ndarray of shape (n_classes,)
        The class names.

    Returns
    -------
    ndarray of shape (n_texts,), object
        Class names, None where there is none.
    """
    likeliest = np.full(len(proba), None, dtype=object)
    known = ~nan_rows(proba)
    likeliest[known] = names[proba[known].argmax(axis=1)]
    return likeliest
