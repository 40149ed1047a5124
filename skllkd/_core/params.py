"""Checks of parameters and of optional dependencies."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from skllkd.exceptions import InvalidParameterError, MissingDependencyError


def looks_like_path(model: str | os.PathLike[str]) -> bool:
    """Return whether a model's name is a path rather than a name on the model hub."""
    name = os.fspath(model)
    return (
        Path(name).is_absolute()
        or name.startswith((".", "~"))
        or "\\" in name
        or Path(name).is_dir()
    )


def shown(value: Any, width: int = 60) -> str:
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
    """Raise unless a parameter is a number within a range."""
    is_flag = isinstance(value, (bool, np.bool_))
    is_number = isinstance(value, Integral if integer else Real) and not is_flag
    number = float(value) if is_number else float("nan")
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    if not (above and below):
        left, right = "(" if open_low else "[", ")" if open_high else "]"
        raise InvalidParameterError(
            f"`{name}` must be {'an integer' if integer else 'a number'} in "
            f"{left}{low:g}, {high:g}{right}; got {shown(value)}."
        )


def check_option(value: Any, name: str, allowed: Sequence[Any]) -> None:
    """Raise unless a parameter has one of the allowed values."""
    value = value.item() if isinstance(value, np.generic) else value
    kinds = tuple(
        {type(option) for option in allowed}
    )  # not arrays, which compare oddly
    if not isinstance(value, kinds) or value not in allowed:
        listed = ", ".join(repr(option) for option in allowed)
        raise InvalidParameterError(
            f"`{name}` must be one of {listed}; got {shown(value)}."
        )


def optional_import(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"`{module}` is needed for this and is not installed. Install it with "
            f'python -m pip install "skllkd[{extra}]".'
        ) from error


def package_folder(package: str, install: str = '"skllkd[demo]"') -> Path:
    """Return the folder of an installed package of data, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            f"the package `{package}` is needed for this and is not installed. Install "
            f"it with python -m pip install {install}."
        )
    return Path(spec.submodule_search_locations[0])
