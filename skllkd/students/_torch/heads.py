"""Heads that stand on an encoder, and attention over its tokens."""

from __future__ import annotations

import torch
from torch import nn
from typing_extensions import override

from skllkd._core.arrays import Float32Array, Weights
from skllkd.students._torch.dropout import Dropout


class WeightedModel(nn.Module):
    """Class logits; weights go in and out as arrays."""

    n_classes: int

    def weights(self) -> Weights:
        """Return copies of the weights on the CPU, by name."""
        state = self.state_dict()
        return {name: tensor.cpu().numpy().copy() for name, tensor in state.items()}

    def set_weights(self, weights: Weights, *, strict: bool = True) -> None:
        """Set the weights; all of them, if strict."""
        state = {name: torch.from_numpy(array) for name, array in weights.items()}
        self.load_state_dict(state, strict=strict)


class HeadLayers(nn.Module):
    """From features to class logits.

    Dropout, then a linear layer; with a hidden layer: dropout, hidden layer, GELU,
    dropout, linear layer.
    """

    dropout: nn.Dropout
    hidden: nn.Linear | None
    head: nn.Linear

    def add_layers(self, n_features: int, n_classes: int, head: str) -> None:
        """Make the layers, with new weights."""
        is_hidden = head == "hidden"
        self.hidden = nn.Linear(n_features, n_features) if is_hidden else None
        self.head = nn.Linear(n_features, n_classes)

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n_rows, n_classes)."""
        features = self.dropout(features)
        if self.hidden is not None:
            features = self.dropout(nn.functional.gelu(self.hidden(features)))
        logits: torch.Tensor = self.head(features)
        return logits


class Head(WeightedModel, HeadLayers):
    """A head as a model of its own, which learns on standardised features.

    Its weights go in and out as they are for the features as given.
    """

    def __init__(
        self,
        mean: Float32Array,
        scale: Float32Array,
        n_classes: int,
        head: str,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.n_classes, self._mean, self._scale = n_classes, mean, scale
        self.dropout = Dropout(dropout)
        self.add_layers(len(mean), n_classes, head)
        self._first = "hidden" if head == "hidden" else "head"

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits of standardised features."""
        return self.classify(features)

    @override
    def weights(self) -> Weights:
        weights = super().weights()
        weights[f"{self._first}.weight"] /= self._scale
        weights[f"{self._first}.bias"] -= weights[f"{self._first}.weight"] @ self._mean
        return weights

    @override
    def set_weights(self, weights: Weights, *, strict: bool = True) -> None:
        weight, bias = weights[f"{self._first}.weight"], weights[f"{self._first}.bias"]
        own = {
            f"{self._first}.weight": weight * self._scale,
            f"{self._first}.bias": bias + weight @ self._mean,
        }
        super().set_weights(weights | own, strict=strict)


def head_weights(weights: Weights) -> Weights:
    """Return the weights that are a head's, of all those of a student."""
    return {n: a for n, a in weights.items() if n.startswith(("head.", "hidden."))}


def head_kind(weights: Weights) -> str:
    """Return the kind of a head, by its weights."""
    return "hidden" if "hidden.weight" in weights else "linear"


class AttentionPooling(nn.Module):
    """The mean over the tokens, weighted by a learned score of each.

    The weights are the softmax over a text's tokens of a linear score, as in the word
    attention of Yang et al. (NAACL 2016, equations 5 to 7) without its hidden layer.
    The score starts at 0, and the pooling so as the plain mean.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.score = nn.Linear(n_features, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the weighted means, (n_rows, n_features), of (n_rows, length, ...)."""
        score = self.score(hidden).squeeze(-1).float()
        score = score.masked_fill(mask == 0, torch.finfo(torch.float32).min)
        weight = torch.softmax(score, dim=1).unsqueeze(-1).to(hidden.dtype)
        return (weight * hidden).sum(dim=1)
