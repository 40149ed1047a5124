"""In how many bits a pass is computed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from skllkd.exceptions import InvalidParameterError

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the number type of a pass's matrix products.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16", "float16"}
        What was asked for; "auto" is bfloat16 where the device has instructions for
        it, and float32 elsewhere.
    device : torch.device
        Where to compute.

    Returns
    -------
    torch.dtype
        The type.

    Raises
    ------
    InvalidParameterError
        If the device cannot train in it.
    """
    if precision == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    if precision == "float16" and device.type == "cpu":
        raise InvalidParameterError(
            "`precision` must be 'auto', 'float32' or 'bfloat16' on a CPU; got "
            "'float16', which is for GPUs."
        )
    return _DTYPES[precision]


def _has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 quicker than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:  # not Linux
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def autocast(
    dtype: torch.dtype, device: torch.device
) -> AbstractContextManager[object]:
    """Return a context in which matrix products are computed in a number type.

    Parameters
    ----------
    dtype : torch.dtype
        As from `compute_dtype`.
    device : torch.device
        Where.

    Returns
    -------
    context manager
        It does nothing for float32.
    """
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)
