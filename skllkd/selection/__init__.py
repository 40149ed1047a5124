"""Selection strategies: which rows of a batch the student learns from."""

from skllkd.selection.accept_reject import AcceptReject
from skllkd.selection.base import SelectAll, Selected, Selection
from skllkd.selection.confident import ConfidenceThreshold, ConfidentShare
from skllkd.selection.infobatch import InfoBatch
from skllkd.selection.llkd import LLKDSelection
from skllkd.selection.ranked_importance import RankedImportance
from skllkd.selection.small_loss import SmallLoss
from skllkd.selection.soft_gate import SoftGate
from skllkd.selection.subsets import RandomShare, UncertainShare
from skllkd.selection.uncertainty import normalised_entropy
from skllkd.selection.weighted_distillation import WeightedDistillation

__all__ = [
    "AcceptReject",
    "ConfidenceThreshold",
    "ConfidentShare",
    "InfoBatch",
    "LLKDSelection",
    "RandomShare",
    "RankedImportance",
    "SelectAll",
    "Selected",
    "Selection",
    "SmallLoss",
    "SoftGate",
    "UncertainShare",
    "WeightedDistillation",
    "normalised_entropy",
]
