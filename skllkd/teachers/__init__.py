"""Teachers: models that label texts with a distribution over the classes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skllkd.teachers.base import Teacher
    from skllkd.teachers.calibration import BatchCalibration
    from skllkd.teachers.callable import CallableTeacher
    from skllkd.teachers.embedding import EmbeddingTeacher
    from skllkd.teachers.ensemble import EnsembleTeacher
    from skllkd.teachers.huggingface.teacher import TransformersTeacher
    from skllkd.teachers.labels import TeacherLabels
    from skllkd.teachers.llamacpp.gguf import expand_gguf
    from skllkd.teachers.llamacpp.teacher import LlamaCppTeacher
    from skllkd.teachers.metered.scores import Scores
    from skllkd.teachers.metered.store import LabelStore
    from skllkd.teachers.metered.teacher import MeteredTeacher
    from skllkd.teachers.openai_api.teacher import OpenAITeacher
    from skllkd.teachers.precomputed import PrecomputedTeacher
    from skllkd.teachers.recalibration import CalibratedTeacher
    from skllkd.teachers.sklearn import SklearnTeacher

__all__ = [
    "BatchCalibration",
    "CalibratedTeacher",
    "CallableTeacher",
    "EmbeddingTeacher",
    "EnsembleTeacher",
    "LabelStore",
    "LlamaCppTeacher",
    "MeteredTeacher",
    "OpenAITeacher",
    "PrecomputedTeacher",
    "Scores",
    "SklearnTeacher",
    "Teacher",
    "TeacherLabels",
    "TransformersTeacher",
    "expand_gguf",
]

#: The module of each public name: imported on first use, as scikit-learn takes seconds.
_MODULES = {
    "BatchCalibration": "calibration",
    "CalibratedTeacher": "recalibration",
    "CallableTeacher": "callable",
    "EmbeddingTeacher": "embedding",
    "EnsembleTeacher": "ensemble",
    "LabelStore": "metered.store",
    "LlamaCppTeacher": "llamacpp.teacher",
    "MeteredTeacher": "metered.teacher",
    "OpenAITeacher": "openai_api.teacher",
    "PrecomputedTeacher": "precomputed",
    "Scores": "metered.scores",
    "SklearnTeacher": "sklearn",
    "Teacher": "base",
    "TeacherLabels": "labels",
    "TransformersTeacher": "huggingface.teacher",
    "expand_gguf": "llamacpp.gguf",
}


def __getattr__(name: str) -> Any:
    """Return a public name, imported now."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"skllkd.teachers.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted([*globals(), *_MODULES])
