"""What an OpenAI-compatible server is asked about a text, and how its answer is read."""

from __future__ import annotations

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
from skllkd.teachers.openai_api.capabilities import Dialect, form_fault, listed_tokens
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.prompting.template import Message, one_line

#: The most tokens an answer may take: a code or a class name, and that in JSON.
_PLAIN_TOKENS, _JSON_TOKENS = 16, 32
#: And those a model that thinks first is given.
REASONING_TOKENS = 4096
#: What some tokenizers write for a space.
_SPACES = " \t\n▁Ġ"
_AROUND = " \t\n\"'`*().,:;[]"
#: The smallest probability a class outside the listed tokens is given.
_LEAST = 1e-12
#: What models and their templates mark turns with. Some servers read it as such in the
#: middle of a text.
_MARKS = re.compile(
    r"<(?=[|\uff5c])|(?<=[|\uff5c])(?=>)|(?<=<)(?=/?s>)|(?<=<)(?=(?:start|end)_of_\w+>)"
    r"|(?<=<)(?=(?:bos|eos|pad|unk|mask|think)>)|(?<=\[)(?=/?INST\])|(?<=<)(?=</?SYS>>)"
)


class Reading(NamedTuple):
    """What the completions about a text say.

    Parameters
    ----------
    log_prob : ndarray of shape (n_classes,) or None
        Raw log-probabilities in nats; None where no class was named.
    label_mass : float
        The probability on any class; NaN where unknown.
    refusal : str
        Why no class was named.
    """

    log_prob: FloatArray | None
    label_mass: float = float("nan")
    refusal: str = ""


def answer_codes(words: Sequence[str]) -> tuple[str, ...]:
    """Return what the model writes for each class: one token where that can be.

    Parameters
    ----------
    words : sequence of str
        The class names.

    Returns
    -------
    tuple of str
        The names themselves where they are single characters; letters from A for up to
        26 classes, unless one of them is a class's name; else numbers, those that are
        the names or from 1.
    """
    longest = 1 if len(words) <= len(ascii_uppercase) else 3
    if all(re.fullmatch(f"[A-Za-z]|[0-9]{{1,{longest}}}", word) for word in words):
        return tuple(words)
    letters = tuple(ascii_uppercase[: len(words)])
    if len(letters) == len(words) and not {*letters} & {word.upper() for word in words}:
        return letters
    return tuple(str(number + 1) for number in range(len(words)))


