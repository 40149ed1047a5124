"""Masking of secrets in the words of others, before they are cut, shown or stored."""

from __future__ import annotations

#: A part of a secret as long as this is masked too: answers and messages are cut.
_SHORTEST_PART = 8


def mask(text: str, secret: str | None) -> str:
    """Replace a secret, and each part of it of eight characters or more, by ***."""
    if not secret:
        return text
    size = min(len(secret), _SHORTEST_PART)
    parts = {secret[i : i + size] for i in range(len(secret) - size + 1)}
    shown, end = list[str](), 0
    for start in range(len(text) - size + 1):
        if text[start : start + size] in parts:
            if start > end or not start:
                shown += [text[end:start], "***"]
            end = start + size
    return "".join([*shown, text[end:]])


def shorten(text: str, n_chars: int) -> str:
    """Put a text on one line, and cut it to a number of characters."""
    line = " ".join(text.split())
    return line if len(line) <= n_chars else line[:n_chars] + "..."
