"""Answers known under one fingerprint: in a store, in memory, or nowhere."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes
from skllkd.exceptions import SkllkdWarning
from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.identity import Identity, reordered
from skllkd.teachers.metered.scores import Scores, unknown_scores
from skllkd.teachers.metered.store import LabelStore

_memory_lock = threading.RLock()
_SILENT_WAIT_S = 2.0
_POLL_S = 5.0
#: Time without an answer after which another process is not waited for, in seconds.
_CLAIM_S = 600.0


@dataclass(eq=False)
class Memory:
    """Answers in memory, the log-probabilities and label mass by text, and their usage."""

    answers: dict[str, tuple[FloatArray, float]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


class MemoryCache:
    """Answers of this process alone; with a new memory, of this labelling alone."""

    #: Notes and the description of stored answers, of which there are none.
    notes: tuple[str, ...] = ()
    description: Mapping[str, Any] = {}

    def __init__(self, memory: Memory, classes: Classes) -> None:
        self._memory = memory
        self.asked = classes

    def get(self, texts: Sequence[str], n_classes: int) -> Scores:
        """Look texts up: NaN rows where unknown, `is_final` where known as unanswered."""
        known = unknown_scores(len(texts), n_classes)
        for row, text in enumerate(texts):
            if text in self._memory.answers:
                known.log_prob[row], known.label_mass[row] = self._memory.answers[text]
                known.error[row] = ""
        return known

    def put(self, texts: Sequence[str], scores: Scores, usage: Usage) -> None:
        """Keep answers and their usage."""
        for row in np.flatnonzero(scores.answered).tolist():
            answer = scores.log_prob[row], float(scores.label_mass[row])
            self._memory.answers.setdefault(texts[row], answer)
        self._memory.usage = self._memory.usage.plus(usage)

    def usage(self) -> Usage:
        """Usage of all answers kept so far."""
        return self._memory.usage

    @contextmanager
    def asking(self, verbose: int) -> Iterator[None]:
        """Hold the right to call the model, among the threads of this process."""
        with _memory_lock:
            yield


class StoreCache:
    """Answers in a label store."""

    def __init__(self, store: LabelStore, identity: Identity, classes: Classes) -> None:
        self._store, self._classes = store, classes
        self.fingerprint, self.asked, self.description, self.notes = identity

    def get(self, texts: Sequence[str], n_classes: int) -> Scores:
        """Look texts up; the columns are the user's classes."""
        known = self._store.get(self.fingerprint, texts, n_classes)
        return reordered(known, self.asked, self._classes)

    def put(self, texts: Sequence[str | bytes], scores: Scores, usage: Usage) -> None:
        """Store answers and their usage; the columns are the classes that were asked."""
        self._store.put(self.fingerprint, texts, scores, usage, dict(self.description))

    def usage(self) -> Usage:
        """Usage of all answers stored, by all processes."""
        return self._store.usage(self.fingerprint)

    def read_note(self, name: str) -> str | None:
        """Read a note, such as the outcome of a batch; None for none."""
        query = "SELECT value FROM notes WHERE fingerprint = ? AND name = ?"
        rows = self._store._rows(query, self.fingerprint, name)
        return rows[0][0] if rows else None

    def write_note(self, name: str, value: str) -> None:
        """Write a note, in place of an earlier one."""
        row = [self.fingerprint, name, value]
        with self._store._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", row)

    @contextmanager
    def asking(self, verbose: int = 0) -> Iterator[None]:
        """Hold the right to call the model, among all processes.

        It is a lock of the operating system on a file beside the store, which ends with
        the process that holds it. A process that holds it and stores nothing for ten
        minutes is waited for no longer.
        """
        from filelock import FileLock, Timeout

        path = self._store.path
        name = f"{path.name}.{self.fingerprint[:16]}.lock"
        lock = FileLock(path.with_name(name))
        wait_s, progress, since = _SILENT_WAIT_S, self.usage(), 0.0
        while not lock.is_locked:
            try:
                lock.acquire(timeout=wait_s)
            except Timeout:
                if verbose and wait_s == _SILENT_WAIT_S:
                    print(
                        "waiting for a process with the same teacher", file=sys.stderr
                    )
                since, wait_s = since + wait_s, _POLL_S
                before, progress = progress, self.usage()
                if before != progress:
                    since = 0.0
                elif since > _CLAIM_S:
                    warnings.warn(
                        "another process with the same teacher has stored no answer for "
                        f"{since / 60:.0f} minutes. This one goes ahead without it.",
                        SkllkdWarning,
                        stacklevel=2,
                    )
                    break
        try:
            yield
        finally:
            lock.release()
