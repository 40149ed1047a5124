"""Dropout that draws its random bits four at a time, where torch draws one by one."""

from __future__ import annotations

import torch
from torch import nn

_DRAWS = 2**16


class Dropout(nn.Dropout):
    """Dropout that is quicker on the CPU.

    torch's own draws a random number for each entry, on one core: a tenth to a sixth
    of a training step. A 64-bit number is enough for four entries; `p` is then rounded
    to a multiple of 2**-16.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Return the input with a share `p` of its entries at 0 and the others scaled.

        Parameters
        ----------
        input : Tensor
            Any shape.

        Returns
        -------
        Tensor
            The same shape; in evaluation mode the input itself.
        """
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        n_dropped = round(self.p * _DRAWS)
        draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64)
        draws.random_(-(2**63), None)
        keep = draws.view(torch.int16)[: input.numel()] >= n_dropped - _DRAWS // 2
        scale = _DRAWS / (_DRAWS - n_dropped)
        return input * keep.view(input.shape) * scale


def quicker_dropout(model: nn.Module) -> None:
    """Replace a model's dropout by one that is quicker on the CPU.

    Parameters
    ----------
    model : Module
        The model; changed in place. What its layers read, `p`, stays.
    """
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))
