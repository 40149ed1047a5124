"""Messages of the command line that are no result."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Print a message that is no result."""
    print(message, file=sys.stderr, flush=True)
