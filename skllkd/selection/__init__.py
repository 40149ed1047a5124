"""Selection strategies: which rows of a batch the student learns from."""

from skllkd.selection._base import SelectAll, Selected, Selection
from skllkd.selection._importance import RankedImportance
from skllkd.selection._llkd import LLKDSelection
from skllkd.selection._uncertainty import normalised_entropy

__all__ = [
    "LLKDSelection",
    "RankedImportance",
    "SelectAll",
    "Selected",
    "Selection",
    "normalised_entropy",
]
