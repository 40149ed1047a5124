"""Progress on long work: a bar in a terminal or notebook, lines in a log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

#: Work that ends sooner than this, in seconds, shows no bar.
_DELAY_S = 2.0
#: How often a bar is written where it cannot be redrawn, in seconds.
_LOG_EVERY_S = 30.0


class _Lines:
    """Standard error as a log: each state of a bar is a line of its own."""

    def write(self, text: str) -> None:
        """Write a state as a line."""
        state = text.strip("\r\n ")
        if state:
            sys.stderr.write(f"{state}\n")

    def flush(self) -> None:
        """Flush standard error."""
        sys.stderr.flush()


def progress_bar(total: int | None, name: str, unit: str, verbose: int) -> Any:
    """Return a progress bar with its rate and the time left, on standard error."""
    from tqdm import tqdm

    is_notebook = type(sys.stderr).__module__.startswith("ipykernel")
    redrawn = is_notebook or bool(getattr(sys.stderr, "isatty", lambda: False)())
    return tqdm(
        file=sys.stderr if redrawn else _Lines(),
        total=total,
        desc=name,
        unit=unit,
        disable=not verbose or os.environ.get("RANK", "0") != "0",  # one of several
        delay=_DELAY_S,
        mininterval=0.2 if redrawn else _LOG_EVERY_S,
        ascii=None if redrawn else True,
        dynamic_ncols=redrawn,
    )


@contextmanager
def stage(name: str, verbose: int) -> Iterator[None]:
    """Name a stage of the work on standard error if it takes over two seconds."""
    timer = Timer(_DELAY_S, _print, [f"{name} ..."])
    timer.daemon = True
    if verbose and os.environ.get("RANK", "0") == "0":
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _print(line: str) -> None:
    """Print a line on standard error, above a bar that is drawn there."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
