"""From logits to probabilities and losses: of one class a text, or of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch.nn.functional import logsigmoid

from skllkd._core.arrays import FloatArray

#: From log-probabilities and targets of rows to the loss of each.
PerSample: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Objective:
    """The loss of logits: of each row, or with several classes a text of each class.

    A row has one of the classes, by softmax; or each class is a question of its own,
    answered no or yes by sigmoid.
    """

    per_sample: PerSample
    multilabel: bool = False

    def losses(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the losses, (n_rows,) or (n_rows, n_classes)."""
        if not self.multilabel:
            return self.per_sample(torch.log_softmax(logits, dim=1), target)
        log_proba = torch.stack([logsigmoid(-logits), logsigmoid(logits)], dim=-1)
        answers = torch.stack([1 - target, target], dim=-1)
        pairs = self.per_sample(log_proba.flatten(0, 1), answers.flatten(0, 1))
        return pairs.view_as(logits)

    def proba(self, logits: torch.Tensor) -> FloatArray:
        """Return the probabilities, (n_rows, n_classes)."""
        return probabilities(logits, self.multilabel)


def probabilities(logits: torch.Tensor, multilabel: bool) -> FloatArray:
    """Return logits as distributions, or as a probability a class; in double precision."""
    logits = logits.float().cpu().double()
    proba = torch.sigmoid(logits) if multilabel else torch.softmax(logits, dim=1)
    return proba.numpy()
