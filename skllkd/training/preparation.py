"""Checks before a training run, and its selection and student, new or going on."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from typing import Any, TypeVar

from sklearn.base import clone
from sklearn.utils import check_random_state

from skllkd._core.params import check_number, check_option, shown
from skllkd.exceptions import InvalidParameterError, SkllkdWarning
from skllkd.refinement import Refinement
from skllkd.selection import AcceptReject, RankedImportance, Selection
from skllkd.selection.per_class import PerClass
from skllkd.students import Student, as_student

#: A selection or a student.
Part = TypeVar("Part", Selection, Student)


def check_parameters(classifier: Any, classes: Any) -> None:
    """Raise if a parameter of a classifier has a value that is not allowed."""
    check_number(classifier.n_epochs, "n_epochs", 1, integer=True)
    check_number(classifier.batch_size, "batch_size", 1, integer=True)
    check_option(classifier.on_missing_class, "on_missing_class", ["raise", "warn"])
    inside = {"open_low": True, "open_high": True}
    check_number(classifier.validation_fraction, "validation_fraction", 0, 1, **inside)
    check_number(classifier.n_iter_no_change, "n_iter_no_change", 1, integer=True)
    for name in ("early_stopping", "warm_start"):
        check_option(getattr(classifier, name), name, [True, False])
    if not isinstance(classifier.verbose, bool):
        check_number(classifier.verbose, "verbose", 0, integer=True)
    _check_seed(classifier.random_state)
    callbacks = classifier.callbacks
    if not isinstance(callbacks, Iterable) or not all(map(callable, callbacks)):
        raise InvalidParameterError(
            f"`callbacks` must hold functions of an EpochEnd; got {callbacks!r}."
        )
    _check_part(
        classifier.acquisition, "acquisition", AcceptReject, "ask about every text"
    )
    _check_part(
        classifier.refine,
        "refine",
        Refinement,
        "learn the teacher's labels as they are",
    )
    if classes is None and classifier.teacher is not None:
        raise InvalidParameterError(
            "`classes` must name the labels the teacher chooses from; got None. "
            "E.g. classes=['spam', 'ham']."
        )


def _check_seed(random_state: Any) -> None:
    """Raise if a random state is none."""
    try:
        check_random_state(random_state)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            "`random_state` must be an integer, a numpy.random.RandomState or None; got "
            f"{shown(random_state)}."
        ) from error


def _check_part(part: Any, name: str, kind: type[Any], without: str) -> None:
    """Raise unless a part is None or one of its kind that is as it should be."""
    if part is None:
        return
    if not isinstance(part, kind):
        raise InvalidParameterError(
            f"`{name}` must be a skllkd.{kind.__module__.split('.')[1]}.{kind.__name__}, "
            f"or None to {without}; got {shown(part)}."
        )
    part.check()


def prepare_selection(given: Any, learned: Selection | None) -> Selection:
    """Return a checked selection: unused, or a copy of the learned one to go on with."""
    if learned is not None:
        learned = copy.deepcopy(learned)
        for part in learned.selections_ if isinstance(learned, PerClass) else [learned]:
            _with_parameters(part, given)
        return learned
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
