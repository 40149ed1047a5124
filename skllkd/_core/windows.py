"""The part of a long text that an encoder reads: head, head and tail, or windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

#: Windows of a text, at most: a pass over one text then holds no more than a batch.
MOST_WINDOWS = 64
#: Ways of reading a text that is longer than the window, and the part that is read of it.
WINDOWS = {
    "head": "only their beginning was read",
    "head_tail": "only their beginning and their end were read",
    "mean": f"only {MOST_WINDOWS} windows of each, evenly spaced, were read",
}
#: Share of a window that the next one repeats.
_OVERLAP = 1 / 8


class Window(NamedTuple):
    """Way of reading texts by windows of at most so many tokens, special ones included."""

    kind: str = "head"  # of WINDOWS
    max_length: int = 512

    def prepare(self, tokenizer: Tokenizer) -> None:
        """Let a tokenizer cut texts as `read` takes them."""
        if self.kind == "head_tail":
            tokenizer.no_truncation()
            return
        n_shared = int(self.max_length * _OVERLAP) if self.kind == "mean" else 0
        tokenizer.enable_truncation(self.max_length, stride=n_shared)

    def read(self, encoding: Encoding) -> tuple[list[list[int]], bool]:
        """Return the token ids of each window of a text, and whether tokens are lost."""
        ids = encoding.ids
        if self.kind == "mean":
            return _evenly_spaced([ids, *(rest.ids for rest in encoding.overflowing)])
        if self.kind == "head":
            return [ids], bool(encoding.overflowing)
        if len(ids) <= self.max_length:
            return [ids], False
        n_tail = self.max_length // 2
        return [ids[: self.max_length - n_tail] + ids[-n_tail:]], True

    def lost(self, n_cut: int, n_texts: int, of_whom: str = "") -> str:
        """Return the sentence about texts of which tokens are lost."""
        return (
            f"{n_cut} of {n_texts} texts were longer than the {of_whom}window of "
            f"{self.max_length} tokens; {WINDOWS[self.kind]}."
        )


def _evenly_spaced(windows: list[list[int]]) -> tuple[list[list[int]], bool]:
    """Return windows, or as many of them as are allowed; and whether some are left out."""
    if len(windows) <= MOST_WINDOWS:
        return windows, False
    kept = np.linspace(0, len(windows) - 1, MOST_WINDOWS).round().astype(int)
    return [windows[i] for i in kept], True
