"""Pools a network learns from: texts as token ids, or features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import torch

from skllkd._core.arrays import Float32Array, IntArray
from skllkd._core.tokens import TokenizedTexts
from skllkd.students._torch.inference import padded_tensors

#: Cost of a pass beside its tokens, as a number of tokens; measured with MiniLM.
_LAUNCH_TOKENS = {"cpu": 64, "gpu": 4096}
#: Rows of a pass; more leave a CPU's cache and gain nothing. On a GPU more are faster:
#: there a pass of more rows holds at most the tokens of 64 texts of 256.
_MOST_ROWS, _MOST_TOKENS_ON_GPU = 64, 2**14
#: Indices of some of the rows of a step.
Indices: TypeAlias = IntArray | slice


class Pool(Protocol):
    """The rows a network learns from."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def passes(self, rows: IntArray, device: torch.device) -> Sequence[Indices]:
        """Return the indices of rows, in parts to be computed one after the other."""

    def inputs(self, rows: IntArray, device: torch.device) -> tuple[torch.Tensor, ...]:
        """Return the network's inputs for rows."""


class TextPool:
    """Texts as token ids."""

    def __init__(self, texts: TokenizedTexts) -> None:
        self.texts = texts

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)

    def passes(self, rows: IntArray, device: torch.device) -> Sequence[Indices]:
        """Return the indices of rows in parts of similar length."""
        if device.type == "cpu":
            return self.texts.of_similar_length(rows, _LAUNCH_TOKENS["cpu"], _MOST_ROWS)
        longest = int(self.texts.lengths[rows].max(initial=1))
        most_rows = max(_MOST_ROWS, _MOST_TOKENS_ON_GPU // longest)
        return self.texts.of_similar_length(rows, _LAUNCH_TOKENS["gpu"], most_rows)

    def inputs(self, rows: IntArray, device: torch.device) -> tuple[torch.Tensor, ...]:
        """Return padded ids and mask."""
        return padded_tensors(self.texts, rows, device)


class FeaturePool:
    """Features, brought to mean 0 and variance 1: one rate then suits every encoder."""

    def __init__(self, features: Float32Array) -> None:
        scale = features.std(axis=0)
        self.scale = np.where(scale > 1e-6, scale, 1).astype(np.float32)
        self.mean: Float32Array = features.mean(axis=0)
        self._features = torch.from_numpy((features - self.mean) / self.scale)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._features)

    def passes(self, rows: IntArray, device: torch.device) -> Sequence[Indices]:
        """Return all at once."""
        return [slice(None)]

    def inputs(self, rows: IntArray, device: torch.device) -> tuple[torch.Tensor, ...]:
        """Return standardised features."""
        return (self._features[rows],)
