"""Nested parameters of frozen objects, which may be shared and so never change."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from skllkd.exceptions import InvalidParameterError


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
    known = frozen.get_params(deep=False) if frozen else {}
    if unknown := sorted(nested.keys() - known.keys()):
        raise InvalidParameterError(
            f"`{name}__{unknown[0]}` is no parameter of {name}={frozen!r}, which has "
            f"{sorted(known)}."
        )
    setattr(estimator, name, type(frozen)(**{**known, **nested}))
