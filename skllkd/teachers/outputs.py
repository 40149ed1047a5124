"""Conversion of the output of a plain callable to log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, is_missing
from skllkd._core.classes import Classes
from skllkd._core.params import shown
from skllkd.exceptions import TeacherOutputError
from skllkd.teachers.containers import length_of, sum_tolerance, unpacked
from skllkd.teachers.scored import column_of, names_classes, number, proba_of_scored
from skllkd.teachers.tag_outputs import log_prob_of_tags

_PREFIX = "proba_"


def log_prob_of_output(output: Any, n_texts: int, classes: Classes) -> FloatArray:
    """Convert the output of `CallableTeacher.function`, NaN rows for no answer.

    A label without a confidence has probability 1. A confidence below chance counts as
    just above it, so that the label stays the likeliest class. Columns that have names
    are found by them. With several classes a text, see `log_prob_of_tags`.
    """
    tolerance = sum_tolerance(output, len(classes))
    output = unpacked(output)
    if isinstance(output, Mapping):
        output = _columns_in_order(output, classes)
    if classes.multilabel:
        return log_prob_of_tags(output, n_texts, classes)
    if _is_pair(output):
        return _from_labels(output[0], output[1], n_texts, classes)
    if isinstance(output, (list, tuple)):
        first = next((row for row in output if not is_missing(row)), None)
        if names_classes(first):
            _check_length(output, n_texts)
            return _log(proba_of_scored(list(output), classes, tolerance))
    if _is_rows(output):
        return _log(_checked_proba(output, n_texts, classes, tolerance))
    return _from_labels(output, None, n_texts, classes)


def _columns_in_order(columns: Mapping[Any, Any], classes: Classes) -> Any:
    """Return the columns of the classes as rows, or those of labels and confidences."""
    by_word = {str(name): column for name, column in columns.items()}
    found = [by_word.get(word, by_word.get(_PREFIX + word)) for word in classes.words]
    if all(column is not None for column in found):
        return _rows(found)
    has_classes = any(column is not None for column in found)
    if "label" in by_word and not has_classes:
        score = by_word.get("score", by_word.get("confidence"))
        return by_word["label"] if score is None else (by_word["label"], score)
    if list(columns) == list(range(len(classes))) and not has_classes:
        return _rows(list(columns.values()))  # numbered, for want of names
    raise TeacherOutputError(
        f"the teacher's table must have a column for each of {list(classes.words)}, or "
        f"the column 'label'; got the columns {list(by_word)}."
    )


def _rows(columns: list[Any]) -> list[list[float]]:
    """Return columns of numbers as rows."""
    lengths = [length_of(column) for column in columns]
    if None in lengths:
        raise TeacherOutputError(
            "the teacher's columns must be lists or arrays with an entry for each text; "
            f"got {shown(columns[lengths.index(None)])}."
        )
    if len({*lengths}) != 1:
        raise TeacherOutputError(
            "the teacher's columns must be of one length, an entry for each text; got "
            f"{lengths}."
        )
    return [
        [number(value, row, "probabilities") for value in values]
        for row, values in enumerate(zip(*columns, strict=True))
    ]


def _is_pair(output: Any) -> bool:
    """Return whether an output is (labels, confidences)."""
    return (
        isinstance(output, tuple)
        and len(output) == 2
        and all(_is_column(part) for part in output)
        and not any(
            isinstance(value, (float, np.floating)) and not is_missing(value)
            for value in output[0]  # then these are rows of probabilities
        )
    )


def _is_column(part: Any) -> bool:
    """Return whether a part of an output is a list of single values."""
    if isinstance(part, (list, tuple)):
        return not any(isinstance(value, (list, tuple, Mapping)) for value in part)
    return isinstance(part, np.ndarray) and part.ndim == 1


def _is_rows(output: Any) -> bool:
    """Return whether an output is rows of numbers, not labels, each in a list maybe."""
    if isinstance(output, np.ndarray):
        return output.ndim >= 2 and not (
            output.shape[1] == 1 and output.dtype.kind in "OUS"
        )
    if not isinstance(output, (list, tuple)):
        return False
    rows = [row for row in output if isinstance(row, (list, tuple, np.ndarray))]
    return any(single(row) is row for row in rows)


def _checked_proba(
    output: Any, n_texts: int, classes: Classes, tolerance: float
) -> FloatArray:
    """Read rows of probabilities."""
    wanted = (n_texts, len(classes))
    proba = _numbers(output, wanted)
    if proba.shape != wanted:
        raise TeacherOutputError(
            f"the teacher's probabilities must have shape {wanted}, one row a text and "
            f"one column a class in the order of `classes`; got {proba.shape}."
        )
    answered = ~np.isnan(proba).all(axis=1)
    with np.errstate(invalid="ignore"):
        right = (proba >= 0).all(axis=1)
        right &= np.abs(proba.sum(axis=1) - 1) <= tolerance
    wrong = np.flatnonzero(answered & ~right)
    if len(wrong):
        row = wrong[0]
        raise TeacherOutputError(
            "the teacher's rows must be probabilities, not negative and summing to 1 "
            f"(a row of NaN for no answer); got {proba[row].tolist()} at row {row}, and "
            f"{len(wrong)} such rows in all. Normalise them, or return log-probabilities "
            "through a softmax."
        )
    return proba


def _numbers(output: Any, wanted: tuple[int, int]) -> FloatArray:
    """Return rows as an array of numbers, or raise at the first that is none."""
    none = [np.nan] * wanted[1]
    rows = output
    if not isinstance(output, np.ndarray) or output.dtype == object:
        rows = [none if is_missing(row) else row for row in output]
    try:
        if np.iscomplexobj(rows):
            raise TypeError("complex numbers")
        return np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        row, fault = _first_fault(rows, wanted[1])
        raise TeacherOutputError(
            f"the teacher's probabilities must be numbers of shape {wanted}, one row a "
            f"text and one column a class; got {shown(fault)} at row {row}: {error}."
        ) from error


def _first_fault(rows: list[Any], n_classes: int) -> tuple[int, Any]:
    """Return the first row that is no row of numbers, with its number."""
    for place, row in enumerate(rows):
        try:
            numbers = [number(value, place, "probabilities") for value in row]
        except (TypeError, TeacherOutputError):
            return place, row
        if len(numbers) != n_classes:
            return place, row
    return 0, rows[0]


def _from_labels(
    labels: Any, confidences: Any, n_texts: int, classes: Classes
) -> FloatArray:
    """Read labels, with a confidence each or without."""
    if not isinstance(labels, (list, tuple)) and np.ndim(labels) == 0:
        raise TeacherOutputError(
            f"the teacher must return {n_texts} labels or an array of probabilities of "
            f"shape ({n_texts}, {len(classes)}); got {type(labels).__name__}. Make a "
            "list of a generator."
        )
    labels = [single(label) for label in labels]
    _check_length(labels, n_texts)
    sure = np.ones(n_texts)
    if confidences is not None:
        sure = _confidences(confidences, n_texts, len(classes))
    rest = (1 - sure) / (len(classes) - 1)
    proba = np.repeat(rest[:, None], len(classes), axis=1)
    for row, label in enumerate(labels):
        if is_missing(label):
            proba[row] = np.nan
        else:
            proba[row, column_of(label, row, classes)] = sure[row]
    return _log(proba)


def _check_length(labels: Any, n_texts: int) -> None:
    """Raise unless there is an answer for each text."""
    if len(labels) != n_texts:
        raise TeacherOutputError(
            f"the teacher must return one label a text; got {len(labels)} for {n_texts} "
            "texts."
        )


def _confidences(confidences: Any, n_texts: int, n_classes: int) -> FloatArray:
    """Read the confidences that go with labels."""
    sure = np.array(
        [number(v, row, "confidences") for row, v in enumerate(confidences)]
    )
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


def single(label: Any) -> Any:
    """Return a label as a Python object, out of the list in which it is alone."""
    if isinstance(label, np.ndarray) and label.size == 1:
        return single(label.item())
    if isinstance(label, (list, tuple)) and len(label) == 1:
        return single(label[0])
    return label.item() if isinstance(label, np.generic) else label


def _log(proba: FloatArray) -> FloatArray:
    """Return the logarithm, minus infinity of 0."""
    with np.errstate(divide="ignore"):
        log_prob: FloatArray = np.log(proba)
    return log_prob
