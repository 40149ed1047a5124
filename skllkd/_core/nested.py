"""Nested parameters: of frozen objects, which never change, and of defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sklearn.base import BaseEstimator

from skllkd._core.params import shown
from skllkd.exceptions import InvalidParameterError

#: From the value of a parameter, such as None, to the object it stands for, by name.
Defaults = Mapping[str, Callable[[Any], Any]]


def split_nested(
    params: dict[str, Any], name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split parameters into those of the object at `name__`, and the others."""
    prefix = f"{name}__"
    nested = {key: value for key, value in params.items() if key.startswith(prefix)}
    others = {key: value for key, value in params.items() if key not in nested}
    return {key.removeprefix(prefix): nested[key] for key in nested}, others


def replace_nested(estimator: BaseEstimator, name: str, nested: dict[str, Any]) -> None:
    """Put a new object with other parameters in the place of a frozen one."""
    if not nested:
        return
    frozen: Any = getattr(estimator, name)
    if frozen is None:
        _refuse_nested(name, next(iter(nested)), None)
    known = frozen.get_params(deep=False)
    if unknown := sorted(nested.keys() - known.keys()):
        raise InvalidParameterError(
            f"`{name}__{unknown[0]}` is no parameter of {name}={frozen!r}, which has "
            f"{sorted(known)}."
        )
    setattr(estimator, name, type(frozen)(**{**known, **nested}))


def set_nested(
    estimator: BaseEstimator, params: dict[str, Any], defaults: Defaults
) -> None:
    """Set parameters; those of a part that was left out are set on its default."""
    plain = {name: value for name, value in params.items() if "__" not in name}
    BaseEstimator.set_params(estimator, **plain)
    known = estimator.get_params(deep=False)
    for key in params:
        name, has_parts, part = key.partition("__")
        if not has_parts or name not in known:
            continue
        if not hasattr(known[name], "set_params") and name in defaults:
            known[name] = defaults[name](known[name])
            setattr(estimator, name, known[name])
        if not hasattr(known[name], "set_params"):
            _refuse_nested(name, part, known[name])
    others = {name: value for name, value in params.items() if name not in plain}
    BaseEstimator.set_params(estimator, **others)


def _refuse_nested(name: str, part: str, value: Any) -> None:
    """Raise for a parameter of an object that has none."""
    raise InvalidParameterError(
        f"`{name}__{part}` is a parameter of an object, and {name}={shown(value)} has "
        f"none. Set `{name}` as well, in the same grid or before it."
    )
