"""What is said when a GPU's memory does not suffice."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from skllkd.exceptions import DeviceMemoryError


@contextmanager
def device_memory_named(doing: str, advice: str) -> Iterator[None]:
    """Say what to do where a GPU's memory does not suffice, and free what was taken.

    Parameters
    ----------
    doing : str
        What is done inside the block, for the message.
    advice : str
        What to change, as a sentence.

    Yields
    ------
    None
        While it is done.

    Raises
    ------
    DeviceMemoryError
        If the memory does not suffice.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        # The frames of the traceback hold what was computed so far.
        traceback.clear_frames(error.__traceback__)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        reason = ". ".join(
            str(error).split(". ")[:2]
        )  # what follows is advice on torch
        raise DeviceMemoryError(
            f"the device's memory does not suffice for {doing}. {advice} torch says: "
            f"{reason}"
        ) from None
