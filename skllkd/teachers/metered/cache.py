"""Answers known under one fingerprint: in a store, in memory, or nowhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.scores import Scores
from skllkd.teachers.metered.store import LabelStore

#: Answers in memory: the log-probabilities and the label mass of a text.
Memory = MutableMapping[str, tuple[FloatArray, float]]
_memory_lock = threading.RLock()


class AnswerCache(Protocol):
    """Answers that are known, row-aligned with the texts asked for."""

    def get(self, texts: Sequence[str], n_classes: int) -> Scores:
        """Look texts up: NaN rows where unknown, `is_final` where known as unanswered."""

    def put(self, texts: Sequence[str], scores: Scores, usage: Usage) -> None:
        """Keep answers and their usage."""

    def usage(self) -> Usage:
        """Usage of all answers kept so far."""

    @contextmanager
    def asking(self, verbose: int) -> Iterator[None]:
        """Hold the right to ask, which one at a time has."""
        yield


class MemoryCache(AnswerCache):
    """Answers of this process alone; with an empty dict, of this labelling alone."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @override
    def get(self, texts: Sequence[str], n_classes: int) -> Scores:
        known = Scores.unknown(len(texts), n_classes)
        for row, text in enumerate(texts):
            if text in self._memory:
                known.log_prob[row], known.label_mass[row] = self._memory[text]
                known.error[row] = ""
        return known

    @override
    def put(self, texts: Sequence[str], scores: Scores, usage: Usage) -> None:
        for row in np.flatnonzero(scores.answered).tolist():
            answer = scores.log_prob[row], float(scores.label_mass[row])
            self._memory.setdefault(texts[row], answer)

    @override
    def usage(self) -> Usage:
        return Usage()

    @override
    @contextmanager
    def asking(self, verbose: int) -> Iterator[None]:
        with _memory_lock:  # threads ask one at a time, as processes do
            yield


class StoreCache(AnswerCache):
    """Answers in a label store."""

    def __init__(
        self, store: LabelStore, fingerprint: str, description: dict[str, Any]
    ) -> None:
        self._store, self._fingerprint = store, fingerprint
        self._description = description

    @override
    def get(self, texts: Sequence[str], n_classes: int) -> Scores:
        return self._store.get(self._fingerprint, texts, n_classes)

    @override
    def put(self, texts: Sequence[str], scores: Scores, usage: Usage) -> None:
        self._store.put(self._fingerprint, texts, scores)
        self._store.spend(self._fingerprint, usage, self._description)

    @override
    def usage(self) -> Usage:
        return self._store.usage(self._fingerprint)

    @override
    @contextmanager
    def asking(self, verbose: int) -> Iterator[None]:
        with self._store.asking(self._fingerprint, verbose):
            yield
