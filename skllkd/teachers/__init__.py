"""Teachers: models that label texts with a distribution over the classes."""

from skllkd.teachers.base import Teacher
from skllkd.teachers.calibration import BatchCalibration, ContextualCalibration
from skllkd.teachers.callable import CallableTeacher
from skllkd.teachers.ensemble import EnsembleTeacher
from skllkd.teachers.huggingface.teacher import TransformersTeacher
from skllkd.teachers.labels import TeacherLabels, Usage
from skllkd.teachers.llamacpp.gguf import expand_gguf
from skllkd.teachers.llamacpp.teacher import LlamaCppTeacher
from skllkd.teachers.metered.scores import Scores
from skllkd.teachers.metered.store import LabelStore, StoredAnswers
from skllkd.teachers.metered.teacher import MeteredTeacher
from skllkd.teachers.openai_api.batch import BatchStatus
from skllkd.teachers.openai_api.teacher import OpenAITeacher
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.plan import LabellingPlan, TokenCount
from skllkd.teachers.precomputed import PrecomputedTeacher
from skllkd.teachers.recalibration import CalibratedTeacher
from skllkd.teachers.sklearn import SklearnTeacher
from skllkd.teachers.wrapping import as_teacher

__all__ = [
    "BatchCalibration",
    "BatchStatus",
    "CalibratedTeacher",
    "CallableTeacher",
    "ContextualCalibration",
    "EnsembleTeacher",
    "LabelStore",
    "LabellingPlan",
    "LlamaCppTeacher",
    "MeteredTeacher",
    "OpenAITeacher",
    "PrecomputedTeacher",
    "Scores",
    "SklearnTeacher",
    "StoredAnswers",
    "Teacher",
    "TeacherLabels",
    "TokenCount",
    "TransformersTeacher",
    "Usage",
    "as_teacher",
    "expand_gguf",
    "log_prob_of_output",
]
