"""The selection and the student of a training run, new or going on."""

from __future__ import annotations

import copy
import warnings
from typing import Any, TypeVar

from sklearn.base import clone

from skllkd.exceptions import InvalidParameterError, SkllkdWarning
from skllkd.selection import RankedImportance, Selection
from skllkd.students import Student, as_student

#: A selection or a student.
Part = TypeVar("Part", Selection, Student)


def prepare_selection(given: Any, learned: Selection | None) -> Selection:
    """Return a checked selection: unused, or a copy of the learned one to go on with."""
    if learned is not None:
        return _with_parameters(copy.deepcopy(learned), given)
    if given is None:
        return RankedImportance()
    if not isinstance(given, Selection):
        raise InvalidParameterError(
            "`selection` must be a strategy of skllkd.selection; got "
            f"{type(given).__name__}."
        )
    selection: Selection = clone(given)
    selection.check()
    return selection


def prepare_student(given: Any, learned: Student | None) -> Student:
    """Return a checked student: untrained, or a copy of the learned one to go on with."""
    if learned is not None:
        return _with_parameters(copy.copy(learned), given)
    student: Student = clone(as_student(given))
    student.check()
    return student


def _with_parameters(part: Part, given: Any) -> Part:
    """Set the parameters given now, if they are of the part's kind."""
    if type(part) is type(given):
        part.set_params(**given.get_params(deep=False))
        part.check()
    return part


def warn_of_hard_targets(selection: Selection, student: Student) -> None:
    """Warn if the student's loss needs distributions and the selection gives labels."""
    if student.requires_soft_targets and getattr(selection, "target", None) == "hard":
        warnings.warn(
            "`student__loss` needs the teacher's distribution and is plain cross-entropy "
            'with `selection__target="hard"`. Set selection__target="soft".',
            SkllkdWarning,
            stacklevel=4,
        )
