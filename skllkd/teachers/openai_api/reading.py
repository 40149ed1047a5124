"""Reading of answers: the class that one names, and its probability."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from skllkd.teachers.openai_api.completion import Answer, Completion
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.prompting.template import one_line

#: Faults of an answer without the log-probabilities that were asked for.
NO_LOGPROBS = "the answer came without log-probabilities"
THINKS = "it is a reasoning model, which gives no log-probabilities of its answer"
#: Spaces as tokenizers write them.
_SPACES = " \t\n▁Ġ"
_AROUND = " \t\n\"'`*().,:;[]"
#: The smallest probability a class outside the listed tokens is given.
_LEAST = 1e-12


class ChatResult(NamedTuple):
    """Log-probabilities of the classes and their mass, or the reason for having none."""

    log_prob: FloatArray  # of NaN for none
    label_mass: float = float("nan")
    reason: str = ""


@dataclass(frozen=True)
class AnswerReader:
    """Reader of the answers about some classes, each of which has a code."""

    classes: Classes
    codes: tuple[str, ...]
    method: str
    n_votes: int

    @property
    def reads_first_token(self) -> bool:
        """Whether the first token alone tells the class, with its probability."""
        return self.method == "logprobs" and all(len(code) == 1 for code in self.codes)

    def fault(self, completion: Completion) -> str:
        """Describe why a completion is not to be read, "" if it is."""
        if not completion.answers:
            return "the body is no chat completion"
        answer = completion.answers[0]
        if answer.broken_off:
            return f"the server broke off (finish_reason {answer.broken_off!r})"
        if self.method != "logprobs" or is_withheld(answer):
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
        if is_withheld(answer):
            return self.no_result(reason_of(answer))
        if self.reads_first_token:
            return self._from_top(answer)
        column = self.chosen(answer.text)
        if column is None:
            return self.no_result(reason_of(answer))
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
        for normal in (_bare, folded):  # what differs in case alone is told apart
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
            return self.no_result(reason_of(answers[0]))
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
            return self.no_result(reason_of(answer))
        mass = self._mass(listed, str) or self._mass(listed, str.casefold)
        if not mass:
            return self.no_result(f"{LISTS_NO_CODE}: {reason_of(answer)}", 0.0)
        n_absent = len(self.codes) - len(mass)
        bound = bound_of_absent(listed, n_absent, max(mass.values()))
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


def bound_of_absent(
    listed: Mapping[str, float], n_absent: int, likeliest: float
) -> float:
    """Return the most that an answer which is not among the listed tokens can have.

    It is no likelier than the least likely token listed, and the absent ones share the
    probability that the list leaves; it is less likely than the likeliest answer.
    """
    smallest = min(filter(None, listed.values()))
    left = (1 - sum(listed.values())) / max(1, n_absent)
    return max(_LEAST, min(smallest, left, 0.999 * likeliest))


def is_withheld(answer: Answer) -> bool:
    """Tell an answer that the model or a filter of the server kept back."""
    return answer.is_filtered or (answer.is_declined and not answer.text)


def reason_of(answer: Answer) -> str:
    """Give the reason for having no class from an answer, which is quoted whole."""
    if answer.is_filtered:
        return FILTERED
    if answer.text:
        return f"{NAMES_NO_CLASS}: {one_line(answer.text)!r}"
    if answer.is_declined:
        return DECLINED
    return CUT_SHORT if answer.is_cut else ENDED


def _bare(text: str) -> str:
    """Strip the marks that models put around a name, unless it is all there is."""
    return text.strip(_AROUND) or text.strip()


def folded(text: str) -> str:
    """Bring a name to a form without case and surrounding marks."""
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
