"""What a user hands in, turned into what the package works on, or refused."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd.exceptions import (
    InvalidClassesError,
    InvalidParameterError,
    InvalidTextsError,
    MissingDependencyError,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def as_texts(X: Any, name: str = "X") -> list[str]:
    """Return the texts of any one-dimensional column of strings as a list.

    Parameters
    ----------
    X : list, tuple, ndarray, Series, pyarrow array or Hugging Face column
        The texts, one an entry.
    name : str
        The parameter's name, for the error.

    Returns
    -------
    list of str
        The texts in order.

    Raises
    ------
    InvalidTextsError
        If `X` is a bare string, empty, not one-dimensional, or holds an entry
        that is no string.
    """
    if isinstance(X, (str, bytes)):
        raise InvalidTextsError(
            f"`{name}` must be a collection of texts; got a bare "
            f"{type(X).__name__}: {_shown(X)}. Put it in a list: [text]."
        )
    X = _only_column(X)
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        raise InvalidTextsError(
            f"`{name}` must have one dimension, one text an entry; got a "
            f"{type(X).__name__} of shape {tuple(shape)}. Select the column that "
            f'holds the texts, e.g. {name}["text"].'
        )
    texts = column_entries(X, name)
    if not texts:
        raise InvalidTextsError(
            f"`{name}` must hold at least one text; got an empty {type(X).__name__}. "
            "Check the filter or the file it came from."
        )
    wrong = [row for row, text in enumerate(texts) if not isinstance(text, str)]
    if wrong:
        row = wrong[0]
        others = f" and {len(wrong) - 1} more such rows" if len(wrong) > 1 else ""
        raise InvalidTextsError(
            f"`{name}` must hold strings only; got {_shown(texts[row])} "
            f"({type(texts[row]).__name__}) at row {row}{others}. Drop these rows, "
            'replace them by "" (an empty text counts as unlabelled), or convert '
            "them with str()."
        )
    return texts


def _only_column(X: Any) -> Any:
    """Return the column of a table that has one, as ColumnTransformer gives it."""
    shape = getattr(X, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] != 1:
        return X
    if isinstance(X, np.ndarray):
        return X[:, 0]
    return X[X.columns[0]] if hasattr(X, "columns") else X


def column_entries(X: Any, name: str) -> list[Any]:
    """Return the entries of a column in whichever way its library offers.

    Parameters
    ----------
    X : list, tuple, ndarray, Series, pyarrow array or Hugging Face column
        The column.
    name : str
        The parameter's name, for the error.

    Returns
    -------
    list
        The entries as Python objects.

    Raises
    ------
    InvalidTextsError
        If `X` is no ordered collection.
    """
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(X, method):
            return list(getattr(X, method)())
    if isinstance(X, Sequence):
        return list(X)
    if hasattr(X, "__array__"):
        return list(np.asarray(X).tolist())
    raise InvalidTextsError(
        f"`{name}` must be an ordered collection, as a list, an array or a "
        f"Series; got {type(X).__name__}. Turn it into a list first: list({name}). To "
        "predict texts as they come, give the iterator to `predict_stream`."
    )


def is_missing(value: Any) -> bool:
    """Return whether a value stands for none: None, NaN or NA.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    bool
        Whether it is missing.
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def looks_like_path(model: str | os.PathLike[str]) -> bool:
    """Return whether a model's name is a path rather than a name on the model hub.

    Parameters
    ----------
    model : str or Path
        The name.

    Returns
    -------
    bool
        Whether it is a path, or a folder of that name exists.
    """
    name = os.fspath(model)
    return (
        Path(name).is_absolute()
        or name.startswith((".", "~"))
        or "\\" in name
        or Path(name).is_dir()
    )


def is_numeric_table(X: Any) -> bool:
    """Return whether an input is rows of numbers rather than texts.

    Parameters
    ----------
    X : object
        The input.

    Returns
    -------
    bool
        Whether it is an array with two dimensions and numbers in it.
    """
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "biuf"


def is_blank(text: str) -> bool:
    """Return whether a text is empty or white space only.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    bool
        Whether there is nothing to read in it.
    """
    return not text.strip()


@dataclass(frozen=True)
class Classes:
    """The classes to tell apart, in the order the user gave them.

    Parameters
    ----------
    names : tuple
        The class names, all str, all int or all bool.
    descriptions : tuple of str
        What each class is about; "" where the user said nothing.
    """

    names: tuple[Any, ...]
    descriptions: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.names)

    @property
    def words(self) -> tuple[str, ...]:
        """The class names as a language model reads and writes them."""
        return tuple(str(name) for name in self.names)


