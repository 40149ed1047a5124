"""Prompts in the tokens of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from skllkd.teachers.prompting.label_trie import LabelTrie, distinct_prefixes
from skllkd.teachers.prompting.template import Message, PromptTemplate


class PromptTokenizer(Protocol):
    """Tokenizer that tells the prompt's own special tokens from the text of users."""

    @property
    def begin_tokens(self) -> Sequence[int]:
        """Tokens the model wants a text to begin with."""

    @property
    def end_token(self) -> int:
        """Token that ends a text, in a chat model mostly a turn."""

    @property
    def has_chat_template(self) -> bool:
        """Whether the model has a chat template of its own."""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return tokens; names of special tokens count as such only where `special`."""

    def render_chat(self, messages: list[Message]) -> str:
        """Render chat messages, ready for the assistant's answer."""


class PromptTokens(NamedTuple):
    """Tokens before and after a text, and those of the labels that may follow."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    trie: LabelTrie

    @property
    def n_tail(self) -> int:
        """Number of tokens evaluated after a text."""
        return len(self.suffix) + len(self.trie.node_tokens)


def tokenize_prompt(
    tokenizer: PromptTokenizer,
    template: PromptTemplate,
    *,
    whole_labels: bool,
    yes_no: bool = False,
) -> PromptTokens:
    """Tokenize a prompt, with labels to their ends or only as far as they differ.

    With `yes_no` the answers are pairs, each scored given the beginning both share.
    """
    begin = list(tokenizer.begin_tokens)
    prefix = begin + tokenizer.tokenize(template.before, special=True)
    if begin and prefix[len(begin) : 2 * len(begin)] == begin:
        prefix = prefix[len(begin) :]  # the template printed it already
    suffix = tokenizer.tokenize(template.after, special=True)
    answers = [
        _answer_tokens(tokenizer, template.after, suffix, answer)
        for answer in template.answers
    ]
    end = [*tokenizer.tokenize(template.end, special=True), tokenizer.end_token][0]
    trie = LabelTrie.from_tokens(template.answers, answers, end)
    if not whole_labels:
        shortened = distinct_prefixes(answers)
        trie = LabelTrie.from_tokens(template.answers, shortened, end)
    if yes_no:
        trie = trie.given_shared_beginnings()
    return PromptTokens(tuple(prefix), tuple(suffix), trie)


def _answer_tokens(
    tokenizer: PromptTokenizer, after: str, suffix: Sequence[int], answer: str
) -> list[int]:
    """Return the tokens of an answer in its place after the prompt."""
    joined = tokenizer.tokenize(after + answer, special=True)
    if joined[: len(suffix)] == list(suffix):
        return joined[len(suffix) :]
    return tokenizer.tokenize(answer, special=False)
