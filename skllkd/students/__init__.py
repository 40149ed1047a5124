"""Students: the models that learn from the selected rows."""

from typing import Any

from skllkd.exceptions import InvalidParameterError
from skllkd.students.base import Student
from skllkd.students.frozen_encoder import FrozenEncoderStudent
from skllkd.students.losses import (
    CandidateSet,
    CrossEntropy,
    GeneralizedCrossEntropy,
    Loss,
)
from skllkd.students.sklearn import SklearnStudent
from skllkd.students.transformer import TransformerStudent

__all__ = [
    "CandidateSet",
    "CrossEntropy",
    "FrozenEncoderStudent",
    "GeneralizedCrossEntropy",
    "Loss",
    "SklearnStudent",
    "Student",
    "TransformerStudent",
]


def as_student(student: Any) -> Student:
    """Return a student, one around a scikit-learn classifier, or for None the default."""
    if student is None:
        return TransformerStudent()
    if isinstance(student, Student):
        return student
    if hasattr(student, "partial_fit"):
        return SklearnStudent(student)
    raise InvalidParameterError(
        "`student` must be a student of skllkd.students or a scikit-learn classifier "
        f"with `partial_fit`; got {type(student).__name__}."
    )
