"""The networks of the students; the only package that imports torch at once.

Students reach it through `skllkd.students.lazy_torch`.
"""

from skllkd.students._torch.dropout import LocalRandomness
from skllkd.students._torch.encoder import (
    build_classifier,
    new_classifier,
    portable_config,
)
from skllkd.students._torch.heads import head_kind
from skllkd.students._torch.inference import head_proba, in_length_order, text_proba
from skllkd.students._torch.onnx import onnx_graph
from skllkd.students._torch.pools import TextPool
from skllkd.students._torch.pretrained import (
    encoder_of_weights,
    frozen_encoder,
    load_pretrained,
)
from skllkd.students._torch.trainer import (
    FineTuning,
    Trainer,
    encoder_trainer,
    head_trainer,
    linear_probe,
    release_memory,
)

__all__ = [
    "FineTuning",
    "LocalRandomness",
    "TextPool",
    "Trainer",
    "build_classifier",
    "encoder_of_weights",
    "encoder_trainer",
    "frozen_encoder",
    "head_kind",
    "head_proba",
    "head_trainer",
    "in_length_order",
    "linear_probe",
    "load_pretrained",
    "new_classifier",
    "onnx_graph",
    "portable_config",
    "release_memory",
    "text_proba",
]
