"""Number type in which the matrix products of training are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type of a name; "auto" is bfloat16 where the device multiplies it."""
    if precision == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def _has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 faster than float32."""
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
    """Return a context that computes matrix products in a type, none for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)
