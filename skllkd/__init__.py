"""Distil a language model into a small text classifier, from unlabeled text.

The scikit-learn way: `LLKDClassifier(teacher=..., classes=...).fit(texts)`.
"""

from skllkd._classifier import LLKDClassifier
from skllkd._displays import ConfidenceUncertaintyDisplay, SelectionDisplay
from skllkd._version import __version__

__all__ = [
    "ConfidenceUncertaintyDisplay",
    "LLKDClassifier",
    "SelectionDisplay",
    "__version__",
]
