"""Conversion of the output of a plain callable to log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, is_missing
from skllkd._core.classes import Classes
from skllkd.exceptions import TeacherOutputError

_SUM_TOLERANCE = 1e-3


def log_prob_of_output(output: Any, n_texts: int, classes: Classes) -> FloatArray:
    """Convert what `CallableTeacher.function` may return, NaN rows for no answer.

    A label without a confidence has probability 1. A confidence below chance counts as
    just above it, so that the label stays the likeliest class.
    """
    if _is_pair(output):
        return _from_labels(output[0], output[1], n_texts, classes)
    try:
        n_dimensions = np.ndim(output)
    except ValueError:
        n_dimensions = 2  # rows of different lengths
    if n_dimensions == 2:
        return _from_proba(output, n_texts, classes)
    return _from_labels(output, None, n_texts, classes)


def _is_pair(output: Any) -> bool:
    """Return whether an output is (labels, confidences)."""
    return (
        isinstance(output, tuple)
        and len(output) == 2
        and all(
            hasattr(part, "__len__") and not isinstance(part, str) for part in output
        )
        and all(np.ndim(part) == 1 for part in output)
        and not any(
            isinstance(value, (float, np.floating)) and not is_missing(value)
            for value in output[0]  # then these are rows of probabilities
        )
    )


def _from_proba(output: Any, n_texts: int, classes: Classes) -> FloatArray:
    """Read probabilities."""
    wanted = (n_texts, len(classes))
    if isinstance(output, (list, tuple)):
        none = [np.nan] * len(classes)
        output = [none if is_missing(row) else row for row in output]
    try:
        proba = np.asarray(output, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TeacherOutputError(
            f"the teacher's probabilities must be numbers of shape {wanted}, one row a "
            f"text and one column a class; got {type(output).__name__}: {error}."
        ) from error
    if proba.shape != wanted:
        raise TeacherOutputError(
            f"the teacher's probabilities must have shape {wanted}, one row a text and "
            f"one column a class in the order of `classes`; got {proba.shape}."
        )
    answered = ~np.isnan(proba).all(axis=1)
    with np.errstate(invalid="ignore"):
        right = (proba >= 0).all(axis=1)
        right &= np.abs(proba.sum(axis=1) - 1) <= _SUM_TOLERANCE
    wrong = np.flatnonzero(answered & ~right)
    if len(wrong):
        row = wrong[0]
        raise TeacherOutputError(
            "the teacher's rows must be probabilities, not negative and summing to 1 "
            f"(a row of NaN for no answer); got {proba[row].tolist()} at row {row}, and "
            f"{len(wrong)} such rows in all. Normalise them, or return log-probabilities "
            "through a softmax."
        )
    with np.errstate(divide="ignore"):
        log_prob: FloatArray = np.log(proba)
    return log_prob


def _from_labels(
    labels: Any, confidences: Any, n_texts: int, classes: Classes
) -> FloatArray:
    """Read labels, with a confidence each or without."""
    if not hasattr(labels, "__len__") or isinstance(labels, str):
        raise TeacherOutputError(
            f"the teacher must return {n_texts} labels or an array of probabilities of "
            f"shape ({n_texts}, {len(classes)}); got {type(labels).__name__}."
        )
    labels = [_plain_label(label) for label in labels]
    if len(labels) != n_texts:
        raise TeacherOutputError(
            f"the teacher must return one label a text; got {len(labels)} for {n_texts} "
            "texts."
        )
    place_of = {name: place for place, name in enumerate(classes.names)}
    for row, label in enumerate(labels):
        if label is not None and label not in place_of:
            raise TeacherOutputError(
                f"the teacher must answer with one of {list(classes.names)!r}, or None "
                f"for no answer; got {label!r} at row {row}."
            )
    sure = np.ones(n_texts)
    if confidences is not None:
        sure = _confidences(confidences, n_texts, len(classes))
    rest = (1 - sure) / (len(classes) - 1)
    proba = np.repeat(rest[:, None], len(classes), axis=1)
    for row, label in enumerate(labels):
        if label is None:
            proba[row] = np.nan
        else:
            proba[row, place_of[label]] = sure[row]
    with np.errstate(divide="ignore"):
        log_prob: FloatArray = np.log(proba)
    return log_prob


def _confidences(confidences: Any, n_texts: int, n_classes: int) -> FloatArray:
    """Read the confidences that go with labels."""
    sure = np.asarray(confidences, dtype=np.float64)
    if sure.shape != (n_texts,):
        raise TeacherOutputError(
            f"the teacher must return one confidence a text; got shape {sure.shape} for "
            f"{n_texts} texts."
        )
    wrong = np.flatnonzero((sure < 0) | (sure > 1))
    if len(wrong):
        raise TeacherOutputError(
            "the teacher's confidences must lie in [0, 1]; got "
            f"{sure[wrong[0]]} at row {wrong[0]}."
        )
    above_chance: FloatArray = np.maximum(sure, 1 / n_classes + 1e-6)
    return above_chance


def _plain_label(label: Any) -> Any:
    """Return a label as a Python object, None where there is none."""
    if isinstance(label, np.generic):
        label = label.item()
    return None if is_missing(label) else label
