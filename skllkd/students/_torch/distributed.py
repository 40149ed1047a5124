"""Several processes that train one classifier, where there are several."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from skllkd._core.arrays import IntArray
from skllkd._core.params import optional_import


class ProcessGroup:
    """The processes `accelerate launch` (or torchrun) started, or this one alone.

    All of them run the same loop on the same pool and make the same decisions. Of
    each pass a process computes its share of the rows; probabilities and gradients
    are then summed over the processes, so that all end up with the same weights.
    """

    def __init__(self) -> None:
        self._accelerator: Any = None
        self.rank, self.size = 0, 1
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            accelerate = optional_import("accelerate", "distributed")
            self._accelerator = accelerate.Accelerator(
                cpu=not torch.cuda.is_available()
            )
            self.rank = int(self._accelerator.process_index)
            self.size = int(self._accelerator.num_processes)

    def device(self, asked: torch.device) -> torch.device:
        """Return the device of this process, a GPU of its own where there are several."""
        if self.size == 1 or asked.type == "cpu":
            return asked
        device: torch.device = self._accelerator.device
        return device

    def share(self, indices: IntArray) -> IntArray:
        """Return the part of a pass that this process computes; may be empty."""
        return indices[self.rank :: self.size]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum of the processes' tensors, which have one shape."""
        if self.size == 1:
            return tensor
        total: torch.Tensor = self._accelerator.reduce(tensor, "sum")
        return total

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all gradients."""
        if self.size == 1:
            return
        learning = list(parameters)
        for parameter in learning:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients: list[torch.Tensor] = [p.grad for p in learning if p.grad is not None]
        total = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(total, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
