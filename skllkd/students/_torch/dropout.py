"""Dropout, faster on the CPU than torch's, and the stream of random bits it draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from typing_extensions import override

from skllkd._core.device import own_generators

_DRAWS = 2**16


class LocalRandomness:
    """A stream of torch's global generators, set for a block and given back.

    Dropout draws from the global generators and from no other. This keeps a stream of
    its own in them only while it is needed.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._gpu_device = device if device.type == "cuda" else None
        self._devices = range(torch.cuda.device_count())  # all are seeded
        with own_generators(seed, self._devices):
            self._keep()

    def _keep(self) -> None:
        """Remember where the stream stands."""
        self._cpu = torch.get_rng_state()
        gpu = self._gpu_device
        self._gpu = None if gpu is None else torch.cuda.get_rng_state(gpu)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Draw from this stream inside the block."""
        with own_generators(None, self._devices):
            torch.set_rng_state(self._cpu)
            if self._gpu is not None and self._gpu_device is not None:
                torch.cuda.set_rng_state(self._gpu, self._gpu_device)
            yield
            self._keep()


class Dropout(nn.Dropout):
    """Dropout that draws one 64-bit number for four entries on the CPU.

    torch's own draws a random number for each entry, on one core: a tenth to a sixth
    of a training step. `p` is rounded to a multiple of 2**-16.
    """

    @override
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        n_dropped = round(self.p * _DRAWS)
        draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64)
        draws.random_(-(2**63), None)
        keep = draws.view(torch.int16)[: input.numel()] >= n_dropped - _DRAWS // 2
        scale = _DRAWS / (_DRAWS - n_dropped)
        return input * keep.view(input.shape) * scale


def use_fast_dropout(model: nn.Module) -> None:
    """Replace a model's dropout modules in place; their `p` stays, which layers read."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))
