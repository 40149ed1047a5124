"""Passes that only predict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from skllkd._core.arrays import Float32Array, FloatArray, IntArray, Weights
from skllkd._core.device import any_shape_attention, own_generators
from skllkd._core.tokens import TokenizedTexts, length_ordered_batches
from skllkd.students._torch.encoder import Classifier
from skllkd.students._torch.heads import Head, head_kind, head_weights
from skllkd.students._torch.objective import probabilities

#: Texts in a batch where the user names no number: a larger one leaves a GPU idle less.
_BATCH_SIZE, _BATCH_SIZE_ON_GPU = 64, 256


def padded_tensors(
    texts: TokenizedTexts, rows: IntArray, device: torch.device
) -> tuple[torch.Tensor, ...]:
    """Return padded ids and mask, and any shares, of some texts on a device."""
    arrays = texts.padded(rows)
    return tuple(torch.from_numpy(array).to(device) for array in arrays)


@torch.inference_mode()
def in_length_order(
    compute: Callable[..., torch.Tensor],
    texts: TokenizedTexts,
    rows: IntArray,
    batch_size: int | None,
    device: torch.device,
) -> Float32Array:
    """Return the results of at least one row, in the order given.

    `compute` turns ids and mask, and the shares of several windows, into an array of
    one row a text; a batch holds texts of similar length.
    """
    if batch_size is None:
        batch_size = _BATCH_SIZE_ON_GPU if device.type == "cuda" else _BATCH_SIZE
    results: Float32Array | None = None
    sizes = texts.n_windows[rows]
    for indices in length_ordered_batches(
        texts.lengths[rows], batch_size, n_windows=sizes
    ):
        with any_shape_attention(device.type):
            of_batch = compute(*padded_tensors(texts, rows[indices], device))
        if results is None:
            results = np.empty((len(rows), of_batch.shape[1]), dtype=np.float32)
        results[indices] = of_batch.float().cpu().numpy()
    assert results is not None
    return results


def text_proba(
    model: Classifier,
    texts: TokenizedTexts,
    batch_size: int | None,
    device: torch.device,
    multilabel: bool,
) -> FloatArray:
    """Return a classifier's probabilities for all texts."""
    every = np.arange(len(texts))
    logits = in_length_order(model, texts, every, batch_size, device)
    return probabilities(torch.from_numpy(logits), multilabel)


@torch.no_grad()
def head_proba(
    weights: Weights, features: Float32Array, multilabel: bool
) -> FloatArray:
    """Return the probabilities for features by the head among a student's weights."""
    n_classes, n_features = weights["head.weight"].shape
    as_given = np.zeros(n_features, np.float32), np.ones(n_features, np.float32)
    with own_generators():  # the initial weights are replaced
        head = Head(*as_given, n_classes, head_kind(weights)).eval()
    head.set_weights(head_weights(weights))
    return probabilities(head(torch.from_numpy(features)), multilabel)
