"""Distil a language model into a small text classifier, from unlabeled text.

The scikit-learn way: `LLKDClassifier(teacher=..., classes=...).fit(texts)`.
"""

from skllkd._classifier import LLKDClassifier
from skllkd._version import __version__
from skllkd.inspection.displays import (
    ConfidenceUncertaintyDisplay,
    ReliabilityDisplay,
    SelectionDisplay,
)
from skllkd.inspection.report import Agreement, Report
from skllkd.persistence.onnx_classifier import ONNXClassifier
from skllkd.persistence.onnx_export import ONNXExport
from skllkd.training.log import EpochEnd

__all__ = [
    "Agreement",
    "ConfidenceUncertaintyDisplay",
    "EpochEnd",
    "LLKDClassifier",
    "ONNXClassifier",
    "ONNXExport",
    "ReliabilityDisplay",
    "Report",
    "SelectionDisplay",
    "__version__",
]
