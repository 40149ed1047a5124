"""The errors and warnings skllkd raises, each named for what went wrong."""

__all__ = [
    "BudgetReachedWarning",
    "DisagreementError",
    "DivergedError",
    "InvalidClassesError",
    "InvalidParameterError",
    "InvalidTextsError",
    "MissingDependencyError",
    "MissingLabelWarning",
    "ModelFileError",
    "NoConfidenceWarning",
    "SavedModelError",
    "SkllkdError",
    "SkllkdWarning",
    "StalledClaimWarning",
    "StoreError",
    "TeacherAccessError",
    "TeacherOutputError",
    "TruncationWarning",
    "UnchosenClassError",
    "UnchosenClassWarning",
]


class SkllkdError(Exception):
    """Base class of every error raised by skllkd itself."""


class InvalidTextsError(SkllkdError, ValueError):
    """The texts are no one-dimensional, non-empty collection of strings."""


class InvalidClassesError(SkllkdError, ValueError):
    """The classes are fewer than two, empty, repeated or of mixed types."""


class InvalidParameterError(SkllkdError, ValueError):
    """A constructor or method parameter has a value that is not allowed."""


class TeacherOutputError(SkllkdError, ValueError):
    """A teacher answered with something that is no labelling of the texts."""


class TeacherAccessError(SkllkdError, RuntimeError):
    """The server of a teacher refuses what it is asked: a key, a model, a request."""


class UnchosenClassError(SkllkdError, ValueError):
    """The teacher chose one of the classes for no text of the pool."""


class ModelFileError(SkllkdError, OSError):
    """A model file or folder is missing or cannot be read as a model."""


class DivergedError(SkllkdError, ArithmeticError):
    """Training ran away to weights that are no numbers."""


class DisagreementError(SkllkdError, ValueError):
    """An exported classifier does not predict what its original does."""


class SavedModelError(SkllkdError, ValueError):
    """A saved classifier cannot be loaded by this version, or at all."""


class StoreError(SkllkdError, RuntimeError):
    """The label store on disk cannot be read or written."""


class MissingDependencyError(SkllkdError, ImportError):
    """An optional package is needed for what was asked, and not installed."""


class SkllkdWarning(UserWarning):
    """Base class of every warning issued by skllkd itself."""


class MissingLabelWarning(SkllkdWarning):
    """Some texts have no teacher label and take no part in training."""


class TruncationWarning(SkllkdWarning):
    """Some texts were longer than a model's window and were cut."""


class UnchosenClassWarning(SkllkdWarning):
    """The teacher chose one of the classes for no text of the pool."""


class BudgetReachedWarning(SkllkdWarning):
    """A teacher's `max_calls` or `max_cost` is reached; the rest was not asked about."""


class NoConfidenceWarning(SkllkdWarning):
    """A teacher's server gives labels without a confidence."""


class StalledClaimWarning(SkllkdWarning):
    """Another process holds the right to ask and makes no progress."""
