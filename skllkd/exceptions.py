"""The errors and warnings skllkd raises, each named for what went wrong."""

__all__ = [
    "BudgetReachedWarning",
    "DeviceMemoryError",
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
    """Base class of every error raised by skllkd itself.

    Examples
    --------
    >>> from skllkd.exceptions import SkllkdError
    >>> issubclass(SkllkdError, Exception)
    True
    """


class InvalidTextsError(SkllkdError, ValueError):
    """The texts are no one-dimensional, non-empty collection of strings.

    Examples
    --------
    >>> from skllkd.exceptions import InvalidTextsError
    >>> issubclass(InvalidTextsError, ValueError)
    True
    """


class InvalidClassesError(SkllkdError, ValueError):
    """The classes are fewer than two, empty, repeated or of mixed types.

    Examples
    --------
    >>> from skllkd.exceptions import InvalidClassesError
    >>> issubclass(InvalidClassesError, ValueError)
    True
    """


class InvalidParameterError(SkllkdError, ValueError):
    """A constructor or method parameter has a value that is not allowed.

    Examples
    --------
    >>> from skllkd.exceptions import InvalidParameterError
    >>> issubclass(InvalidParameterError, ValueError)
    True
    """


class TeacherOutputError(SkllkdError, ValueError):
    """A teacher answered with something that is no labelling of the texts.

    Examples
    --------
    >>> from skllkd.exceptions import TeacherOutputError
    >>> issubclass(TeacherOutputError, ValueError)
    True
    """


class TeacherAccessError(SkllkdError, RuntimeError):
    """The server of a teacher refuses what it is asked: a key, a model, a request.

    Examples
    --------
    >>> from skllkd.exceptions import TeacherAccessError
    >>> issubclass(TeacherAccessError, RuntimeError)
    True
    """


class UnchosenClassError(SkllkdError, ValueError):
    """The teacher chose one of the classes for no text of the pool.

    Examples
    --------
    >>> from skllkd.exceptions import UnchosenClassError
    >>> issubclass(UnchosenClassError, ValueError)
    True
    """


class ModelFileError(SkllkdError, OSError):
    """A model file or folder is missing or cannot be read as a model.

    Examples
    --------
    >>> from skllkd.exceptions import ModelFileError
    >>> issubclass(ModelFileError, OSError)
    True
    """


class DivergedError(SkllkdError, ArithmeticError):
    """Training ran away to weights that are no numbers.

    Examples
    --------
    >>> from skllkd.exceptions import DivergedError
    >>> issubclass(DivergedError, ArithmeticError)
    True
    """


class DeviceMemoryError(SkllkdError, MemoryError):
    """The memory of a GPU does not suffice; the message says what to lower.

    Examples
    --------
    >>> from skllkd.exceptions import DeviceMemoryError
    >>> issubclass(DeviceMemoryError, MemoryError)
    True
    """


class DisagreementError(SkllkdError, ValueError):
    """An exported classifier does not predict what its original does.

    Examples
    --------
    >>> from skllkd.exceptions import DisagreementError
    >>> issubclass(DisagreementError, ValueError)
    True
    """


class SavedModelError(SkllkdError, ValueError):
    """A saved classifier cannot be loaded by this version, or at all.

    Examples
    --------
    >>> from skllkd.exceptions import SavedModelError
    >>> issubclass(SavedModelError, ValueError)
    True
    """


class StoreError(SkllkdError, RuntimeError):
    """The label store on disk cannot be read or written.

    Examples
    --------
    >>> from skllkd.exceptions import StoreError
    >>> issubclass(StoreError, RuntimeError)
    True
    """


class MissingDependencyError(SkllkdError, ImportError):
    """An optional package is needed for what was asked, and not installed.

    Examples
    --------
    >>> from skllkd.exceptions import MissingDependencyError
    >>> issubclass(MissingDependencyError, ImportError)
    True
    """


class SkllkdWarning(UserWarning):
    """Base class of every warning issued by skllkd itself.

    Examples
    --------
    >>> from skllkd.exceptions import SkllkdWarning
    >>> issubclass(SkllkdWarning, UserWarning)
    True
    """


class MissingLabelWarning(SkllkdWarning):
    """Some texts have no teacher label and take no part in training.

    Examples
    --------
    >>> from skllkd.exceptions import MissingLabelWarning
    >>> issubclass(MissingLabelWarning, UserWarning)
    True
    """


class TruncationWarning(SkllkdWarning):
    """Some texts were longer than a model's window and were cut.

    Examples
    --------
    >>> from skllkd.exceptions import TruncationWarning
    >>> issubclass(TruncationWarning, UserWarning)
    True
    """


class UnchosenClassWarning(SkllkdWarning):
    """The teacher chose one of the classes for no text of the pool.

    Examples
    --------
    >>> from skllkd.exceptions import UnchosenClassWarning
    >>> issubclass(UnchosenClassWarning, UserWarning)
    True
    """


class BudgetReachedWarning(SkllkdWarning):
    """A teacher's `max_calls` or `max_cost` is reached; the rest was not asked about.

    Examples
    --------
    >>> from skllkd.exceptions import BudgetReachedWarning
    >>> issubclass(BudgetReachedWarning, UserWarning)
    True
    """


class NoConfidenceWarning(SkllkdWarning):
    """A teacher's server gives labels without a confidence.

    Examples
    --------
    >>> from skllkd.exceptions import NoConfidenceWarning
    >>> issubclass(NoConfidenceWarning, UserWarning)
    True
    """


class StalledClaimWarning(SkllkdWarning):
    """Another process holds the right to ask and makes no progress.

    Examples
    --------
    >>> from skllkd.exceptions import StalledClaimWarning
    >>> issubclass(StalledClaimWarning, UserWarning)
    True
    """
