"""Selection strategies: which rows of a batch the student learns from."""

from skllkd.selection._base import SelectAll, Selected, Selection
from skllkd.selection._llkd import LLKDSelection, normalised_entropy

__all__ = [
    "LLKDSelection",
    "SelectAll",
    "Selected",
    "Selection",
    "normalised_entropy",
]
