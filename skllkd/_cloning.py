"""Cloning an estimator whose parameter must be shared, not copied."""

from __future__ import annotations

from typing import TypeVar

from sklearn.base import BaseEstimator, clone

Estimator = TypeVar("Estimator", bound=BaseEstimator)


def clone_sharing(estimator: Estimator, name: str) -> Estimator:
    """Return an unfitted clone that shares one parameter with the original.

    scikit-learn copies parameters that are no estimators, and with them what they
    hold: a callable object that is a teacher would lose its connection, its counters
    and its place in the memory of answers, and every fold would pay again.

    Parameters
    ----------
    estimator : estimator
        The original.
    name : str
        The parameter to share, unless it is an estimator, which is cloned as usual.

    Returns
    -------
    estimator
        The clone.
    """
    shared = getattr(estimator, name)
    without = object.__new__(type(estimator))
    without.__dict__.update(estimator.__dict__)
    setattr(without, name, None)
    twin: Estimator = BaseEstimator.__sklearn_clone__(without)
    is_estimator = hasattr(shared, "get_params") and not isinstance(shared, type)
    setattr(twin, name, clone(shared) if is_estimator else shared)
    return twin
