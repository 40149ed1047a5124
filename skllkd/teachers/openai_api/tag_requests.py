"""Requests about all the classes that a text has."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from skllkd._core.classes import Classes
from skllkd.teachers.openai_api.capabilities import Capabilities
from skllkd.teachers.openai_api.chat import ChatRequest, listed_classes
from skllkd.teachers.openai_api.reading import AnswerReader
from skllkd.teachers.openai_api.tag_reading import QuestionsReader, TagReader
from skllkd.teachers.prompting.shortening import Limit
from skllkd.teachers.prompting.template import YES_NO, Message, one_line

#: Tokens of an answer: those around it, and those of each class.
_TOKENS_AROUND, _TOKENS_PER_CLASS = 16, 10


@dataclass(frozen=True)
class TagRequest(ChatRequest):
    """Request about the classes of a text, all in one answer."""

    question = "Which classes?"

    @functools.cached_property
    @override
    def before(self) -> list[Message]:
        task = self.instruction or (
            "Decide for each text which of the classes apply to it: none, one or several."
        )
        example = self._answer(self.classes.words[:1])
        system = (
            f"{task.strip()}\n\nClasses:\n{listed_classes(self.classes, self.codes)}\n\n"
            "Answer in JSON with true or false for the code of each class, such as "
            f"{example}, and nothing else."
        )
        return [{"role": "system", "content": system}, *self.example_turns()]

    @override
    def _answer(self, label: Any) -> str:
        has = {
            code: word in label
            for code, word in zip(self.codes, self.classes.words, strict=True)
        }
        return json.dumps(has)

    @functools.cached_property
    @override
    def reader(self) -> AnswerReader:
        return TagReader(self.classes, self.codes, self.method, self.n_votes)

    @property
    @override
    def is_structured(self) -> bool:
        return True

    @property
    @override
    def answer_tokens(self) -> int:
        return _TOKENS_AROUND + _TOKENS_PER_CLASS * len(self.codes)

    @override
    def response_format(self) -> dict[str, Any]:
        schema = {
            "type": "object",
            "properties": {code: {"type": "boolean"} for code in self.codes},
            "required": list(self.codes),
            "additionalProperties": False,
        }
        named = {"name": "answer", "strict": True, "schema": schema}
        return {"type": "json_schema", "json_schema": named}


@dataclass(frozen=True)
class QuestionsRequest(ChatRequest):
    """Requests about the classes of a text, one for each class."""

    @functools.cached_property
    @override
    def parts(self) -> tuple[ChatRequest, ...]:
        every = self.instruction or "Decide whether the class applies to each text."
        classes = zip(self.classes.words, self.classes.descriptions, strict=True)
        return tuple(
            ChatRequest(
                self.model,
                Classes(YES_NO, ("", "")),
                f"{every.strip()} The class: {one_line(word)}"
                + (f" ({one_line(about)})." if about else "."),
                tuple((text, _said(word, label)) for text, label in self.examples),
                "logprobs",
                0,
                self.limit,
            )
            for word, about in classes
        )

    @functools.cached_property
    @override
    def codes(self) -> tuple[str, ...]:
        return self.classes.words

    @functools.cached_property
    @override
    def before(self) -> list[Message]:
        return [message for part in self.parts for message in part.before]

    @functools.cached_property
    @override
    def reader(self) -> AnswerReader:
        readers = tuple(part.reader for part in self.parts)
        return QuestionsReader(self.classes, self.codes, self.method, 0, readers)

    @property
    @override
    def needs_logprobs(self) -> bool:
        return True

    @property
    @override
    def n_answers(self) -> int:
        return len(self.parts)

    @property
    @override
    def n_least(self) -> int:
        return len(self.parts)

    @override
    def body(self, text: str, server: Capabilities, n: int = 1) -> dict[str, Any]:
        return self.parts[-n].body(text, server)

    @override
    def bodies(self, text: str, server: Capabilities) -> list[dict[str, Any]]:
        return [part.body(text, server) for part in self.parts]

    @override
    def max_tokens(self, server: Capabilities) -> int:
        return self.parts[0].max_tokens(server)


def _said(word: str, label: Collection[str]) -> str:
    """Return whether an example has a class, as a word."""
    return YES_NO[word not in label]


@functools.lru_cache(maxsize=8)
def chat_request(
    model: str,
    classes: Classes,
    instruction: str | None,
    examples: tuple[tuple[str, Any], ...],
    method: str,
    n_votes: int,
    limit: Limit,
) -> ChatRequest:
    """Write a request; the last few are kept, so that their prompts are written once."""
    kind = ChatRequest
    if classes.multilabel:
        kind = QuestionsRequest if method == "questions" else TagRequest
    return kind(model, classes, instruction, examples, method, n_votes, limit)
