"""Attention kernels and memory errors of a GPU.

torch is imported by the functions, so that importing this module stays cheap.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from skllkd.exceptions import DeviceMemoryError


def any_shape_attention(device_type: str) -> AbstractContextManager[object]:
    """Return a context that leaves cuDNN's attention out on CUDA, and else does nothing.

    cuDNN builds a plan for every shape of a batch, which takes longer than many steps;
    batches of texts have a new number of rows or tokens again and again.
    """
    if device_type != "cuda":
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    kernels = [
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.MATH,
    ]
    return sdpa_kernel(kernels)


@contextmanager
def named_memory_errors(doing: str, hint: str) -> Iterator[None]:
    """Raise `DeviceMemoryError` with a hint where memory runs out, and free the memory."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        # The frames of the traceback hold the tensors computed so far.
        traceback.clear_frames(error.__traceback__)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        reason = ". ".join(str(error).split(". ")[:2])  # torch's own advice follows
        raise DeviceMemoryError(
            f"the device's memory does not suffice for {doing}. {hint} torch says: "
            f"{reason}"
        ) from None
