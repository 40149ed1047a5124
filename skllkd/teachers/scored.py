"""Answers that name classes: labels with scores, as a pipeline of transformers gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, is_missing
from skllkd._core.classes import Classes
from skllkd._core.params import shown
from skllkd.exceptions import TeacherOutputError

#: Names of what goes with a label.
_SCORES = ("score", "confidence")
#: Names of the lists of all labels, and of their scores.
_RANKED = ("labels", "scores")


def names_classes(row: Any) -> bool:
    """Return whether an answer is of labels with scores."""
    if isinstance(row, Mapping):
        return True
    if isinstance(row, (list, tuple)) and row:
        is_pair = len(row) == 2 and isinstance(row[0], str) and _is_number(row[1])
        return is_pair or all(isinstance(part, Mapping) for part in row)
    return False


def proba_of_scored(rows: list[Any], classes: Classes, tolerance: float) -> FloatArray:
    """Return the distribution of each text; probability without a class name is shared."""
    proba = np.full((len(rows), len(classes)), np.nan)
    for row, answer in enumerate(rows):
        if not is_missing(answer):
            scores = _scores(answer, row, classes)
            proba[row] = _distribution(scores, row, len(classes), tolerance)
    return proba


def _scores(answer: Any, row: int, classes: Classes) -> dict[int, float]:
    """Return the score of each class that an answer names, by its column."""
    scores: dict[int, float] = {}
    for label, score in pairs_in_answer(answer, row, classes):
        column = column_of(label, row, classes)
        if column in scores:
            raise TeacherOutputError(
                f"the teacher must name a class once; got {label!r} twice at row {row}."
            )
        scores[column] = number(score, row, "scores")
        if not 0 <= scores[column] <= 1:
            raise TeacherOutputError(
                f"the teacher's scores must lie in [0, 1]; got {score!r} at row {row}."
            )
    return scores


def pairs_in_answer(answer: Any, row: int, classes: Classes) -> list[tuple[Any, Any]]:
    """Return the labels and scores in an answer."""
    if isinstance(answer, (list, tuple)):
        if not names_classes(answer):
            raise TeacherOutputError(
                "the teacher must answer in one form; got labels with scores, and "
                f"{shown(answer)} at row {row}."
            )
        if not isinstance(answer[0], Mapping):
            return [(answer[0], answer[1])]
        return [pair for part in answer for pair in pairs_in_answer(part, row, classes)]
    if not isinstance(answer, Mapping):
        raise TeacherOutputError(
            "the teacher must answer in one form; got labels with scores, and "
            f"{shown(answer)} at row {row}."
        )
    labels, scores = (answer.get(name) for name in _RANKED)  # of a zero-shot pipeline
    if isinstance(labels, list) and isinstance(scores, list):
        if len(labels) != len(scores):
            raise TeacherOutputError(
                f"the teacher must give a score for each label; got {len(labels)} labels "
                f"and {len(scores)} scores at row {row}."
            )
        return list(zip(labels, scores, strict=True))
    if "label" in answer and "label" not in classes.names:
        score = next((answer[name] for name in _SCORES if name in answer), 1.0)
        return [(answer["label"], score)]
    return list(answer.items())


def _distribution(
    scores: dict[int, float], row: int, n_classes: int, tolerance: float
) -> FloatArray:
    """Return the distribution of scores; one below chance counts as just above it."""
    columns, given = list(scores), np.array(list(scores.values()))
    if len(given) == 1 < n_classes:
        given = np.maximum(given, 1 / n_classes + 1e-6)
    rest = 1 - given.sum()
    if rest < -tolerance or (len(given) == n_classes and rest > tolerance):
        raise TeacherOutputError(
            f"the teacher's scores of a text must sum to 1; got {given.tolist()} at row "
            f"{row}. Return probabilities, as a softmax gives."
        )
    proba = np.full(n_classes, max(rest, 0) / max(n_classes - len(given), 1))
    proba[columns] = given
    return proba


def column_of(label: Any, row: int, classes: Classes) -> int:
    """Return the column of a label, or raise that it is no class."""
    try:
        return classes.names.index(label)
    except (ValueError, TypeError):  # an array or NA is not even equal to itself
        raise TeacherOutputError(
            f"the teacher must answer with one of {list(classes.names)!r}, or None "
            f"for no answer; got {shown(label)} at row {row}."
        ) from None


def number(value: Any, row: int, name: str) -> float:
    """Return a value as a number, NaN for a missing one, or raise that it is none."""
    if is_missing(value):
        return float("nan")
    try:
        if isinstance(value, np.complexfloating):  # NumPy would drop a part of it
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise TeacherOutputError(
            f"the teacher's {name} must be numbers, with a decimal point; got "
            f"{shown(value)} at row {row}."
        ) from None


def _is_number(value: Any) -> bool:
    """Return whether a value is a number or written as one."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
