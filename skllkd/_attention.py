"""Which of torch's ways to compute attention suit batches of texts."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext


def attention_of_any_shape(device_type: str) -> AbstractContextManager[object]:
    """Return a context in which attention is quick whatever a batch's shape.

    On a GPU torch may prefer cuDNN's attention, which is quick once it has built a
    plan for a shape. Building takes longer than many steps, and batches of texts have
    a new number of rows or tokens again and again.

    Parameters
    ----------
    device_type : str
        The kind of device it is computed on, as torch names it.

    Returns
    -------
    context manager
        It leaves cuDNN's attention out on a CUDA GPU, and does nothing elsewhere.
    """
    if device_type != "cuda":
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    chosen: AbstractContextManager[object] = sdpa_kernel(
        [
            SDPBackend.FLASH_ATTENTION,
            SDPBackend.EFFICIENT_ATTENTION,
            SDPBackend.MATH,
        ]
    )
    return chosen
