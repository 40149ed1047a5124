"""Bridge for back ends that yield answers in any order; it goes with the last of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.classes import Classes
from skllkd.teachers.metered.scores import Scores
from skllkd.teachers.metered.teacher import MeteredTeacher
from skllkd.teachers.plan import TokenCount


class Answers(NamedTuple):
    """Some of the answers to a question, as they come."""

    places: IntArray
    log_prob: FloatArray
    label_mass: FloatArray
    n_truncated: int = 0
    errors: Mapping[int, str] = MappingProxyType({})
    refused: Collection[int] = ()
    n_calls: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class AskedTeacher(MeteredTeacher):
    """A back end with `_ask` and `_specification`."""

    _chunk_size = 256

    @abstractmethod
    def _specification(self, classes: Classes) -> dict[str, Any] | None:
        """Return all that determines an answer beside the text; None if unknown."""

    @abstractmethod
    def _answers(self, texts: Iterable[str], classes: Classes) -> Iterator[Answers]:
        """Yield the answers of the model, in any order, as they come."""

    def _count(self, texts: list[str], classes: Classes) -> TokenCount:
        """Return the tokens asking about texts would take, where that is known."""
        return TokenCount()

    @override
    def fingerprint(self, classes: Classes) -> dict[str, Any] | None:
        return self._specification(classes)

    @override
    def score_batch(self, texts: list[str], classes: Classes) -> Scores:
        scores = Scores.unknown(len(texts), len(classes))
        for some in self._answers(texts, classes):
            rows = np.asarray(some.places)
            scores.log_prob[rows], scores.label_mass[rows] = some[1], some[2]
            scores.n_calls[rows] = 1
            scores.error[rows] = ""
            scores.is_truncated[rows[: some.n_truncated]] = True
            scores.n_tokens[rows[:1], 0] += some.input_tokens
            scores.n_tokens[rows[:1], 1] += some.output_tokens
        return scores

    @override
    def _count_tokens(self, texts: list[str], classes: Classes) -> TokenCount:
        return self._count(texts, classes)
