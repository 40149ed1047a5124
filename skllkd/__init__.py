"""Distil a language model into a small text classifier, from unlabeled text.

The scikit-learn way: `LLKDClassifier(teacher=..., classes=...).fit(texts)`.
"""

from skllkd._classifier import LLKDClassifier
from skllkd._displays import (
    ConfidenceUncertaintyDisplay,
    ReliabilityDisplay,
    SelectionDisplay,
)
from skllkd._distillation import EpochEnd
from skllkd._onnx import ONNXClassifier
from skllkd._onnx_export import ONNXExport
from skllkd._report import Agreement, Report
from skllkd._version import __version__

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
