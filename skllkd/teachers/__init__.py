"""Teachers: who labels the texts, and how surely."""

from collections.abc import Callable
from typing import Any

from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.base import Answers, Teacher
from skllkd.teachers.callable import CallableTeacher
from skllkd.teachers.ensemble import EnsembleTeacher
from skllkd.teachers.huggingface.teacher import TransformersTeacher
from skllkd.teachers.labels import TeacherLabels
from skllkd.teachers.llamacpp.teacher import LlamaCppTeacher
from skllkd.teachers.metered.budget import LabellingPlan, TokenCount
from skllkd.teachers.metered.store import LabelStore
from skllkd.teachers.metered.teacher import AskedTeacher
from skllkd.teachers.metered.usage import StoredAnswers, Usage
from skllkd.teachers.openai_api.batch import BatchStatus
from skllkd.teachers.openai_api.teacher import OpenAITeacher
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.precomputed import PrecomputedTeacher
from skllkd.teachers.recalibration import CalibratedTeacher
from skllkd.teachers.sklearn import SklearnTeacher

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
    if isinstance(teacher, Callable) and not is_class:
        return CallableTeacher(teacher)
    raise InvalidParameterError(
        "`teacher` must be a teacher of skllkd.teachers, a fitted classifier or a "
        f"function of a list of texts; got {type(teacher).__name__}."
    )
