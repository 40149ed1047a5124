"""Teachers: who labels the texts, and how surely."""

from collections.abc import Callable
from typing import Any

from skllkd.exceptions import InvalidParameterError
from skllkd.teachers._asked import AskedTeacher
from skllkd.teachers._base import Answers, Teacher
from skllkd.teachers._calibrated import CalibratedTeacher
from skllkd.teachers._callable import CallableTeacher
from skllkd.teachers._ensemble import EnsembleTeacher
from skllkd.teachers._labels import TeacherLabels
from skllkd.teachers._llama_cpp import LlamaCppTeacher
from skllkd.teachers._openai import OpenAITeacher
from skllkd.teachers._openai_batch import BatchStatus
from skllkd.teachers._outputs import log_prob_of_output
from skllkd.teachers._plan import LabellingPlan, TokenCount
from skllkd.teachers._precomputed import PrecomputedTeacher
from skllkd.teachers._sklearn import SklearnTeacher
from skllkd.teachers._store import LabelStore
from skllkd.teachers._stored import StoredAnswers, Usage
from skllkd.teachers._transformers import TransformersTeacher

__all__ = [
    "Answers",
    "AskedTeacher",
    "BatchStatus",
    "CalibratedTeacher",
    "CallableTeacher",
    "EnsembleTeacher",
    "LabelStore",
    "LabellingPlan",
    "LlamaCppTeacher",
    "OpenAITeacher",
    "PrecomputedTeacher",
    "SklearnTeacher",
    "StoredAnswers",
    "Teacher",
    "TeacherLabels",
    "TokenCount",
    "TransformersTeacher",
    "Usage",
    "as_teacher",
    "log_prob_of_output",
]


def as_teacher(teacher: Teacher | Callable[[list[str]], Any]) -> Teacher:
    """Return a teacher from a teacher, a fitted classifier or a plain function.

    Parameters
    ----------
    teacher : Teacher, classifier or callable
        What the user set.

    Returns
    -------
    Teacher
        The teacher itself, a `SklearnTeacher` around the classifier, or a
        `CallableTeacher` around the function.

    Raises
    ------
    InvalidParameterError
        If it is none of them.
    """
    is_class = isinstance(teacher, type)
    if not is_class and hasattr(teacher, "fit") and hasattr(teacher, "get_params"):
        return SklearnTeacher(
            teacher
        )  # also an LLKDClassifier, which has a `label` too
    if hasattr(teacher, "label") and not is_class:
        return teacher  # type: ignore[return-value]
    if callable(teacher) and not is_class:
        return CallableTeacher(teacher)
    raise InvalidParameterError(
        "`teacher` must be a teacher of skllkd.teachers, a fitted classifier or a "
        f"function of a list of texts; got {type(teacher).__name__}."
    )
