"""Cloning an estimator whose parameter must be shared, not copied."""

from __future__ import annotations

from typing import Any, TypeVar

from sklearn.base import BaseEstimator, clone

Estimator = TypeVar("Estimator", bound=BaseEstimator)


def clone_sharing(estimator: Estimator, name: str) -> Estimator:
    """Return an unfitted clone that shares one parameter with the original.

    scikit-learn copies parameters that are no estimators, and with them what they
    hold: a callable object that is a teacher would lose its connection, its counters
    and its place in the memory of answers, and every fold would pay again. And what
    was fitted elsewhere, a classifier that is a teacher, it would unfit.
    """
    shared = getattr(estimator, name)
    without = object.__new__(type(estimator))
    without.__dict__.update(estimator.__dict__)
    setattr(without, name, None)
    twin: Estimator = BaseEstimator.__sklearn_clone__(without)
    if isinstance(shared, (list, tuple)):
        setattr(twin, name, type(shared)([_clone_or_share(part) for part in shared]))
    else:
        setattr(twin, name, _clone_or_share(shared))
    return twin


def _clone_or_share(part: Any) -> Any:
    """Return a clone of a specification, and anything else as it is."""
    is_specification = hasattr(part, "get_params") and not hasattr(part, "fit")
    return clone(part) if is_specification and not isinstance(part, type) else part
