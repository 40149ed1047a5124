"""The classes of a classifier as its teacher knows them, and the groups they are in."""

from __future__ import annotations

from typing import Any

from skllkd._classifier import LLKDClassifier
from skllkd._core.class_tree import Level, level_of
from skllkd._core.classes import Classes, Multilabel, as_classes
from skllkd._fitted import fitted_state
from skllkd.persistence.onnx_classifier import ONNXClassifier


def given_classes(estimator: Any) -> Classes:
    """Return the classes as the teacher knows them, with all that is known of them."""
    if isinstance(estimator, LLKDClassifier):
        return fitted_state(estimator).given_classes
    if isinstance(estimator, ONNXClassifier) and estimator._model.tree is not None:
        return estimator._model.tree
    names = estimator.classes_.tolist()
    is_several = getattr(estimator, "thresholds_", None) is not None
    return as_classes(Multilabel(names) if is_several else names)


def groups_at(classes: Any, given: Classes, level: Any) -> Level:
    """Return the groups at a level of the tree, of columns as `classes`."""
    return level_of(classes, given.names, given.tree, level)
