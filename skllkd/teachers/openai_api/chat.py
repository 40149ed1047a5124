"""Requests about the class of a text."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, ClassVar

from skllkd._core.classes import Classes
from skllkd.teachers.openai_api.capabilities import REASONING_TOKENS, Capabilities
from skllkd.teachers.openai_api.reading import AnswerReader
from skllkd.teachers.prompting.shortening import LEFT_OUT, Limit
from skllkd.teachers.prompting.template import Message, one_line

#: Maximum number of tokens of an answer: a code or a class name, perhaps in JSON.
_ANSWER_TOKENS = 32
#: Marks of turns in chat templates, which some servers read as such within a text.
_MARKS = re.compile(
    r"<(?=[|\uff5c])|(?<=[|\uff5c])(?=>)|(?<=<)(?=/?s>)|(?<=<)(?=(?:start|end)_of_\w+>)"
    r"|(?<=<)(?=(?:bos|eos|pad|unk|mask|think)>)|(?<=\[)(?=/?INST\])|(?<=<)(?=</?SYS>>)"
)


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
    examples: tuple[tuple[str, Any], ...]
    method: str
    n_votes: int
    limit: Limit  # of a text's characters
    #: The end of the message with a text.
    question: ClassVar[str] = "Class?"

    @functools.cached_property
    def codes(self) -> tuple[str, ...]:
        """Codes of the classes."""
        return answer_codes(self.classes.words)

    @functools.cached_property
    def before(self) -> list[Message]:
        """Messages that come before the one with the text."""
        codes = self.codes
        task = (self.instruction or "Decide which class each text belongs to.").strip()
        system = (
            f"{task}\n\nClasses:\n{listed_classes(self.classes, codes)}\n\nAnswer with "
            f"the code of the class only, {codes[0]} to {codes[-1]}, and nothing else."
        )
        return [{"role": "system", "content": system}, *self.example_turns()]

    def example_turns(self) -> list[Message]:
        """Write the examples as earlier turns."""
        turns: list[Message] = []
        for text, label in self.examples:
            turns.append(self._user(text))
            turns.append({"role": "assistant", "content": self._answer(label)})
        return turns

    def _answer(self, label: Any) -> str:
        """Write the answer to an example."""
        return self.codes[self.classes.words.index(label)]

    def _user(self, text: str) -> Message:
        """Write the message that asks about a text on one line."""
        sound = text.encode("utf-8", "replace").decode()  # half a pair cannot go
        return {"role": "user", "content": f"Text: {sound}\n{self.question}"}

    @property
    def parts(self) -> tuple[ChatRequest, ...]:
        """Requests of one answer, or of several to the same messages, in this one."""
        return (self,)

    @functools.cached_property
    def reader(self) -> AnswerReader:
        """Reader of the answers."""
        return AnswerReader(self.classes, self.codes, self.method, self.n_votes)

    @property
    def needs_logprobs(self) -> bool:
        """Whether an answer needs the log-probabilities of its tokens."""
        return self.method == "logprobs"

    @property
    def n_answers(self) -> int:
        """Number of answers that are needed for a text."""
        return self.n_votes or 1

    @property
    def n_least(self) -> int:
        """Number of answers without which a text cannot be labelled."""
        return 1

    @property
    def is_structured(self) -> bool:
        """Whether structured output is asked for, where the server has it."""
        return self.method == "label"

    @property
    def answer_tokens(self) -> int:
        """Maximum number of tokens of an answer."""
        return 1 if self.reader.reads_first_token else _ANSWER_TOKENS

    def is_truncated(self, text: str) -> bool:
        """Return whether a text is longer than the limit."""
        return len(one_line(text)) > self.limit.total

    def body(self, text: str, server: Capabilities, n: int = 1) -> dict[str, Any]:
        """Write the body of a request, for `n` answers where the server samples several."""
        message = self._user(neutral(self.limit.shorten(one_line(text), LEFT_OUT)))
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
        if self.is_structured and server.takes_schema:
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
        wanted = self.answer_tokens
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


def listed_classes(classes: Classes, codes: Sequence[str]) -> str:
    """List the classes with their codes and descriptions, a line for each."""
    return "\n".join(
        f"{code}: {one_line(word)}" + (f" ({one_line(about)})" if about else "")
        for code, word, about in zip(
            codes, classes.words, classes.descriptions, strict=True
        )
    )


def neutral(text: str) -> str:
    """Break the marks of turns in a text by a space: "< |im_end| >" for "<|im_end|>"."""
    return _MARKS.sub(lambda mark: f"{mark[0]} ", text)
