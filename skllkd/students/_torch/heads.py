"""What stands on an encoder: attention over its tokens, and the layers of a head."""

from __future__ import annotations

import torch
from torch import nn


class HeadLayers(nn.Module):
    """From features to class logits: the part two kinds of model have in common.

    Dropout, then a linear layer; with a hidden layer: dropout, hidden layer, GELU,
    dropout, linear layer.
    """

    dropout: nn.Dropout
    hidden: nn.Linear | None
    head: nn.Linear

    def add_layers(self, n_features: int, n_classes: int, head: str) -> None:
        """Make the layers, with new weights.

        Parameters
        ----------
        n_features : int
            The length of a feature row.
        n_classes : int
            The number of classes.
        head : {"linear", "hidden"}
            Whether there is a hidden layer, as wide as the features.
        """
        is_hidden = head == "hidden"
        self.hidden = nn.Linear(n_features, n_features) if is_hidden else None
        self.head = nn.Linear(n_features, n_classes)

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits.

        Parameters
        ----------
        features : Tensor of shape (n_rows, n_features)
            The features.

        Returns
        -------
        Tensor of shape (n_rows, n_classes)
            The logits.
        """
        features = self.dropout(features)
        if self.hidden is not None:
            features = self.dropout(nn.functional.gelu(self.hidden(features)))
        logits: torch.Tensor = self.head(features)
        return logits


class AttentionPooling(nn.Module):
    """The mean over the tokens, weighted by what is learned to matter.

    The weights are the softmax over a text's tokens of a linear score of each, as in
    the word attention of Yang et al. [1]_ without its hidden layer. The score starts
    at 0, and the pooling so as the plain mean.

    Parameters
    ----------
    n_features : int
        The length of a token's hidden state.

    References
    ----------
    .. [1] Yang et al., "Hierarchical Attention Networks for Document Classification",
       NAACL 2016, equations 5 to 7.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.score = nn.Linear(n_features, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the pooled hidden states.

        Parameters
        ----------
        hidden : Tensor of shape (n_rows, length, n_features)
            The tokens' hidden states.
        mask : Tensor of shape (n_rows, length), int64
            1 for tokens, 0 for padding.

        Returns
        -------
        Tensor of shape (n_rows, n_features)
            The weighted means.
        """
        score = self.score(hidden).squeeze(-1).float()
        score = score.masked_fill(mask == 0, torch.finfo(torch.float32).min)
        weight = torch.softmax(score, dim=1).unsqueeze(-1).to(hidden.dtype)
        return (weight * hidden).sum(dim=1)
