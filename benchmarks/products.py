"""The matrix products of an encoder, and nothing else.

What pads nothing and does nothing beside the products of the encoder's linear layers takes
this long on this machine. Attention, activations, normalising, dropout, the optimizer and
tokenizing come on top, so that nothing that computes with torch in this type is faster.
"""

from __future__ import annotations

import time

import torch


class Products:
    """The products of the linear layers of an encoder's blocks.

    Parameters
    ----------
    encoder : Module
        The encoder.
    dtype : torch.dtype, default=torch.float32
        The number type.
    """

    def __init__(self, encoder, dtype=torch.float32):
        self.weights = [
            layer.weight.detach().to(dtype)
            for name, layer in encoder.named_modules()
            if isinstance(layer, torch.nn.Linear) and "layer." in name
        ]
        widths = {size for weight in self.weights for size in weight.shape}
        self.widths, self.dtype = widths, dtype

    @torch.inference_mode()
    def seconds(self, n_tokens, *, training=False):
        """Return the seconds it takes.

        Parameters
        ----------
        n_tokens : sequence of int
            The tokens of each batch.
        training : bool, default=False
            Whether gradients by inputs and weights are computed, too.

        Returns
        -------
        float
            The seconds.
        """
        sizes = sorted({int(n) for n in n_tokens})
        some = {
            (n, width): torch.ones(n, width, dtype=self.dtype)
            for n in sizes
            for width in self.widths
        }
        begin = time.perf_counter()
        for n in map(int, n_tokens):
            for weight in self.weights:
                n_out, n_in = weight.shape
                before, after = some[n, n_in], some[n, n_out]
                torch.nn.functional.linear(before, weight)
                if training:
                    after @ weight
                    after.T @ before
        return time.perf_counter() - begin
