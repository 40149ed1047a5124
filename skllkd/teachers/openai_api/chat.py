"""Requests about the class of a text, and the results read from the answers."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Sequence
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
    LISTS_NO_CODE,
    NAMES_NO_CLASS,
)
from skllkd.teachers.openai_api.capabilities import (
    Capabilities,
    form_fault,
    listed_tokens,
)
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.prompting.template import Message, one_line

#: Maximum number of tokens of an answer: a code or a class name, perhaps in JSON.
_ANSWER_TOKENS = 32
#: The same for a model that thinks first.
_REASONING_TOKENS = 4096
#: Fault of an answer without the log-probabilities that were asked for.
NO_LOGPROBS = "the answer came without log-probabilities"
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
            body |= {"logprobs": True, "top_logprobs": server.top_logprobs}
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
        if server.reasons:
            return _REASONING_TOKENS
        return 1 if self.reads_first_token else _ANSWER_TOKENS

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

    def fault(self, completion: Any) -> str:
        """Describe the fault in the form of a completion, "" for none."""
        fault = form_fault(completion)
        if fault or not self.needs_logprobs:
            return fault
        choice = completion["choices"][0]
        if choice["message"].get("content") and not listed_tokens(choice):
            return NO_LOGPROBS
        return ""

    def read(self, choices: Sequence[dict[str, Any]]) -> ChatResult:
        """Read the answers to `bodies`, which are without faults."""
        if self.reads_first_token:
            return self._from_top(choices[0])
        if self.method == "votes":
            return self._from_votes(choices[: self.n_votes])
        column = self.chosen(choices[0])
        if column is None:
            return self.no_result(_said(choices[0]))
        label = [self.classes.names[column]]
        if self.method == "label":
            row = log_prob_of_output(label, 1, self.classes)[0]
            return ChatResult(row)
        confidence = _probability(choices[0], self.codes[column])
        row = log_prob_of_output((label, [confidence]), 1, self.classes)[0]
        return ChatResult(row)

    def no_result(self, reason: str, label_mass: float = float("nan")) -> ChatResult:
        """Make the result of an answer that names no class."""
        return ChatResult(np.full(len(self.codes), np.nan), label_mass, reason)

    def chosen(self, choice: dict[str, Any]) -> int | None:
        """Find the column of the class that an answer names, alone; None for none."""
        text = choice["message"].get("content") or ""
        text = text.rpartition("</think>")[2].strip()
        if text.startswith("{"):
            try:
                text = str(json.loads(text)["class"])
            except (ValueError, KeyError, TypeError):
                return None
        said = text.strip(_AROUND)
        if said in self.codes:
            return self.codes.index(said)
        pairs = zip(self.codes, self.classes.words, strict=True)
        for column, (code, word) in enumerate(pairs):
            name = one_line(word).casefold()
            if one_line(said).casefold() in (name, f"{code.casefold()}: {name}"):
                return column
        return None

    def _from_votes(self, choices: Sequence[dict[str, Any]]) -> ChatResult:
        """Compute the share of the votes for each class, with one vote shared by all."""
        named = [self.chosen(choice) for choice in choices]
        valid = [column for column in named if column is not None]
        if not valid:
            return self.no_result(_said(choices[0]))
        n_classes = len(self.codes)
        votes = np.bincount(valid, minlength=n_classes)
        share = (votes + 1 / n_classes) / (len(valid) + 1)
        return ChatResult(np.log(share), len(valid) / len(named))

    def _from_top(self, choice: dict[str, Any]) -> ChatResult:
        """Read the probabilities of the codes among the likeliest tokens.

        A class that is not among them has at most the probability of the least likely
        token listed, and shares with the others what the list leaves: it is given the
        smaller of the two, an upper bound.
        """
        listed = listed_tokens(choice)
        mass = np.zeros(len(self.codes))
        for token, probability in listed:
            code = token.strip(_SPACES)
            if code in self.codes:
                mass[self.codes.index(code)] += probability
        if not mass.any():
            if not listed:
                return self.no_result(ENDED)
            return self.no_result(f"{LISTS_NO_CODE}: {_said(choice)}", 0.0)
        label_mass = min(float(mass.sum()), 1.0)
        absent = mass == 0
        if absent.any():
            left = 1 - sum(probability for _, probability in listed)
            smallest = min(probability for _, probability in listed)
            mass[absent] = max(_LEAST, min(smallest, left / absent.sum()))
        return ChatResult(np.log(mass), label_mass)


#: Requests, of which the last few are kept: their prompts are written once.
chat_request = functools.lru_cache(maxsize=8)(ChatRequest)


def neutral(text: str) -> str:
    """Break the marks of turns in a text by a space: "< |im_end| >" for "<|im_end|>"."""
    return _MARKS.sub(lambda mark: f"{mark[0]} ", text)


def _user(text: str) -> Message:
    """Write the message that asks about a text on one line."""
    sound = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot go
    return {"role": "user", "content": f"Text: {sound}\nClass?"}


def _said(choice: dict[str, Any]) -> str:
    """Quote an answer that names none of the classes, whole: a part escapes masking."""
    text = one_line(choice["message"].get("content") or "")
    if text:
        return f"{NAMES_NO_CLASS}: {text!r}"
    if choice["message"].get("refusal"):
        return DECLINED
    if choice.get("finish_reason") == "length":
        return CUT_SHORT
    return ENDED


def _probability(choice: dict[str, Any], code: str) -> float:
    """Compute the probability of a generated code: the product over its tokens."""
    total, written = 0.0, ""
    for entry in choice["logprobs"]["content"]:
        written += str(entry["token"])
        total += float(entry["logprob"])
        if written.strip(_SPACES + _AROUND) == code:
            break
    return min(1.0, math.exp(min(total, 0.0)))