def as_classes(classes: Any) -> Classes:
    """Return the classes of a list of names or of a `{name: description}`.

    Parameters
    ----------
    classes : sequence or mapping
        Names, or names with a description each.

    Returns
    -------
    Classes
        The classes in the order given.

    Raises
    ------
    InvalidClassesError
        If there are fewer than two, one is empty or repeated, or types are mixed.
    """
    if isinstance(classes, Classes):
        return classes
    if classes is None or isinstance(classes, (str, bytes)):
        raise InvalidClassesError(
            "`classes` must list the labels to tell apart, or map each to its "
            f"description; got {_shown(classes)}. E.g. classes=['spam', 'ham']."
        )
    if isinstance(classes, (Set, Iterator)) or not isinstance(classes, Iterable):
        raise InvalidClassesError(
            "`classes` must be a list of names, whose order is the order of a teacher's "
            f"columns, or a mapping; got {type(classes).__name__}. Make it a list: "
            "sorted(classes)."
        )
    names = [_plain(name) for name in classes]
    if isinstance(classes, Mapping):
        descriptions = [str(text or "").strip() for text in classes.values()]
    else:
        descriptions = [""] * len(names)
    if len(names) < 2:
        raise InvalidClassesError(
            f"`classes` must name at least 2 labels; got {len(names)}: {names!r}. Add "
            "the label for 'none of these', e.g. 'other'."
        )
    kinds = sorted({type(name).__name__ for name in names})
    if kinds not in (["str"], ["int"], ["bool"]):
        raise InvalidClassesError(
            "`classes` must be all strings, all integers or all booleans; got "
            f"{', '.join(kinds)} in {names!r}. Convert them to strings."
        )
    words = [str(name).strip() for name in names]
    empty = [place for place, word in enumerate(words) if not word]
    if empty:
        raise InvalidClassesError(
            f"`classes` must not hold an empty name; got {names[empty[0]]!r} at place "
            f"{empty[0]}. Name it or drop it."
        )
    repeated = sorted({word for word in words if words.count(word) > 1})
    if repeated:
        raise InvalidClassesError(
            f"`classes` must not repeat a name; got {repeated[0]!r} "
            f"{words.count(repeated[0])} times. Drop the repeats."
        )
    return Classes(tuple(names), tuple(descriptions))


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as the Python object it stands for."""
    return value.item() if isinstance(value, np.generic) else value


def _shown(value: Any, width: int = 60) -> str:
    """Return a value's repr, cut to a width fit for an error message."""
    text = repr(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def check_number(
    value: Any,
    name: str,
    low: float,
    high: float = float("inf"),
    *,
    integer: bool = False,
    open_low: bool = False,
    open_high: bool = False,
) -> None:
    """Raise unless a parameter is a number within a range.

    Parameters
    ----------
    value : object
        What the user set.
    name : str
        The parameter's name.
    low, high : float
        The range.
    integer : bool
        Whether only whole numbers are allowed.
    open_low, open_high : bool
        Whether `low` and `high` themselves are excluded.

    Raises
    ------
    InvalidParameterError
        If `value` is no such number.
    """
    is_flag = isinstance(value, (bool, np.bool_))
    is_number = isinstance(value, Integral if integer else Real) and not is_flag
    number = float(value) if is_number else float("nan")
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    if not (above and below):
        left, right = "(" if open_low else "[", ")" if open_high else "]"
        raise InvalidParameterError(
            f"`{name}` must be {'an integer' if integer else 'a number'} in "
            f"{left}{low:g}, {high:g}{right}; got {_shown(value)}."
        )


def nan_rows(rows: FloatArray) -> BoolArray:
    """Return which rows hold a NaN: the texts without an answer.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_classes)
        Probabilities or log-probabilities.

    Returns
    -------
    ndarray of shape (n_rows,), bool
        Whether a row holds a NaN.
    """
    return np.asarray(np.isnan(rows).any(axis=1))


def check_option(value: Any, name: str, allowed: Sequence[Any]) -> None:
    """Raise unless a parameter has one of the allowed values.

    Parameters
    ----------
    value : object
        What the user set.
    name : str
        The parameter's name.
    allowed : sequence
        The values allowed.

    Raises
    ------
    InvalidParameterError
        If `value` is none of them.
    """
    if not any(value is option or value == option for option in allowed):
        listed = ", ".join(repr(option) for option in allowed)
        raise InvalidParameterError(
            f"`{name}` must be one of {listed}; got {_shown(value)}."
        )


def optional_import(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Parameters
    ----------
    module : str
        The module to import.
    extra : str
        The extra of skllkd that installs it.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"`{module}` is needed for this and is not installed. Install it with "
            f'python -m pip install "skllkd[{extra}]".'
        ) from error
