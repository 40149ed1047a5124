"""Requests about the class of a text, and the results read from the answers."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, NamedTuple

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes
from skllkd.teachers.labels import (
    CUT_SHORT,
    DECLINED,
    ENDED,
    FILTERED,
    LISTS_NO_CODE,
    NAMES_NO_CLASS,
)
from skllkd.teachers.openai_api.capabilities import REASONING_TOKENS, Capabilities
from skllkd.teachers.openai_api.completion import Answer, Completion
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.prompting.template import Message, one_line

#: Maximum number of tokens of an answer: a code or a class name, perhaps in JSON.
_ANSWER_TOKENS = 32
#: Faults of an answer without the log-probabilities that were asked for.
NO_LOGPROBS = "the answer came without log-probabilities"
THINKS = "it is a reasoning model, which gives no log-probabilities of its answer"
#: Spaces as tokenizers write them.
_SPACES = " \t\n▁Ġ"
_AROUND = " \t\n\"'`*().,:;[]"
#: The smallest probability a class outside the listed tokens is given.
_LEAST = 1e-12
#: Marks of turns in chat templates, which some servers read as such within a text.
_MARKS = re.compile(
    r"<(?=[|\uff5c])|(?<=[|\uff5c])(?=>)|(?<=<)(?=/?s>)|(?<=<)(?=(?:start|end)_of_\w+>)"
    r"|(?<=<)(?=(?:bos|eos|pad|unk|mask|think)>)|(?<=\[)(?=/?INST\])|(?<=<)(?=</?SYS>>)"
)


class ChatResult(NamedTuple):
    """Log-probabilities of the classes and their mass, or the reason for having none."""

    log_prob: FloatArray  # of NaN for none
    label_mass: float = float("nan")
    reason: str = ""


def answer_codes(words: Sequence[str]) -> tuple[str, ...]:
    """Choose a code for each class, one token where that can be.

    The names themselves where they are single characters; letters from A for up to 26
    classes, unless one of them is a class's name; else numbers.
    """
    longest = 1 if len(words) <= len(ascii_uppercase) else 3
    if all(re.fullmatch(f"[A-Za-z]|[0-9]{{1,{longest}}}", word) for word in words):
        return tuple(words)
    letters = tuple(ascii_uppercase[: len(words)])
    if len(letters) == len(words) and not {*letters} & {word.upper() for word in words}:
        return letters
    return tuple(str(number + 1) for number in range(len(words)))


@dataclass(frozen=True)
class ChatRequest:
    """Request about the class of a text, without the text."""

    model: str
    classes: Classes
    instruction: str | None
    examples: tuple[tuple[str, str], ...]
    method: str
    n_votes: int
    max_text_chars: int

    @functools.cached_property
    def codes(self) -> tuple[str, ...]:
        """Codes of the classes."""
        return answer_codes(self.classes.words)

    @functools.cached_property
    def before(self) -> list[Message]:
        """Messages that come before the one with the text."""
        codes, classes = self.codes, self.classes
        listed = "\n".join(
            f"{code}: {one_line(word)}" + (f" ({one_line(about)})" if about else "")
            for code, word, about in zip(
                codes, classes.words, classes.descriptions, strict=True
            )
        )
        task = (self.instruction or "Decide which class each text belongs to.").strip()
        system = (
            f"{task}\n\nClasses:\n{listed}\n\nAnswer with the code of the class only, "
            f"{codes[0]} to {codes[-1]}, and nothing else."
        )
        before = [{"role": "system", "content": system}]
        code_of = dict(zip(classes.words, codes, strict=True))
        for text, word in self.examples:
            before.append(_user(text))
            before.append({"role": "assistant", "content": code_of[word]})
        return before

    @property
    def reads_first_token(self) -> bool:
        """Whether the first token alone tells the class, with its probability."""
        return self.needs_logprobs and all(len(code) == 1 for code in self.codes)

    @property
    def needs_logprobs(self) -> bool:
        """Whether an answer needs the log-probabilities of its tokens."""
        return self.method == "logprobs"

    @property
    def n_answers(self) -> int:
        """Number of answers that are needed for a text."""
        return self.n_votes or 1

    def is_truncated(self, text: str) -> bool:
        """Return whether a text is longer than `max_text_chars`."""
        return len(one_line(text)) > self.max_text_chars

    def body(self, text: str, server: Capabilities, n: int = 1) -> dict[str, Any]:
        """Write the body of a request, for `n` answers where the server samples several."""
        message = _user(neutral(one_line(text)[: self.max_text_chars]))
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [*self.before, message],
        }
        body[server.limit_name] = self.max_tokens(server)
        if server.takes_temperature:
            body["temperature"] = 1.0 if self.method == "votes" else 0.0
        if self.needs_logprobs:
            body["logprobs"] = True
            if server.top_logprobs:
                body["top_logprobs"] = server.top_logprobs
        if self.method == "label" and server.takes_schema:
            body["response_format"] = self.response_format()
        if n > 1 and server.takes_n:
            body["n"] = n
        return body

    def bodies(self, text: str, server: Capabilities) -> list[dict[str, Any]]:
        """Write the bodies of all requests about a text."""
        body = self.body(text, server, self.n_answers)
        return [body] if "n" in body else [body] * self.n_answers

    def max_tokens(self, server: Capabilities) -> int:
        """Limit the tokens of an answer."""
        wanted = 1 if self.reads_first_token else _ANSWER_TOKENS
        if server.reasons:
            wanted = REASONING_TOKENS
        return min(max(wanted, server.least_tokens), server.most_tokens)

    def response_format(self) -> dict[str, Any]:
        """Describe the structured output that allows the codes only."""
        schema = {
            "type": "object",
            "properties": {"class": {"type": "string", "enum": list(self.codes)}},
            "required": ["class"],
            "additionalProperties": False,
        }
        named = {"name": "answer", "strict": True, "schema": schema}
        return {"type": "json_schema", "json_schema": named}

    def fault(self, completion: Completion) -> str:
        """Describe why a completion is not to be read, "" if it is."""
        if not completion.answers:
            return "the body is no chat completion"
        answer = completion.answers[0]
        if not self.needs_logprobs or _is_withheld(answer):
            return ""
        has_numbers = any(token.probabilities() for token in answer.tokens[:1])
        is_thinking = answer.is_cut and not answer.text and not has_numbers
        if answer.thinks or is_thinking:
            return THINKS
        return NO_LOGPROBS if answer.text and not has_numbers else ""

    def read(self, answers: Sequence[Answer]) -> ChatResult:
        """Read the answers to `bodies`, which are without faults."""
        if self.method == "votes":
            return self._from_votes(answers[: self.n_votes])
        answer = answers[0]
        if _is_withheld(answer):
            return self.no_result(_said(answer))
        if self.reads_first_token:
            return self._from_top(answer)
        column = self.chosen(answer.text)
        if column is None:
            return self.no_result(_said(answer))
        output: Any = [self.classes.names[column]]
        if self.method == "logprobs":
            output = output, [_probability(answer, self.codes[column])]
        return ChatResult(log_prob_of_output(output, 1, self.classes)[0])

    def no_result(self, reason: str, label_mass: float = float("nan")) -> ChatResult:
        """Make the result of an answer that names no class."""
        return ChatResult(np.full(len(self.codes), np.nan), label_mass, reason)

    def chosen(self, text: str) -> int | None:
        """Find the column of the class that an answer names, alone; None for none."""
        said = one_line(_field(text))
        words = [one_line(word) for word in self.classes.words]
        both = [f"{code}: {word}" for code, word in zip(self.codes, words, strict=True)]
        for normal in (_bare, _folded):  # what differs in case alone is told apart
            named = {
                column
                for spelled in (self.codes, words, both)
                for column, name in enumerate(spelled)
                if normal(name) == normal(said) != ""
            }
            if len(named) == 1:
                return named.pop()
        return None

    def _from_votes(self, answers: Sequence[Answer]) -> ChatResult:
        """Compute the share of the votes for each class, with one vote shared by all."""
        named = [self.chosen(answer.text) for answer in answers]
        valid = [column for column in named if column is not None]
        if not valid:
            return self.no_result(_said(answers[0]))
        n_classes = len(self.codes)
        votes = np.bincount(valid, minlength=n_classes)
        share = (votes + 1 / n_classes) / (len(valid) + 1)
        return ChatResult(np.log(share), len(valid) / len(named))

    def _from_top(self, answer: Answer) -> ChatResult:
        """Read the probabilities of the codes among the likeliest tokens.

        A class that is not among them has at most the probability of the least likely
        token listed, and shares with the others what the list leaves: it is given the
        smaller of the two, an upper bound, and less than the likeliest class.
        """
        listed = answer.tokens[0].probabilities() if answer.tokens else {}
        if not listed:
            return self.no_result(_said(answer))
        mass = self._mass(listed, str) or self._mass(listed, str.casefold)
        if not mass:
            return self.no_result(f"{LISTS_NO_CODE}: {_said(answer)}", 0.0)
        smallest = min(filter(None, listed.values()))
        left = (1 - sum(listed.values())) / max(1, len(self.codes) - len(mass))
        bound = max(_LEAST, min(smallest, left, 0.999 * max(mass.values())))
        row = np.array([mass.get(column, bound) for column in range(len(self.codes))])
        return ChatResult(np.log(row), min(sum(mass.values()), 1.0))

    def _mass(
        self, listed: Mapping[str, float], fold: Callable[[str], str]
    ) -> dict[int, float]:
        """Add up the probabilities of the tokens that are a code, by its column."""
        folded = [fold(code) for code in self.codes]
        mass: dict[int, float] = {}
        for token, probability in listed.items():
            code = fold(token.strip(_SPACES))
            if probability and folded.count(code) == 1:
                column = folded.index(code)
                mass[column] = mass.get(column, 0.0) + probability
        return mass


#: Requests, of which the last few are kept: their prompts are written once.
chat_request = functools.lru_cache(maxsize=8)(ChatRequest)


def neutral(text: str) -> str:
    """Break the marks of turns in a text by a space: "< |im_end| >" for "<|im_end|>"."""
    return _MARKS.sub(lambda mark: f"{mark[0]} ", text)


def _user(text: str) -> Message:
    """Write the message that asks about a text on one line."""
    sound = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot go
    return {"role": "user", "content": f"Text: {sound}\nClass?"}


def _is_withheld(answer: Answer) -> bool:
    """Tell an answer that the model or a filter of the server kept back."""
    return answer.is_filtered or (answer.is_declined and not answer.text)


def _said(answer: Answer) -> str:
    """Give the reason for having no class from an answer, which is quoted whole."""
    if answer.is_filtered:
        return FILTERED
    if answer.text:
        return f"{NAMES_NO_CLASS}: {one_line(answer.text)!r}"
    if answer.is_declined:
        return DECLINED
    return CUT_SHORT if answer.is_cut else ENDED


def _bare(text: str) -> str:
    """Strip what models put around a name, unless it is all there is."""
    return text.strip(_AROUND) or text.strip()


def _folded(text: str) -> str:
    """Bring a name to a form without case and what is put around it."""
    return _bare(text).casefold()


def _field(text: str) -> str:
    """Take the class out of an answer in JSON; other answers stay as they are."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        fields = json.loads(found[0]) if found else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return text
    value = fields.get("class", next(iter(fields.values()), None))
    return str(value) if isinstance(value, (str, int)) else text


def _probability(answer: Answer, code: str) -> float:
    """Compute the probability of a generated code: the product over its tokens.

    It is 0 where a number is not known, for a label without any confidence.
    """
    total, written = 1.0, ""
    for token in answer.tokens:
        written += token.text
        total *= token.probabilities().get(token.text, 0.0)
        if written.strip(_SPACES + _AROUND) == code:
            break
    return total
