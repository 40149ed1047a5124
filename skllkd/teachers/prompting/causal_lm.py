"""Teachers that read the probability of each label from a language model's logits."""

from __future__ import annotations

import dataclasses
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes
from skllkd._core.log_odds import log_prob_of_odds
from skllkd._core.params import check_option
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.metered.dispatch import MaySpend, Scorer, always
from skllkd.teachers.metered.scores import Scores
from skllkd.teachers.metered.teacher import MeteredTeacher
from skllkd.teachers.plan import TokenCount
from skllkd.teachers.prompting.label_trie import LabelTrie
from skllkd.teachers.prompting.shortening import (
    LEFT_OUT,
    Limit,
    TextLimit,
    as_limit,
)
from skllkd.teachers.prompting.template import (
    PromptTemplate,
    as_examples,
    build_template,
    one_line,
)
from skllkd.teachers.prompting.tokens import (
    PromptTokenizer,
    PromptTokens,
    tokenize_prompt,
)

#: Prompts of 16 tokens that a plan times.
_TIMED_PROMPTS = 16


class PromptScorer(Protocol):
    """Scores labels behind many texts in one prompt, whose prefix it has evaluated."""

    def score(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities in nats, of shape (n_bodies, n_labels)."""


class CausalLMTeacher(MeteredTeacher):
    """Base class of the teachers that run a causal language model in this process.

    A back end loads tokenizer and weights, identifies them, and scores token sequences.
    Prompt, truncation, log-probabilities, label mass and token counts come with this class.
    """

    examples: Sequence[tuple[str, Any]]
    instruction: str | None
    chat: bool | str
    max_text_tokens: TextLimit
    whole_labels: bool
    _asks_groups = True
    _is_multilabel = True
    _sort_window = 1024  # decodes are full where neighbours are as long

    @abstractmethod
    def _tokenizer(self) -> PromptTokenizer:
        """Load the tokenizer."""

    @abstractmethod
    def _model(self) -> Any:
        """Load the weights; the result has a `context_length`."""

    @abstractmethod
    def _new_scorer(
        self, model: Any, prompt: PromptTokens, max_body_tokens: int
    ) -> PromptScorer:
        """Return a scorer of continuations of the prompt's prefix."""

    @abstractmethod
    def _model_fingerprint(self) -> dict[str, Any]:
        """Identify back end and weights."""

    @override
    def fingerprint(self, classes: Classes) -> dict[str, Any]:
        template = self._template(self._tokenizer(), classes)
        return {
            **self._model_fingerprint(),
            **dataclasses.asdict(template),
            "whole_labels": bool(self.whole_labels),
            "max_text_tokens": self._limit.as_json(),
        }

    @override
    def score_batch(self, texts: list[str], classes: Classes) -> Scores:
        with self._open_scorer(classes) as score:
            return score(texts)

    @override
    @contextmanager
    def _open_scorer(
        self, classes: Classes, may_spend: MaySpend = always
    ) -> Iterator[Scorer]:
        tokenizer, model = self._tokenizer(), self._model()
        prompt = self._prompt(tokenizer, classes)
        left_out = tokenizer.tokenize(LEFT_OUT, special=False)
        limit = self._limit_within(prompt, len(left_out), model.context_length)
        longest = limit.shortened_length(limit.total + 1, len(left_out))
        scorer = self._new_scorer(model, prompt, longest)
        n_shared = len(prompt.prefix)  # counted with the first text

        def score(texts: list[str]) -> Scores:
            nonlocal n_shared
            whole = [tokenizer.tokenize(one_line(t), special=False) for t in texts]
            bodies = [limit.shorten(tokens, left_out) for tokens in whole]
            log_prob = scorer.score(bodies)
            mass = np.exp(log_prob).sum(axis=1)
            if classes.multilabel:
                log_prob, mass = _of_yes(log_prob)
            n_tokens = np.zeros((len(texts), 2), dtype=np.int64)
            n_tokens[:, 0] = [len(body) + prompt.n_tail for body in bodies]
            n_tokens[0, 0] += n_shared
            n_shared = 0
            return Scores(
                log_prob,
                np.minimum(mass, 1.0),
                n_tokens=n_tokens,
                is_truncated=np.array([len(tokens) > limit.total for tokens in whole]),
            )

        yield score

    @override
    def _count_tokens(self, texts: list[str], classes: Classes) -> TokenCount:
        if not texts:
            return TokenCount(0, 0, "counted")
        tokenizer = self._tokenizer()
        prompt = self._prompt(tokenizer, classes)
        n_left_out = len(tokenizer.tokenize(LEFT_OUT, special=False))
        read = 0
        for text in texts:
            n_tokens = len(tokenizer.tokenize(one_line(text), special=False))
            read += self._limit.shortened_length(n_tokens, n_left_out) + prompt.n_tail
        return TokenCount(len(prompt.prefix) + read, 0, "counted")

    @override
    def _prompt_of(self, text: str, classes: Classes) -> str:
        template = self._template(self._tokenizer(), classes)
        return f"{template.before}{one_line(text)}{template.after}"

    @override
    def _expected_seconds(self, n_calls: int, tokens: TokenCount) -> float | None:
        """Estimate the duration from the speed a batch has on this machine now."""
        if not tokens.input:
            return None
        one_label = LabelTrie.from_tokens(["a"], [[0]], end=0)
        prompt, n_body = PromptTokens((0,), (0,), one_label), 15
        scorer = self._new_scorer(self._model(), prompt, n_body)
        batch = [[0] * n_body] * _TIMED_PROMPTS
        scorer.score([[0]] * _TIMED_PROMPTS)  # touches every weight
        start = time.perf_counter()
        scorer.score(batch)
        n_timed = len(batch) * (n_body + prompt.n_tail)
        return tokens.input * (time.perf_counter() - start) / n_timed

    @override
    def _check_parameters(self, classes: Classes) -> None:
        as_limit(self.max_text_tokens, "max_text_tokens")
        check_option(self.chat, "chat", ["auto", True, False])
        check_option(self.whole_labels, "whole_labels", [True, False])

    def _prompt(self, tokenizer: PromptTokenizer, classes: Classes) -> PromptTokens:
        """Tokenize the prompt."""
        template = self._template(tokenizer, classes)
        return tokenize_prompt(
            tokenizer,
            template,
            whole_labels=bool(self.whole_labels),
            yes_no=classes.multilabel,
        )

    def _template(self, tokenizer: PromptTokenizer, classes: Classes) -> PromptTemplate:
        """Build the prompt, in the model's chat template if it is to be used."""
        if self.chat is True and not tokenizer.has_chat_template:
            raise InvalidParameterError(
                "`chat=True` needs a chat template, and the model has none. Use "
                "chat=False for a plain prompt."
            )
        uses_chat = self.chat and tokenizer.has_chat_template
        examples = as_examples(self.examples, classes)
        chat_template = tokenizer.render_chat if uses_chat else None
        return build_template(classes, self.instruction, examples, chat_template)

    @property
    def _limit(self) -> Limit:
        """The longest text that is sent."""
        return as_limit(self.max_text_tokens, "max_text_tokens")

    def _limit_within(
        self, prompt: PromptTokens, n_left_out: int, context_length: int
    ) -> Limit:
        """Return the longest text that is sent and fits into the model's window."""
        n_framed = len(prompt.prefix) + prompt.n_tail
        limit = self._limit
        left = context_length - n_framed - (n_left_out if limit.tail else 0)
        if left < 1:
            raise InvalidParameterError(
                f"the prompt without a text has {n_framed} tokens and leaves no room in "
                f"the model's window of {context_length}. Use fewer or shorter "
                "`examples`."
            )
        return limit.within(left)


def _of_yes(log_prob: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the log-probability of yes beside no for each class, and the mass of both.

    The answers come in pairs, yes first. The mass is the mean over the classes.
    """
    yes, no = log_prob[:, ::2], log_prob[:, 1::2]
    mass: FloatArray = (np.exp(yes) + np.exp(no)).mean(axis=1)
    return log_prob_of_odds(yes - no), mass
