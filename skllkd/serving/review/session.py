"""A review in progress: the text to ask about, answers, and their withdrawal."""

from __future__ import annotations

import threading
from collections import deque
from datetime import UTC, datetime
from typing import Any, NamedTuple

from skllkd._core.params import shown
from skllkd.exceptions import InvalidParameterError
from skllkd.serving.review.answers import Answer, AnswerFile
from skllkd.serving.review.order import RANDOM, Part, asking_order
from skllkd.serving.review.pool import ReviewPool
from skllkd.serving.review.results import ReviewResults, results_of

#: Number of characters of a note, at most.
MAX_NOTE = 2000


class AnsweredError(Exception):
    """A text has an answer already, as when two windows show it."""


class Progress(NamedTuple):
    """The state of a review in numbers."""

    n_answered: int  # texts of the pool with a class
    n_unsure: int
    n_skipped: int
    n_texts: int
    n_sample: int  # texts of the random sample
    n_sample_asked: int  # those with a class, or unsure


class ReviewSession:
    """Questions and answers of a review; calls may come from several threads.

    Parameters
    ----------
    pool : ReviewPool
        The texts.
    answers : AnswerFile
        The answers so far, and the place of those to come.
    n_random : int
        The size of the random sample that is asked first.
    """

    def __init__(self, pool: ReviewPool, answers: AnswerFile, n_random: int) -> None:
        self.pool, self.answers = pool, answers
        self._row_of = {text: row for row, text in enumerate(pool.texts)}
        self._row_of_key = {key: row for row, key in enumerate(pool.keys)}
        self.gold: dict[int, Any] = {
            self._row_of[answer.text]: answer.gold
            for answer in answers
            if answer.text in self._row_of
        }
        self.parts: list[Part] = asking_order(pool, n_random)
        self._part_of = {row: part.name for part in self.parts for row in part.rows}
        self._waiting = deque(row for row in self._part_of if row not in self.gold)
        self._skipped: list[int] = []
        self._last_steps: list[int | None] = []  # a row skipped, or None for an answer
        self._lock = threading.RLock()

    @property
    def row(self) -> int | None:
        """The row to be asked about, None when all have an answer."""
        with self._lock:
            if self._waiting:
                return self._waiting[0]
            return self._skipped[0] if self._skipped else None

    @property
    def part(self) -> str:
        """The part of the review that the text to be asked about belongs to."""
        row = self.row
        return "" if row is None else self._part_of[row]

    def row_of_key(self, key: str) -> int:
        """Return the row of a text, or raise if there is none of that key."""
        if key not in self._row_of_key:
            raise InvalidParameterError(f"there is no text {shown(key)}. Load it anew.")
        return self._row_of_key[key]

    def answer(self, row: int, gold: Any, note: str = "") -> None:
        """Save the label of a text, None for unsure; each text is answered once."""
        if gold is not None:
            gold = self.pool.checked(gold)
        with self._lock:
            if row in self.gold:
                raise AnsweredError
            when = datetime.now(UTC).isoformat(timespec="seconds")
            note = note.strip()[:MAX_NOTE]
            text, part = self.pool.texts[row], self._part_of[row]
            self.answers.append(Answer(text, gold, note, part, when))
            self.gold[row] = gold
            self._leave(row)
            self._last_steps.append(None)

    def skip(self, row: int) -> None:
        """Put a text off until all others have an answer."""
        with self._lock:
            if row in self.gold:
                raise AnsweredError
            self._leave(row)
            self._skipped.append(row)
            self._last_steps.append(row)

    def _leave(self, row: int) -> None:
        """Take a row out of those that wait."""
        for rows in (self._waiting, self._skipped):
            if row in rows:
                rows.remove(row)

    def undo(self) -> Answer | None:
        """Take the last answer or skip back, and ask about its text again.

        Answers of earlier runs can be taken back, too. None if there is nothing to undo.
        """
        with self._lock:
            last = self.answers.last
            skipped = self._last_steps.pop() if self._last_steps else None
            if skipped is not None:
                self._leave(skipped)
                self._waiting.appendleft(skipped)
                return Answer(self.pool.texts[skipped], None, "", "", "")
            if last is None or last.text not in self._row_of:
                return None
            taken = self.answers.take_back()
            row = self._row_of[taken.text]
            del self.gold[row]
            self._waiting.appendleft(row)
            return taken

    @property
    def last_row(self) -> int | None:
        """The row answered last."""
        last = self.answers.last
        return None if last is None else self._row_of.get(last.text)

    @property
    def sample(self) -> list[int]:
        """The rows of the random sample."""
        return next(part.rows for part in self.parts if part.name == RANDOM)

    def progress(self) -> Progress:
        """Return the numbers of texts answered and to be answered."""
        with self._lock:
            n_unsure = sum(gold is None for gold in self.gold.values())
            return Progress(
                n_answered=len(self.gold) - n_unsure,
                n_unsure=n_unsure,
                n_skipped=len(self._skipped),
                n_texts=len(self.pool.texts),
                n_sample=len(self.sample),
                n_sample_asked=sum(row in self.gold for row in self.sample),
            )

    def results(self) -> ReviewResults:
        """Return the results so far."""
        with self._lock:
            return results_of(self.pool, dict(self.gold), self.sample)
