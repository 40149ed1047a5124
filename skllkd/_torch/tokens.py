"""Texts as token ids: one flat array and where each text begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from skllkd._validation import IntArray

_TEXTS_AT_ONCE = 1024


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
    """The token ids of many texts, in one int32 array.

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
        parts: list[npt.NDArray[np.int32]] = []
        lengths: list[int] = []
        self.n_truncated = 0
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = [
                text.encode("utf-8", "replace").decode()  # lone surrogates
                for text in texts[start : start + _TEXTS_AT_ONCE]
            ]
            for encoding in tokenizer.encode_batch_fast(some):
                parts.append(np.asarray(encoding.ids, dtype=np.int32))
                lengths.append(len(encoding.ids))
                self.n_truncated += bool(encoding.overflowing)
        self.lengths: IntArray = np.asarray(lengths, dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])
        self._ids = np.concatenate(parts)
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
        lengths = self.lengths[rows]
        shape = (len(rows), int(lengths.max()))
        ids = np.full(shape, self._pad_id, dtype=np.int64)
        for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            start = self._starts[row]
            ids[place, :length] = self._ids[start : start + length]
        mask = (np.arange(shape[1]) < lengths[:, None]).astype(np.int64)
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)

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
            batches, and the batches shuffled.
        """
        order = rng.permutation(len(self.lengths))
        stretch = 50 * batch_size
        batches: list[IntArray] = []
        for start in range(0, len(order), stretch):
            some = order[start : start + stretch]
            some = some[np.argsort(self.lengths[some], kind="stable")]
            batches += [
                some[i : i + batch_size] for i in range(0, len(some), batch_size)
            ]
        return [batches[i] for i in rng.permutation(len(batches))]
