"""The part of a long text that is read, as tokens."""

from itertools import pairwise

import numpy as np
import pytest
from skllkd._core.tokens import TokenizedTexts, load_tokenizer
from skllkd._core.windows import MOST_WINDOWS, Window
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

FIRST = 4  # ids below it are special
CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def source():
    """Return a tokenizer for which the text "5 6" has the tokens 5 and 6."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": CLS, "[SEP]": SEP}
    vocabulary |= {str(i): i for i in range(FIRST, 4000)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return tokenizer.to_str()


def text_of(n_tokens):
    return " ".join(str(FIRST + i) for i in range(n_tokens))


def read(source, kind, max_length, *lengths):
    window = Window(kind, max_length)
    texts = [text_of(n) for n in lengths]
    return TokenizedTexts(load_tokenizer(source, window), texts, 0, window)


def windows_of(tokens, row):
    """Return the windows of a text, as the encoder is given them."""
    ids, mask, *_ = tokens.padded(np.array([row]))
    return [
        of_row[of_mask == 1].tolist() for of_row, of_mask in zip(ids, mask, strict=True)
    ]


@pytest.mark.parametrize("kind", ["head", "head_tail", "mean"])
@pytest.mark.parametrize("n_tokens", [0, 1, 13, 14])
def test_a_text_that_fits_is_read_as_it_is(kind, n_tokens, source):
    tokens = read(source, kind, 16, n_tokens)
    content = range(FIRST, FIRST + n_tokens)
    assert windows_of(tokens, 0) == [[CLS, *content, SEP]]
    assert len(tokens.padded(np.array([0]))) == 2  # no shares
    assert tokens.n_truncated == 0


def test_head_and_tail_keep_both_ends(source):
    for max_length in (4, 5, 16, 17):
        tokens = read(source, "head_tail", max_length, 100, 3)
        (whole,) = windows_of(tokens, 0)
        n_head = (max_length + 1) // 2 - 1
        n_tail = max_length // 2 - 1
        head = range(FIRST, FIRST + n_head)
        tail = range(FIRST + 100 - n_tail, FIRST + 100)
        assert whole == [CLS, *head, *tail, SEP]
        assert tokens.is_truncated.tolist() == [True, max_length < 5]


@pytest.mark.parametrize("max_length", [4, 5, 16, 33])
@pytest.mark.parametrize("n_tokens", [15, 29, 40, 101])
def test_windows_cover_every_token_and_overlap(max_length, n_tokens, source):
    tokens = read(source, "mean", max_length, n_tokens)
    windows = windows_of(tokens, 0)
    assert all(w[0] == CLS and w[-1] == SEP for w in windows)
    assert all(len(w) <= max_length for w in windows)
    content = [w[1:-1] for w in windows]
    assert {i for part in content for i in part} == {*range(FIRST, FIRST + n_tokens)}
    for part, following in pairwise(content):
        shared = {*part} & {*following}
        assert len(shared) == max_length // 8
        assert all(np.diff(part) == 1)
    assert tokens.n_truncated == 0


def test_shares_are_the_tokens_of_a_window_and_sum_to_one(source):
    tokens = read(source, "mean", 16, 3, 40, 14, 100)
    rows = np.array([3, 0, 1])
    ids, mask, share = tokens.padded(rows)
    assert share.shape == (3, len(ids)) and share.dtype == np.float32
    np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-6)
    n_windows = [len(windows_of(tokens, row)) for row in rows]
    assert n_windows == tokens.n_windows[rows].tolist()
    assert (share > 0).sum(axis=1).tolist() == n_windows
    lengths = mask.sum(axis=1)
    ends = np.cumsum(n_windows)
    for row, (start, end) in enumerate(zip(ends - n_windows, ends, strict=True)):
        part = lengths[start:end]
        np.testing.assert_allclose(share[row, start:end], part / part.sum(), rtol=1e-6)


def test_windows_beyond_the_most_are_left_out_evenly_and_counted(source):
    tokens = read(source, "mean", 16, 3000, 3)
    windows = windows_of(tokens, 0)
    assert len(windows) == MOST_WINDOWS == 64
    assert tokens.is_truncated.tolist() == [True, False]
    starts = [w[1] - FIRST for w in windows]
    assert starts[0] == 0 and windows[-1][-2] == FIRST + 2999
    gaps = np.diff(starts)
    assert gaps.max() <= 2 * gaps.min()


@pytest.mark.parametrize("batch_tokens", [None, 64])
def test_batches_hold_whole_texts_and_a_bounded_number_of_windows(batch_tokens, source):
    lengths = np.random.RandomState(0).randint(1, 120, 60)
    tokens = read(source, "mean", 16, *lengths)
    from skllkd._core.tokens import length_ordered_batches

    size = (tokens.lengths, 8, batch_tokens, tokens.n_windows)
    batches = length_ordered_batches(*size)
    assert sorted(np.concatenate(batches)) == list(range(60))
    for batch in batches:
        n_windows = tokens.n_windows[batch].sum()
        assert n_windows <= 8 or len(batch) == 1
        if batch_tokens:
            padded = n_windows * tokens.lengths[batch].max()
            assert padded <= batch_tokens or len(batch) == 1


def test_passes_of_a_step_hold_a_bounded_number_of_windows(source):
    lengths = np.random.RandomState(0).randint(1, 120, 60)
    tokens = read(source, "mean", 16, *lengths)
    rows = np.arange(60)[::2]
    parts = tokens.of_similar_length(rows, 64, 12)
    assert sorted(np.concatenate(parts)) == list(range(30))
    assert all(tokens.n_windows[rows[p]].sum() <= 12 for p in parts if len(p) > 1)


def test_the_sentence_about_lost_tokens_says_which_part_is_read():
    for kind, words in {
        "head": "only their beginning was read",
        "head_tail": "their beginning and their end were read",
        "mean": "64 windows of each, evenly spaced",
    }.items():
        lost = Window(kind, 32).lost(2, 5, "student's ")
        assert "2 of 5 texts" in lost and "student's window of 32 tokens" in lost
        assert words in lost
