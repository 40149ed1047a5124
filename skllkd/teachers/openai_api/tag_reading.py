"""Reading of answers that say of each class whether a text has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import BoolArray, FloatArray
from skllkd._core.log_odds import log_prob_of_odds
from skllkd.teachers.openai_api.completion import Answer, Completion, Token
from skllkd.teachers.openai_api.reading import (
    AnswerReader,
    ChatResult,
    bound_of_absent,
    folded,
    is_withheld,
    reason_of,
)

#: A code or name with its value, in JSON or a plain line.
_PAIR = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"|[^\s"{}\[\],:=]+)\s*[:=]\s*"?(?P<value>true|false|yes|no)\b',
    re.IGNORECASE,
)
_YES, _NO = ("true", "yes"), ("false", "no")
#: Answers without a class, where no value is given for each.
_NONE = {"none", "nothing", "no class", "none of them", ""}


class _Value(NamedTuple):
    """The value that an answer gives a class, and its place in the answer."""

    is_yes: bool
    place: int


@dataclass(frozen=True)
class TagReader(AnswerReader):
    """Reader of one answer about all classes: a JSON object of their codes."""

    @property
    @override
    def reads_first_token(self) -> bool:
        return False

    @override
    def read(self, answers: Sequence[Answer]) -> ChatResult:
        if self.method == "votes":
            return self._from_votes(answers[: self.n_votes])
        answer = answers[0]
        if is_withheld(answer):
            return self.no_result(reason_of(answer))
        has = self.classes_in(answer.text)
        if has is None:
            return self.no_result(reason_of(answer))
        if self.method == "logprobs":
            return self._from_tokens(answer, has)
        return ChatResult(_log(has))

    def classes_in(self, text: str) -> BoolArray | None:
        """Return which classes an answer names; None if it does not say of each."""
        values = self._values(text)
        if len(values) == len(self.codes):
            return np.array([values[k].is_yes for k in range(len(self.codes))])
        if values:
            return None
        inside = text.strip().strip("[]{}")
        if folded(inside) in _NONE:
            return np.zeros(len(self.codes), dtype=bool)
        has = np.zeros(len(self.codes), dtype=bool)
        for part in re.split(r"[,;\n]", inside):
            column = self.chosen(part)
            if column is None:
                return None
            has[column] = True
        return has

    def _values(self, text: str) -> dict[int, _Value]:
        """Return the value of each class that an answer gives one, by its column."""
        values: dict[int, _Value] = {}
        for found in _PAIR.finditer(text):
            column = self.chosen(found["key"])
            if column is not None:
                is_yes = found["value"].casefold() in _YES
                values.setdefault(column, _Value(is_yes, found.start("value")))
        return values

    @override
    def _from_votes(self, answers: Sequence[Answer]) -> ChatResult:
        named = [self.classes_in(answer.text) for answer in answers]
        valid = [has for has in named if has is not None]
        if not valid:
            return self.no_result(reason_of(answers[0]))
        share = (np.sum(valid, axis=0) + 0.5) / (len(valid) + 1)
        return ChatResult(np.log(share), len(valid) / len(named))

    def _from_tokens(self, answer: Answer, has: BoolArray) -> ChatResult:
        """Read the probability of yes beside no at the value of each class.

        A class whose value is not found among the tokens has probability 0 or 1.
        """
        log_prob, mass = _log(has), np.full(len(has), np.nan)
        values = self._values("".join(token.text for token in answer.tokens))
        for column, value in values.items():
            token = _token_at(answer.tokens, value.place)
            yes_no = _yes_no(token.probabilities()) if token else None
            if yes_no is not None:
                odds, mass[column] = yes_no
                log_prob[column] = log_prob_of_odds(np.array(odds))
        known = mass[~np.isnan(mass)]
        return ChatResult(log_prob, float(known.mean()) if len(known) else np.nan)


@dataclass(frozen=True)
class QuestionsReader(AnswerReader):
    """Reader of the answers to a question about each class, yes or no."""

    readers: tuple[AnswerReader, ...] = ()

    @override
    def fault(self, completion: Completion) -> str:
        return self.readers[0].fault(completion)

    @override
    def read(self, answers: Sequence[Answer]) -> ChatResult:
        pairs = zip(self.readers, answers, strict=True)
        results = [reader.read([answer]) for reader, answer in pairs]
        for result in results:
            if np.isnan(result.log_prob).any():
                return self.no_result(result.reason)
        yes, no = np.array([result.log_prob for result in results]).T
        mass = float(np.mean([result.label_mass for result in results]))
        return ChatResult(log_prob_of_odds(yes - no), mass)


def _log(has: BoolArray) -> FloatArray:
    """Return log-probabilities of classes that a text has or has not."""
    return np.where(has, 0.0, -np.inf)


def _token_at(tokens: Sequence[Token], place: int) -> Token | None:
    """Return the token in which a place of the text lies."""
    end = 0
    for token in tokens:
        end += len(token.text)
        if place < end:
            return token
    return None


def _yes_no(listed: Mapping[str, float]) -> tuple[float, float] | None:
    """Return the log-odds of yes beside no in the tokens listed, and the mass of both.

    One that is not listed has at most what `bound_of_absent` says; None if neither is.
    """
    mass = [sum(_of_words(listed, words)) for words in (_YES, _NO)]
    if not any(mass):
        return None
    bound = bound_of_absent(listed, n_absent=1, likeliest=max(mass))
    yes, no = (part or bound for part in mass)
    return float(np.log(yes) - np.log(no)), min(sum(mass), 1.0)


def _of_words(listed: Mapping[str, float], words: Sequence[str]) -> Iterator[float]:
    """Yield the probabilities of the tokens that are one of the words or its beginning."""
    for token, probability in listed.items():
        letters = re.sub("[^a-z]", "", token.casefold())
        if letters and any(word.startswith(letters) for word in words):
            yield probability
