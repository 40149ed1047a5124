"""The classifier inside a cascade, and the texts that it never learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skllkd._classifier import LLKDClassifier
from skllkd._core.arrays import IntArray
from skllkd._core.classes import Classes, Multilabel, as_classes
from skllkd._fitted import FittedState, fitted_state
from skllkd.exceptions import InvalidParameterError
from skllkd.persistence.onnx_classifier import ONNXClassifier
from skllkd.serving.held_out import keys_of, split, take_rows


def fitted_part(
    clf: Any,
    held_out: float | str,
    texts: Any,
    y: Any,
    random_state: np.random.RandomState,
) -> tuple[Any, IntArray]:
    """Return the fitted classifier, and rows of texts that it never learned from."""
    if held_out == "prefit":
        check_is_fitted(clf)
        return clf, unseen_rows(clf, texts)
    learned, rows = split(texts, float(held_out), random_state)
    given = () if y is None else (take_rows(y, learned),)
    return clone(clf).fit(take_rows(texts, learned), *given), rows


def unseen_rows(clf: Any, texts: Any) -> IntArray:
    """Return a row of each distinct text that a classifier is not known to have learned."""
    state = getattr(clf, "_fitted", None)
    learned = np.zeros(len(texts), dtype=bool)
    if isinstance(state, FittedState):
        learned = state.has_learned(texts)
    rows: dict[Any, int] = {}
    for row, key in enumerate(keys_of(texts)):
        if not learned[row]:
            rows.setdefault(key, row)
    if not rows:
        raise InvalidParameterError(
            f'held_out="prefit": all {len(texts)} texts given to `fit` are among those '
            "that `clf` learned from, and prove nothing. Give others."
        )
    return np.array(list(rows.values()))


def given_classes(estimator: Any) -> Classes:
    """Return the classes as the teacher knows them, with all that is known of them."""
    if isinstance(estimator, LLKDClassifier):
        return fitted_state(estimator).given_classes
    if isinstance(estimator, ONNXClassifier) and estimator._model.tree is not None:
        return estimator._model.tree
    names = estimator.classes_.tolist()
    is_several = getattr(estimator, "thresholds_", None) is not None
    return as_classes(Multilabel(names) if is_several else names)
