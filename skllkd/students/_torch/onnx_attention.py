"""Attention in the form in which every version of onnxruntime knows it.

The graph of the attention that transformers computes changes with its version, and a
version of onnxruntime knows the graphs of some versions of transformers only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface

from skllkd._core.params import optional_import

#: The name of `_attention` among those of transformers.
_NAME = "skllkd_onnx"


@contextmanager
def known_attention(encoder: Any) -> Iterator[None]:
    """Let an encoder compute its attention in the known form inside the block."""
    before = encoder.config._attn_implementation
    AttentionInterface.register(_NAME, _attention)
    encoder.set_attn_implementation(_NAME)
    hook = encoder.register_forward_pre_hook(_with_added_mask, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
        encoder.set_attn_implementation(before)


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Return softmax(scaling Q K' + M) V of (n_rows, n_heads, length, width), by rows."""
    scores = query @ key.transpose(2, 3) / (1 / scaling) + mask
    mixed = scores.softmax(dim=-1) @ value
    return mixed.transpose(1, 2).contiguous(), None


def _with_added_mask(
    encoder: torch.nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Replace the mask, 1 or 0 for each token, by an addend of the scores."""
    mask = named["attention_mask"][:, None, None, :].to(torch.float32)
    added = (1.0 - mask) * torch.finfo(torch.float32).min
    return inputs, named | {"attention_mask": added}


def with_number_of_heads(graph: Any, n_heads: int) -> Any:
    """Return the graph with the number of heads where its shapes leave it open, as -1."""
    helper = optional_import("onnx", "onnx").helper
    known = type(graph)()
    known.CopyFrom(graph)
    known.graph.initializer.append(helper.make_tensor("n_heads", 7, [1], [n_heads]))
    constants = {
        node.output[0]: helper.get_attribute_value(node.attribute[0]).raw_data
        for node in known.graph.node
        if node.op_type == "Constant"
    }
    for node in known.graph.node:
        is_shape = node.op_type == "Concat" and len(node.input) == 4
        if is_shape and constants.get(node.input[2]) == b"\xff" * 8:
            node.input[2] = "n_heads"
    return known
