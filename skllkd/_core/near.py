"""The near word for a typo."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def near(word: str, known: Iterable[str]) -> str:
    """Return a question that proposes the nearest of some words, "" for none."""
    names = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold(), list(names), n=1, cutoff=0.6)
    return f" Did you mean {names[found[0]]!r}?" if found else ""
