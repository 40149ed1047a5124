"""Device and number of threads that torch computes with.

torch is imported by the functions, so that importing this module stays cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skllkd.exceptions import InvalidParameterError

if TYPE_CHECKING:
    import torch


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

    if number is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
