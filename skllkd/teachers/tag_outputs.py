"""Answers about texts with none, one or several of the classes, as log-probabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, is_missing
from skllkd._core.classes import Classes
from skllkd._core.params import shown
from skllkd.exceptions import TeacherOutputError
from skllkd.teachers.containers import length_of
from skllkd.teachers.scored import column_of, number, pairs_in_answer

#: Signs between the classes in a cell of a table.
_SEPARATORS = (";", "|", ",")
#: Containers of the classes of a text.
_CONTAINERS = (list, tuple, set, frozenset, np.ndarray)


def log_prob_of_tags(output: Any, n_texts: int, classes: Classes) -> FloatArray:
    """Convert answers to log-probabilities of shape (n_texts, n_classes).

    An answer is a list or set of class names, a row of probabilities or of 0 and 1, or a
    dict of classes and their probabilities, those not named having none. Rows of NaN for
    no answer, or one that lacks a number; an empty list is one: none of the classes.
    """
    length = length_of(output)
    if length is None:
        raise TeacherOutputError(
            f"the teacher must return {n_texts} lists of classes, or an array of shape "
            f"({n_texts}, {len(classes)}); got {type(output).__name__}. Make a list of a "
            "generator."
        )
    if length != n_texts:
        raise TeacherOutputError(
            f"the teacher must return the classes of each text; got {length} answers "
            f"for {n_texts} texts."
        )
    is_matrix = isinstance(output, np.ndarray) and output.dtype.kind in "biuf"
    proba = np.full((n_texts, len(classes)), np.nan)
    for row, answer in enumerate(output):
        if isinstance(answer, np.ndarray) and answer.ndim == 0:
            answer = answer.item()
        if not is_missing(answer):
            proba[row] = _probabilities(answer, row, classes, is_numbers=is_matrix)
    _check_range(proba)
    proba[np.isnan(proba).any(axis=1)] = np.nan
    with np.errstate(divide="ignore"):
        log_prob: FloatArray = np.log(proba)
    return log_prob


def _probabilities(
    answer: Any, row: int, classes: Classes, *, is_numbers: bool
) -> FloatArray:
    """Return the probability of each class in an answer."""
    if is_numbers or _is_numbers(answer, classes):
        values = [number(value, row, "probabilities") for value in np.ravel(answer)]
        if len(values) != len(classes):
            raise TeacherOutputError(
                f"the teacher's rows must have a number for each of the {len(classes)} "
                f"classes; got {shown(answer)} at row {row}."
            )
        return np.array(values)
    proba = np.zeros(len(classes))
    for label, score in _scored(answer, row, classes):
        proba[column_of(label, row, classes)] = number(score, row, "scores")
    return proba


def _is_numbers(answer: Any, classes: Classes) -> bool:
    """Return whether an answer is a row of numbers rather than a list of classes.

    A list of integers is of classes where these are integers.
    """
    if not isinstance(answer, (list, tuple, np.ndarray)) or not len(answer):
        return False
    kinds = {
        type(value.item() if hasattr(value, "item") and np.ndim(value) == 0 else value)
        for value in answer
    }
    if not kinds <= {int, float, bool, type(None)}:
        return False
    return not kinds <= {type(name) for name in classes.names}


def _scored(answer: Any, row: int, classes: Classes) -> list[tuple[Any, Any]]:
    """Return the classes in an answer, with their probabilities."""
    if isinstance(answer, Mapping):
        return pairs_in_answer(answer, row, classes)
    if not isinstance(answer, _CONTAINERS):
        answer = [answer]
    values = list(answer)
    if values and all(isinstance(value, Mapping) for value in values):
        return pairs_in_answer(values, row, classes)
    plain = (
        value.item() if isinstance(value, np.generic) else value for value in values
    )
    return [(label, 1.0) for label in plain]


def _check_range(proba: FloatArray) -> None:
    """Raise unless probabilities lie in [0, 1]."""
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere((proba < 0) | (proba > 1))
    if len(wrong):
        row, column = wrong[0]
        raise TeacherOutputError(
            "the teacher's probabilities of a class must lie in [0, 1]; got "
            f"{proba[row, column]} at row {row}. Put log-odds through a sigmoid."
        )


def tags_in_cell(cell: Any, classes: Classes) -> Any:
    """Return the classes in a cell of a table: a list, or a text that lists them.

    A text is one class, a JSON list, or classes with ";", "|" or "," between them. Names
    that a file has made texts or numbers of are given their type again.
    """
    if isinstance(cell, str):
        cell = _listed(cell, classes)
    if not isinstance(cell, _CONTAINERS):
        return cell if is_missing(cell) or isinstance(cell, Mapping) else [cell]
    return [_named(label, classes) for label in cell]


def _listed(cell: str, classes: Classes) -> list[Any] | None:
    """Return the classes that a text lists; None for an empty one."""
    cell = cell.strip()
    if not cell:
        return None
    if cell in classes.words:
        return [cell]
    if cell.startswith("["):
        try:
            listed = json.loads(cell)
        except ValueError:
            listed = None
        if isinstance(listed, list):
            return listed
    for sign in _SEPARATORS:
        parts = [part.strip() for part in cell.split(sign)]
        if all(part in classes.words for part in parts):
            return parts
    return [part.strip() for part in cell.split(_SEPARATORS[0])]


def _named(label: Any, classes: Classes) -> Any:
    """Give a class the type of the class names; anything else stays as it is."""
    label = label.item() if isinstance(label, np.generic) else label
    if label in classes.names or not isinstance(label, (str, int)):
        return label
    word = str(label).strip().removesuffix(".0")
    return dict(zip(classes.words, classes.names, strict=True)).get(word, label)
