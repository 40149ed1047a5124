"""A prompt frame in the tokens of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from skllkd.teachers.prompting.label_trie import LabelTrie, until_they_differ
from skllkd.teachers.prompting.template import PromptFrame


class _Tokenizer(Protocol):
    """What reads text as a model's tokens."""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the tokens; names of special tokens count as such where `special`."""


class PromptTokens(NamedTuple):
    """What stands around a text, and what may follow, in tokens.

    Parameters
    ----------
    prefix : list of int
        The tokens before a text.
    suffix : list of int
        The tokens after it, up to where the answer begins.
    trie : LabelTrie
        The labels.
    """

    prefix: list[int]
    suffix: list[int]
    trie: LabelTrie

    @property
    def n_tail(self) -> int:
        """How many tokens follow a text."""
        return len(self.suffix) + len(self.trie.node_tokens)


def prompt_tokens(
    tokenizer: _Tokenizer,
    begin: Sequence[int],
    end_token: int,
    frame: PromptFrame,
    *,
    whole_labels: bool,
) -> PromptTokens:
    """Return a frame in tokens.

    Parameters
    ----------
    tokenizer : object with `tokenize`
        The model's.
    begin : sequence of int
        What the model wants a text to begin with.
    end_token : int
        What ends an answer where the frame says nothing.
    frame : PromptFrame
        The frame.
    whole_labels : bool
        Whether labels are read to their ends, or only as far as they differ.

    Returns
    -------
    PromptTokens
        The tokens.
    """
    begin = list(begin)
    prefix = begin + tokenizer.tokenize(frame.before, special=True)
    if begin and prefix[len(begin) : 2 * len(begin)] == begin:
        prefix = prefix[len(begin) :]  # the template printed it already
    suffix = tokenizer.tokenize(frame.after, special=True)
    answers = [_answer_tokens(tokenizer, frame.after, suffix, a) for a in frame.answers]
    end = [*tokenizer.tokenize(frame.end, special=True), end_token][0]
    trie = LabelTrie.from_tokens(frame.answers, answers, end)
    if not whole_labels:
        trie = LabelTrie.from_tokens(frame.answers, until_they_differ(answers), end)
    return PromptTokens(prefix, suffix, trie)


def _answer_tokens(
    tokenizer: _Tokenizer, after: str, suffix: list[int], answer: str
) -> list[int]:
    """Return the tokens of an answer where it stands, after the prompt."""
    joined = tokenizer.tokenize(after + answer, special=True)
    if joined[: len(suffix)] == suffix:
        return joined[len(suffix) :]
    return tokenizer.tokenize(answer, special=False)
