"""Selection strategies: the rows of a batch the student is trained on."""

from skllkd.selection.accept_reject import AcceptReject
from skllkd.selection.base import Selection
from skllkd.selection.batch import Batch, Pool, Selected
from skllkd.selection.confidence_threshold import ConfidenceThreshold
from skllkd.selection.infobatch import InfoBatch
from skllkd.selection.llkd import LLKDSelection
from skllkd.selection.random_subset import RandomSubset
from skllkd.selection.ranked_importance import RankedImportance
from skllkd.selection.select_all import SelectAll
from skllkd.selection.small_loss import SmallLoss
from skllkd.selection.soft_gate import SoftGate
from skllkd.selection.top_confidence import TopConfidence
from skllkd.selection.top_uncertainty import TopUncertainty
from skllkd.selection.weighted_distillation import WeightedDistillation

__all__ = [
    "AcceptReject",
    "Batch",
    "ConfidenceThreshold",
    "InfoBatch",
    "LLKDSelection",
    "Pool",
    "RandomSubset",
    "RankedImportance",
    "SelectAll",
    "Selected",
    "Selection",
    "SmallLoss",
    "SoftGate",
    "TopConfidence",
    "TopUncertainty",
    "WeightedDistillation",
]
