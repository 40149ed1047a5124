"""Token ids of many texts in one flat array, and batches in the order of length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import IntArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TEXTS_AT_ONCE = 1024
_GROUP = 4  # batches presented one after the other
_MOST_PARTS = 4  # of a pass


@lru_cache(maxsize=2)  # reading it takes longer than predicting one text
def load_tokenizer(source: str, max_length: int) -> Tokenizer:
    """Return the tokenizer of a JSON text, which cuts at a length and does not pad."""
    from tokenizers import Tokenizer  # not needed to import the package

    try:
        tokenizer: Tokenizer = Tokenizer.from_str(source)
    except BaseException as error:  # a panic of the library is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        raise ValueError(f"the tokenizer cannot be read: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def length_ordered_batches(
    lengths: npt.NDArray[Any], batch_size: int, batch_tokens: int | None = None
) -> list[IntArray]:
    """Return the indices of all texts in batches of similar length, the shortest first.

    `batch_tokens` bounds the tokens of a batch, padding included; a text longer than
    that is a batch of its own.
    """
    order = np.argsort(lengths, kind="stable")
    if batch_tokens is None:
        return np.split(order, range(batch_size, len(order), batch_size))
    starts = [0]
    for end, length in enumerate(lengths[order].tolist()):
        n_rows = end - starts[-1]
        if n_rows == batch_size or (n_rows and (n_rows + 1) * length > batch_tokens):
            starts.append(end)
    return np.split(order, starts[1:])


class TokenizedTexts:
    """The token ids of many texts, in one array of 2 bytes a token, or 4 where needed.

    `pad_id` is the id that fills a batch up.
    """

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[str], pad_id: int) -> None:
        self.is_truncated = np.zeros(len(texts), dtype=bool)
        self.lengths: npt.NDArray[np.int32] = np.zeros(len(texts), dtype=np.int32)
        ids: npt.NDArray[Any] = np.empty(0, dtype=np.uint16)
        end = 0
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = [
                text.encode("utf-8", "replace").decode()  # lone surrogates
                for text in texts[start : start + _TEXTS_AT_ONCE]
            ]
            encodings = tokenizer.encode_batch_fast(some)
            tokens = [encoding.ids for encoding in encodings]
            read = slice(start, start + len(some))
            self.lengths[read] = [len(of_text) for of_text in tokens]
            self.is_truncated[read] = [bool(e.overflowing) for e in encodings]
            flat = np.fromiter(chain.from_iterable(tokens), dtype=np.int32)
            if flat.max(initial=0) > np.iinfo(ids.dtype).max:
                ids = ids.astype(np.int32)
            begin, end = end, end + len(flat)
            if end > len(ids):  # memory is claimed as it is written to
                most = int(1.2 * end / read.stop * len(texts)) + end
                ids.resize(most, refcheck=False)
            ids[begin:end] = flat
        self.n_truncated = int(self.is_truncated.sum())
        self._starts = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])
        self._ids = ids[:end]
        self._pad_id = pad_id

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)

    def padded(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Return padded ids and mask of some texts, (n_rows, longest) int64 each."""
        lengths = self.lengths[rows]
        is_token = np.arange(int(lengths.max())) < lengths[:, None]
        ids = np.full(is_token.shape, self._pad_id, dtype=np.int64)
        flat = self._starts[rows][:, None] + np.arange(is_token.shape[1])
        ids[is_token] = self._ids[flat[is_token]]
        return ids, is_token.astype(np.int64)

    def batches(self, batch_size: int, rng: np.random.RandomState) -> list[IntArray]:
        """Return all texts in shuffled batches of similar length.

        They are shuffled, sorted by length within stretches of 50 batches, and groups
        of neighbouring batches shuffled. Of a group as much is selected as fills a
        batch, which then is of similar length too.
        """
        order: npt.NDArray[Any] = rng.permutation(len(self))
        order = order.astype(np.int32)  # half the memory
        stretch = 50 * batch_size
        batches: list[IntArray] = []
        for start in range(0, len(order), stretch):
            some = order[start : start + stretch]
            parts = length_ordered_batches(self.lengths[some], batch_size)
            batches += [some[indices] for indices in parts]
        groups = [batches[i : i + _GROUP] for i in range(0, len(batches), _GROUP)]
        return [rows for i in rng.permutation(len(groups)) for rows in groups[i]]

    def of_similar_length(
        self, rows: IntArray, launch_tokens: int, most_rows: int
    ) -> list[IntArray]:
        """Return the indices of rows in parts that leave little to pad.

        A batch costs as if all its rows were as long as the longest. Cut by length it
        costs less, until the cost of a pass beside its tokens, `launch_tokens`,
        outweighs that. A part holds at most `most_rows` rows on average.
        """
        order = np.argsort(self.lengths[rows], kind="stable")
        lengths = self.lengths[rows][order]
        n_least = -(-len(rows) // most_rows)
        n_most = min(len(rows), _MOST_PARTS * n_least)
        best, least = [order], float("inf")
        for n_parts in range(n_least, n_most + 1):
            ends = np.linspace(0, len(rows), n_parts + 1).astype(int)
            padded = (np.diff(ends) * lengths[ends[1:] - 1]).sum()
            cost = padded + n_parts * launch_tokens
            if cost < least:
                best, least = np.split(order, ends[1:-1]), cost
        return best
