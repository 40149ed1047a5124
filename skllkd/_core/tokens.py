"""Token ids of many texts in one flat array, and batches in the order of length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import Float32Array, IntArray
from skllkd._core.windows import Window

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TEXTS_AT_ONCE = 1024
_GROUP = 4  # batches presented one after the other
_MOST_PARTS = 4  # of a pass


@lru_cache(maxsize=2)  # reading it takes longer than predicting one text
def load_tokenizer(source: str, window: Window) -> Tokenizer:
    """Return the tokenizer of a JSON text, which cuts for a window and does not pad."""
    from tokenizers import Tokenizer  # not needed to import the package

    try:
        tokenizer: Tokenizer = Tokenizer.from_str(source)
    except BaseException as error:  # a panic of the library is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        raise ValueError(f"the tokenizer cannot be read: {error}") from error
    tokenizer.no_padding()
    window.prepare(tokenizer)
    return tokenizer


def length_ordered_batches(
    lengths: npt.NDArray[Any],
    batch_size: int,
    batch_tokens: int | None = None,
    n_windows: npt.NDArray[Any] | None = None,
) -> list[IntArray]:
    """Return the indices of all texts in batches of similar length, the shortest first.

    `batch_tokens` bounds the tokens of a batch, padding included; a text longer than
    that is a batch of its own. A text of several windows takes as many places.
    """
    if n_windows is None:
        n_windows = np.ones(len(lengths), dtype=np.uint8)
    order = np.lexsort((n_windows, lengths))
    if batch_tokens is None and n_windows.max(initial=1) == 1:
        return np.split(order, range(batch_size, len(order), batch_size))
    starts, n_held = [0], 0
    sizes = zip(lengths[order].tolist(), n_windows[order].tolist(), strict=True)
    for end, (length, n_new) in enumerate(sizes):
        n_rows = n_held + n_new
        is_full = n_rows > batch_size
        if batch_tokens is not None:
            is_full = is_full or n_rows * length > batch_tokens
        if n_held and is_full:
            starts.append(end)
            n_rows = n_new
        n_held = n_rows
    return np.split(order, starts[1:])


class TokenizedTexts:
    """The token ids of many texts, in one array of 2 bytes a token, or 4 where needed.

    `pad_id` is the id that fills a batch up. A text has one window, or several where
    they are averaged; `lengths` holds the length of a text's longest one.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        texts: Sequence[str],
        pad_id: int,
        window: Window = Window(),  # noqa: B008  (frozen)
    ) -> None:
        self.is_truncated = np.zeros(len(texts), dtype=bool)
        self.lengths: npt.NDArray[np.int32] = np.zeros(len(texts), dtype=np.int32)
        self.n_windows: npt.NDArray[np.uint8] = np.zeros(len(texts), dtype=np.uint8)
        window_lengths: list[npt.NDArray[np.int32]] = []
        ids: npt.NDArray[Any] = np.empty(0, dtype=np.uint16)
        end = 0
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = [
                text.encode("utf-8", "replace").decode()  # lone surrogates
                for text in texts[start : start + _TEXTS_AT_ONCE]
            ]
            parts = [window.read(e) for e in tokenizer.encode_batch_fast(some)]
            read = slice(start, start + len(some))
            self.lengths[read] = [max(map(len, windows)) for windows, _ in parts]
            self.n_windows[read] = [len(windows) for windows, _ in parts]
            self.is_truncated[read] = [is_cut for _, is_cut in parts]
            tokens = [ids_of for windows, _ in parts for ids_of in windows]
            window_lengths.append(np.array([*map(len, tokens)], dtype=np.int32))
            flat = np.fromiter(chain.from_iterable(tokens), dtype=np.int32)
            if flat.max(initial=0) > np.iinfo(ids.dtype).max:
                ids = ids.astype(np.int32)
            begin, end = end, end + len(flat)
            if end > len(ids):  # memory is claimed as it is written to
                most = int(1.2 * end / read.stop * len(texts)) + end
                ids.resize(most, refcheck=False)
            ids[begin:end] = flat
        self.n_truncated = int(self.is_truncated.sum())
        self._window_lengths = self.lengths
        self._first_window: IntArray | None = None  # where each has one
        if self.n_windows.max(initial=1) > 1:
            self._window_lengths = np.concatenate(window_lengths)
            self._first_window = _starts(self.n_windows)
        self._starts = _starts(self._window_lengths)
        self._ids = ids[:end]
        self._pad_id = pad_id

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)

    def padded(self, rows: IntArray) -> tuple[npt.NDArray[Any], ...]:
        """Return padded ids and mask of the windows of some texts, int64 each.

        They are of shape (n_windows, longest). Where a text has several windows, a third
        array, (n_rows, n_windows), holds the share of each window in each text.
        """
        windows, n_windows = rows, self.n_windows[rows].astype(np.int64)
        if self._first_window is not None:
            windows = _ranges(self._first_window[rows], n_windows)
        lengths = self._window_lengths[windows]
        is_token = np.arange(int(lengths.max())) < lengths[:, None]
        ids = np.full(is_token.shape, self._pad_id, dtype=np.int64)
        flat = self._starts[windows][:, None] + np.arange(is_token.shape[1])
        ids[is_token] = self._ids[flat[is_token]]
        inputs = ids, is_token.astype(np.int64)
        if len(windows) == len(rows):
            return inputs
        return *inputs, _shares(lengths, n_windows)

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
        outweighs that. A part holds at most `most_rows` rows on average, or, with texts of
        several windows, at most so many windows.
        """
        n_windows = self.n_windows[rows]
        if n_windows.sum() > len(rows):
            size = (self.lengths[rows], most_rows)
            return length_ordered_batches(*size, n_windows=n_windows)
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


def _starts(lengths: npt.NDArray[Any]) -> IntArray:
    """Return the places where stretches one behind the other begin, and the end."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _ranges(starts: IntArray, lengths: npt.NDArray[Any]) -> IntArray:
    """Return the indices in stretches that begin at given places, one by one."""
    before = np.cumsum(lengths) - lengths
    indices: IntArray = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
    return indices


def _shares(lengths: npt.NDArray[Any], n_windows: npt.NDArray[Any]) -> Float32Array:
    """Return the share of each window in its text, by its tokens: (n_texts, n_windows)."""
    text = np.repeat(np.arange(len(n_windows)), n_windows)
    shares = np.zeros((len(n_windows), len(lengths)), dtype=np.float32)
    shares[text, np.arange(len(lengths))] = lengths
    scaled: Float32Array = shares / shares.sum(axis=1, keepdims=True)
    return scaled
