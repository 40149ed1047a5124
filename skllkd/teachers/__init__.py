"""Teachers: models that label texts with a distribution over the classes."""

from skllkd.teachers.base import Teacher
from skllkd.teachers.calibration import BatchCalibration, ContextualCalibration
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
    "ContextualCalibration",
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
