"""The networks of the students; the only package that imports torch at once.

Students reach its modules through `skllkd.students.lazy_torch`.
"""

from skllkd.students._torch import (
    dropout,
    encoder,
    heads,
    inference,
    onnx,
    pools,
    pretrained,
    trainer,
)

__all__ = [
    "dropout",
    "encoder",
    "heads",
    "inference",
    "onnx",
    "pools",
    "pretrained",
    "trainer",
]
