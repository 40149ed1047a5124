"""Texts as token ids, and batches in the order of length."""

import numpy as np
import pytest
from skllkd._core.tokens import TokenizedTexts, length_ordered_batches
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace


@pytest.mark.parametrize("n", [1, 7, 20])
def test_batches_hold_every_text_once_the_shortest_first(n):
    lengths = np.random.RandomState(0).randint(1, 40, n)
    batches = length_ordered_batches(lengths, 6)
    assert sorted(np.concatenate(batches)) == list(range(n))
    assert [len(batch) for batch in batches[:-1]] == [6] * (len(batches) - 1)
    assert (np.diff(lengths[np.concatenate(batches)]) >= 0).all()


def test_batches_hold_so_many_tokens_at_most_with_padding():
    lengths = np.array([50, 3, 4, 9, 200, 5, 10])
    batches = length_ordered_batches(lengths, 3, 20)
    padded = [len(batch) * lengths[batch].max() for batch in batches]
    assert all(n <= 20 for n in padded[:-2])
    assert [lengths[batch].tolist() for batch in batches[-2:]] == [[50], [200]]
    assert sorted(np.concatenate(batches)) == list(range(7))


def test_large_vocabularies_keep_their_ids_and_small_ones_take_two_bytes():
    """Ids from 65,536 on first turn up in a later chunk."""
    vocabulary = {"?": 0, "low": 65_535, "high": 65_536, "top": 250_000}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    texts = ["low"] * 1500 + ["", "low high", "top"]
    tokens = TokenizedTexts(tokenizer, texts, 7)
    rows = np.array([1499, 0, 1501, 1502])
    ids, mask = tokens.padded(rows)
    assert ids.tolist() == [[65_535, 7], [65_535, 7], [65_535, 65_536], [250_000, 7]]
    assert mask.tolist() == [[1, 0], [1, 0], [1, 1], [1, 0]]
    assert tokens._ids.itemsize == 4
    assert TokenizedTexts(tokenizer, texts[:1500], 7)._ids.itemsize == 2
