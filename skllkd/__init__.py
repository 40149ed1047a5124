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
from skllkd._report import Agreement, Report
from skllkd._version import __version__

__all__ = [
    "Agreement",
    "ConfidenceUncertaintyDisplay",
    "EpochEnd",
    "LLKDClassifier",
    "ReliabilityDisplay",
    "Report",
    "SelectionDisplay",
    "__version__",
]
