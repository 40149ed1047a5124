"""Device, threads and attention kernels that torch computes with, and memory errors.

torch is imported by the functions, so that importing this module stays cheap.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from skllkd.exceptions import DeviceMemoryError, InvalidParameterError

if TYPE_CHECKING:
    import torch


#: Held while torch's global generators hold a stream of ours: threads take turns.
_generators = threading.RLock()
_is_forked = False


def _after_fork() -> None:
    """Compute with one thread in a forked process: a library's others are not copied."""
    global _is_forked, _generators
    _generators = threading.RLock()  # the thread that held it was not copied either
    _is_forked = _is_forked or not {"torch", "llama_cpp"}.isdisjoint(sys.modules)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def most_threads(number: int) -> int:
    """Return a number of threads, 1 in a process that has lost those of a library."""
    return 1 if _is_forked else number


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def own_generators(seed: int | None = None, gpus: Sequence[int] = ()) -> Iterator[None]:
    """Give torch's global generators back after the block, one thread at a time."""
    import torch

    with _generators, torch.random.fork_rng(devices=gpus):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def checked_device(device: str) -> torch.device:
    """Return the device of a name, "auto" for a GPU where there is one, or raise."""
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidParameterError(
            '`device` must be "auto" or a torch device of this machine, such as "cpu" '
            f'or "cuda:0"; got {device!r}: {reason}'
        ) from error
    return wanted


def available_device(device: str) -> torch.device:
    """Return the device of a name, or the CPU where this machine has no such device."""
    import torch

    try:
        return checked_device(device)
    except InvalidParameterError:
        return torch.device("cpu")


@contextmanager
def cpu_threads(number: int | None) -> Iterator[None]:
    """Compute with so many threads inside the block; None leaves it to torch."""
    import torch

    if _is_forked:
        number = 1
    if number is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
