"""Functions and fitted classifiers as teachers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.base import Teacher
from skllkd.teachers.callable import CallableTeacher
from skllkd.teachers.sklearn import SklearnTeacher


def as_teacher(teacher: Teacher | Callable[[list[str]], Any]) -> Teacher:
    """Wrap a fitted classifier or a plain function as a teacher; one stays as it is."""
    is_class = isinstance(teacher, type)
    if not is_class and hasattr(teacher, "fit") and hasattr(teacher, "get_params"):
        return SklearnTeacher(teacher)  # an LLKDClassifier too, though it has `label`
    if hasattr(teacher, "label") and not is_class:
        return teacher  # type: ignore[return-value]
    if callable(teacher) and not is_class:
        return CallableTeacher(teacher)
    raise InvalidParameterError(
        "`teacher` must be a teacher of skllkd.teachers, a fitted classifier or a "
        f"function of a list of texts; got {type(teacher).__name__}."
    )
