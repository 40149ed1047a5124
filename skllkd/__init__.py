"""Distil a language model into a small text classifier, from unlabeled text.

The scikit-learn way: `LLKDClassifier(teacher=..., classes=...).fit(texts)`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skllkd._version import __version__ as __version__

if TYPE_CHECKING:
    from skllkd._classifier import LLKDClassifier
    from skllkd._core.classes import Multilabel
    from skllkd.inspection.displays import (
        ConfidenceUncertaintyDisplay,
        ReliabilityDisplay,
        SelectionDisplay,
    )
    from skllkd.inspection.refinement_display import RefinementDisplay
    from skllkd.persistence.onnx_classifier import ONNXClassifier
    from skllkd.serving.cascade import CascadeClassifier
    from skllkd.serving.coverage_display import CoverageDisplay

__all__ = [
    "CascadeClassifier",
    "ConfidenceUncertaintyDisplay",
    "CoverageDisplay",
    "LLKDClassifier",
    "Multilabel",
    "ONNXClassifier",
    "RefinementDisplay",
    "ReliabilityDisplay",
    "SelectionDisplay",
]

#: The module of each public name: imported on first use, as scikit-learn takes seconds.
_MODULES = {
    "CascadeClassifier": "serving.cascade",
    "ConfidenceUncertaintyDisplay": "inspection.displays",
    "CoverageDisplay": "serving.coverage_display",
    "LLKDClassifier": "_classifier",
    "Multilabel": "_core.classes",
    "ONNXClassifier": "persistence.onnx_classifier",
    "RefinementDisplay": "inspection.refinement_display",
    "ReliabilityDisplay": "inspection.displays",
    "SelectionDisplay": "inspection.displays",
}
_PACKAGES = (
    *("datasets", "exceptions", "metrics"),
    *("refinement", "selection", "students", "teachers"),
)


def __getattr__(name: str) -> Any:
    """Return a public name, imported now, or a subpackage."""
    if name in _PACKAGES:
        return import_module(f"skllkd.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"skllkd.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted([*globals(), *_MODULES, *_PACKAGES])
