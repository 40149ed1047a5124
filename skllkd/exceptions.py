"""Errors and warnings of skllkd.

Each error is also of the kind scikit-learn or Python would raise: `except ValueError`
catches an `InvalidParameterError`.
"""

from __future__ import annotations

__all__ = [
    "BudgetReachedWarning",
    "DeviceMemoryError",
    "DisagreementError",
    "DivergedError",
    "GuaranteeWarning",
    "InvalidParameterError",
    "MissingDependencyError",
    "MissingLabelWarning",
    "SavedModelError",
    "SkllkdError",
    "SkllkdWarning",
    "StoreError",
    "TeacherAccessError",
    "TeacherOutputError",
    "TruncationWarning",
]


class SkllkdError(Exception):
    """Base class of every error raised by skllkd itself."""


class InvalidParameterError(SkllkdError, ValueError):
    """A parameter, the texts or the classes are not allowed."""


class TeacherOutputError(SkllkdError, ValueError):
    """The teacher's answers are no labelling, or leave a class without a text."""


class TeacherAccessError(SkllkdError, RuntimeError):
    """The server of a teacher refuses a key, a model or a request."""


class SavedModelError(SkllkdError, OSError):
    """A model's file or folder is missing, damaged, or of a later version."""


class DivergedError(SkllkdError, ArithmeticError):
    """Training ran away to weights that are no numbers."""


class DeviceMemoryError(SkllkdError, MemoryError):
    """The memory of a GPU does not suffice; the message names the parameters to lower."""


class DisagreementError(SkllkdError, ValueError):
    """An exported classifier predicts other labels than its original."""


class StoreError(SkllkdError, RuntimeError):
    """The label store on disk cannot be read or written."""


class MissingDependencyError(SkllkdError, ImportError):
    """An optional package is needed and not installed."""


class SkllkdWarning(UserWarning):
    """Base class of every warning issued by skllkd itself."""


class MissingLabelWarning(SkllkdWarning):
    """Texts without a teacher label, or a class chosen for no text."""


class TruncationWarning(SkllkdWarning):
    """Some texts were longer than a model's window and were cut."""


class BudgetReachedWarning(SkllkdWarning):
    """A teacher's `max_calls` or `max_cost` is reached; the rest was not sent."""


class GuaranteeWarning(SkllkdWarning):
    """A cascade cannot promise its target, or its promise no longer holds."""
