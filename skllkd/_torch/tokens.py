"""Texts as token ids: one flat array and where each text begins.

Importing this loads no torch: an exported classifier reads its texts with it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from skllkd._validation import IntArray

if TYPE_CHECKING:
    import torch

_TEXTS_AT_ONCE = 1024
_GROUP = 4  # batches presented one after the other
_MOST_PARTS = 4  # for so many rows


@lru_cache(maxsize=2)  # reading it takes longer than predicting one text
def load_tokenizer(source: str, max_length: int) -> Tokenizer:
    """Return a tokenizer that cuts at a length and does not pad.

    Parameters
    ----------
    source : str
        The tokenizer as JSON.
    max_length : int
        The longest output in tokens, special ones included.

    Returns
    -------
    Tokenizer
        The tokenizer.
    """
    tokenizer = Tokenizer.from_str(source)
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


class TokenizedTexts:
    """The token ids of many texts, in one array of 2 bytes a token, or 4 where needed.

    Parameters
    ----------
    tokenizer : Tokenizer
        As from `load_tokenizer`.
    texts : sequence of str
        The texts.
    pad_id : int
        The id that fills a batch up.
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

    def batch(
        self, rows: IntArray, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the padded ids of some texts and their mask.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Which texts.
        device : torch.device
            Where to put them.

        Returns
        -------
        ids : Tensor of shape (n_rows, longest), int64
            Token ids, padded.
        mask : Tensor of shape (n_rows, longest), int64
            1 for tokens, 0 for padding.
        """
        import torch

        ids, mask = self.padded(rows)
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)

    def padded(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Return the padded ids of some texts and their mask as arrays.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Which texts.

        Returns
        -------
        ids : ndarray of shape (n_rows, longest), int64
            Token ids, padded.
        mask : ndarray of shape (n_rows, longest), int64
            1 for tokens, 0 for padding.
        """
        lengths = self.lengths[rows]
        is_token = np.arange(int(lengths.max())) < lengths[:, None]
        ids = np.full(is_token.shape, self._pad_id, dtype=np.int64)
        ids[is_token] = self._ids[self.flat_places(rows)]
        return ids, is_token.astype(np.int64)

    def in_length_order(self, batch_size: int, batch_tokens: int) -> list[IntArray]:
        """Return all texts in batches of similar length, the shortest first.

        Parameters
        ----------
        batch_size : int
            The most texts a batch.
        batch_tokens : int
            The most tokens a batch, padding included; a longer text is a batch of its
            own.

        Returns
        -------
        list of ndarray of int
            Every text once.
        """
        order = np.argsort(self.lengths, kind="stable")
        starts = [0]
        for place, length in enumerate(self.lengths[order].tolist()):
            n_rows = place - starts[-1]
            if n_rows == batch_size or (
                n_rows and (n_rows + 1) * length > batch_tokens
            ):
                starts.append(place)
        return np.split(order, starts[1:])

    def flat_places(self, rows: IntArray) -> IntArray:
        """Return where in the flat array the tokens of some texts stand.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Which texts.

        Returns
        -------
        ndarray of shape (n_tokens,), int
            The places, text by text.
        """
        lengths = self.lengths[rows]
        column = np.arange(int(lengths.max()))
        return (self._starts[rows][:, None] + column)[column < lengths[:, None]]

    def batches(self, batch_size: int, rng: np.random.RandomState) -> list[IntArray]:
        """Return all texts in shuffled batches of similar length.

        Parameters
        ----------
        batch_size : int
            Texts a batch.
        rng : RandomState
            The source of the order.

        Returns
        -------
        list of ndarray of int
            Batches of rows: shuffled, sorted by length within stretches of 50
            batches, and groups of neighbouring batches shuffled. Of a group as much is
            selected as fills a batch, which then is of similar length too.
        """
        order: npt.NDArray[Any] = rng.permutation(len(self.lengths))
        order = order.astype(np.int32)  # half the memory
        stretch = 50 * batch_size
        batches: list[IntArray] = []
        for start in range(0, len(order), stretch):
            some = order[start : start + stretch]
            some = some[np.argsort(self.lengths[some], kind="stable")]
            batches += [
                some[i : i + batch_size] for i in range(0, len(some), batch_size)
            ]
        groups = [batches[i : i + _GROUP] for i in range(0, len(batches), _GROUP)]
        return [rows for i in rng.permutation(len(groups)) for rows in groups[i]]

    def of_similar_length(
        self, rows: IntArray, launch_tokens: int, most_rows: int = 64
    ) -> list[IntArray]:
        """Return the places of rows in parts that leave little to pad.

        A batch costs what its longest text makes of all its rows. Cut by length it
        costs less, until what every pass costs beside its tokens outweighs that.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Which texts; at least one.
        launch_tokens : int
            What a pass costs beside its tokens, as a number of tokens.
        most_rows : int, default=64
            The most rows of a part; more at once leave a CPU's cache and gain nothing.

        Returns
        -------
        list of ndarray of int
            Places in `rows`, each once.
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
