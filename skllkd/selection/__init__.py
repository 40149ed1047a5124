"""Selection strategies: which rows of a batch the student learns from."""

from skllkd.selection._accept_reject import AcceptReject
from skllkd.selection._base import SelectAll, Selected, Selection
from skllkd.selection._confident import ConfidenceThreshold, ConfidentShare
from skllkd.selection._importance import RankedImportance
from skllkd.selection._infobatch import InfoBatch
from skllkd.selection._llkd import LLKDSelection
from skllkd.selection._shares import RandomShare, UncertainShare
from skllkd.selection._small_loss import SmallLoss
from skllkd.selection._soft_gate import SoftGate
from skllkd.selection._uncertainty import normalised_entropy
from skllkd.selection._weighted import WeightedDistillation

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