@dataclass(frozen=True)
class Questions:
    """The questions about the class of a text.

    Parameters
    ----------
    model : str
        The model's name on the server.
    classes : Classes
        The classes.
    codes : tuple of str
        What the model writes for each.
    before : list of dict
        The messages before the one with the text.
    method : {"logprobs", "votes", "label"}
        What is made of the answers.
    n_votes : int
        How many answers are sampled with "votes".
    max_text_chars : int
        Longer texts are cut.
    """

    model: str
    classes: Classes
    codes: tuple[str, ...]
    before: list[Message]
    method: str
    n_votes: int
    max_text_chars: int

    @classmethod
    def about(
        cls,
        model: str,
        classes: Classes,
        instruction: str | None,
        examples: Sequence[tuple[str, str]],
        method: str,
        n_votes: int,
        max_text_chars: int,
    ) -> Questions:
        """Return the questions, with the messages that come first written out.

        Parameters
        ----------
        model : str
            The model's name.
        classes : Classes
            The classes and their descriptions.
        instruction : str or None
            The task in words.
        examples : sequence of (str, str)
            Texts and the class word of each.
        method : str
            What is made of the answers.
        n_votes : int
            How many are sampled.
        max_text_chars : int
            Longer texts are cut.

        Returns
        -------
        Questions
            The questions.
        """
        codes = answer_codes(classes.words)
        lines = [
            f"{code}: {one_line(word)}" + (f" ({one_line(about)})" if about else "")
            for code, word, about in zip(
                codes, classes.words, classes.descriptions, strict=True
            )
        ]
        task = (instruction or "Decide which class each text belongs to.").strip()
        listed = "\n".join(lines)
        system = (
            f"{task}\n\nClasses:\n{listed}\n\nAnswer with the code of the class only, "
            f"{codes[0]} to {codes[-1]}, and nothing else."
        )
        before = [{"role": "system", "content": system}]
        code_of = dict(zip(classes.words, codes, strict=True))
        for text, word in examples:
            before.append(_user(text))
            before.append({"role": "assistant", "content": code_of[word]})
        single = all(len(code) == 1 for code in codes)
        return cls(
            model,
            classes,
            codes,
            before,
            method if method != "logprobs" or single else "code logprobs",
            n_votes,
            max_text_chars,
        )

    def is_cut(self, text: str) -> bool:
        """Return whether a text is longer than what is asked about.

        Parameters
        ----------
        text : str
            The text.

        Returns
        -------
        bool
            Whether it is cut.
        """
        return len(one_line(text)) > self.max_text_chars

    def bodies(self, text: str, dialect: Dialect) -> list[dict[str, Any]]:
        """Return the requests about a text.

        Parameters
        ----------
        text : str
            The text.
        dialect : Dialect
            What the server takes.

        Returns
        -------
        list of dict
            One, or one a vote where the server samples one answer at a time.
        """
        message = _user(neutral(one_line(text)[: self.max_text_chars]))
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [*self.before, message],
        }
        body[dialect.limit_name] = self.max_tokens(dialect)
        if dialect.takes_temperature:
            body["temperature"] = 1.0 if self.method == "votes" else 0.0
        if "logprobs" in self.method:
            body |= {"logprobs": True, "top_logprobs": dialect.top_logprobs}
        if self.method == "label" and dialect.takes_schema:
            body["response_format"] = self.response_format()
        if self.method != "votes":
            return [body]
        if dialect.samples_several:
            return [body | {"n": self.n_votes}]
        return [body] * self.n_votes

    def max_tokens(self, dialect: Dialect) -> int:
        """Return how many tokens an answer may take.

        Parameters
        ----------
        dialect : Dialect
            What the server takes.

        Returns
        -------
        int
            The limit.
        """
        if dialect.reasons:
            return REASONING_TOKENS
        if self.method == "logprobs":
            return 1
        if self.method == "label" and dialect.takes_schema:
            return _JSON_TOKENS
        return _PLAIN_TOKENS

    def response_format(self) -> dict[str, Any]:
        """Return the structured output that allows the codes only.

        Returns
        -------
        dict
            A JSON schema, as the API wants it.
        """
        schema = {
            "type": "object",
            "properties": {"class": {"type": "string", "enum": list(self.codes)}},
            "required": ["class"],
            "additionalProperties": False,
        }
        named = {"name": "answer", "strict": True, "schema": schema}
        return {"type": "json_schema", "json_schema": named}

    def fault(self, completion: Any) -> str:
        """Return what is wrong with the form of a completion.

        Parameters
        ----------
        completion : object
            The server's answer, parsed.

        Returns
        -------
        str
            The fault, "" for none.
        """
        fault = form_fault(completion)
        if fault or "logprobs" not in self.method:
            return fault
        choice = completion["choices"][0]
        if choice["message"].get("content") and not listed_tokens(choice):
            return "the answer came without log-probabilities"
        return ""

    def read(self, completions: Sequence[dict[str, Any]]) -> Reading:
        """Return what completions without faults say.

        Parameters
        ----------
        completions : sequence of dict
            The answers to `bodies`.

        Returns
        -------
        Reading
            The log-probabilities of the classes, or why there are none.
        """
        choices = [choice for answer in completions for choice in answer["choices"]]
        if self.method == "logprobs":
            return self._from_top(choices[0])
        if self.method == "votes":
            return self._from_votes(choices[: self.n_votes])
        place = self.chosen(choices[0])
        if place is None:
            return Reading(None, refusal=_said(choices[0]))
        label = [self.classes.names[place]]
        if self.method == "label":
            row = log_prob_of_output(label, 1, self.classes)[0]
            return Reading(row)
        confidence = _probability(choices[0], self.codes[place])
        row = log_prob_of_output((label, [confidence]), 1, self.classes)[0]
        return Reading(row)

    def chosen(self, choice: dict[str, Any]) -> int | None:
        """Return the class that an answer names, and nothing else beside it.

        Parameters
        ----------
        choice : dict
            The answer.

        Returns
        -------
        int or None
            Its place; None if it names none.
        """
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
        for place, (code, word) in enumerate(pairs):
            name = one_line(word).casefold()
            if one_line(said).casefold() in (name, f"{code.casefold()}: {name}"):
                return place
        return None

    def _from_votes(self, choices: Sequence[dict[str, Any]]) -> Reading:
        """Return the share of the votes for each class, with one vote shared by all."""
        places = [self.chosen(choice) for choice in choices]
        valid = [place for place in places if place is not None]
        if not valid:
            return Reading(None, refusal=f"of {len(places)} votes: {_said(choices[0])}")
        n_classes = len(self.codes)
        votes = np.bincount(valid, minlength=n_classes)
        share = (votes + 1 / n_classes) / (len(valid) + 1)
        return Reading(np.log(share), len(valid) / len(places))

    def _from_top(self, choice: dict[str, Any]) -> Reading:
        """Return the probabilities of the codes among the likeliest tokens.

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
                return Reading(None, refusal="the model ended without an answer")
            n_listed = len(listed)
            why = f"none of the answer codes is among the {n_listed} likeliest tokens"
            return Reading(None, 0.0, f"{why}; {_said(choice)}")
        label_mass = min(float(mass.sum()), 1.0)
        absent = mass == 0
        if absent.any():
            left = 1 - sum(probability for _, probability in listed)
            smallest = min(probability for _, probability in listed)
            mass[absent] = max(_LEAST, min(smallest, left / absent.sum()))
        return Reading(np.log(mass), label_mass)


def neutral(text: str) -> str:
    """Return a text in which no mark of a turn is one: a space breaks them.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
        The text with "< |im_end| >" for "<|im_end|>", and other models' likewise.
    """
    return _MARKS.sub(lambda mark: f"{mark[0]} ", text)


def _user(text: str) -> Message:
    """Return the message that asks about a text on one line."""
    sound = text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot go
    return {"role": "user", "content": f"Text: {sound}\nClass?"}


def _said(choice: dict[str, Any]) -> str:
    """Return what an answer says that is none of the classes."""
    text = one_line(choice["message"].get("content") or "")
    if text:
        shown = text if len(text) <= 40 else text[:40] + "..."
        return f"the model answered {shown!r}, which is none of the classes"
    if choice["message"].get("refusal"):
        return "the model declined to answer"
    if choice.get("finish_reason") == "length":
        return "the model did not come to an answer within the tokens it has"
    return "the model ended without an answer"


def _probability(choice: dict[str, Any], code: str) -> float:
    """Return the probability of a generated code: the product over its tokens."""
    total, written = 0.0, ""
    for entry in choice["logprobs"]["content"]:
        written += str(entry["token"])
        total += float(entry["logprob"])
        if written.strip(_SPACES + _AROUND) == code:
            break
    return min(1.0, math.exp(min(total, 0.0)))
