"""The model of a server: a cascade from files, which may be read anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd.exceptions import InvalidParameterError, SkllkdError
from skllkd.serving.batching import Batcher, QueueFullError
from skllkd.serving.cascade import CascadeClassifier
from skllkd.serving.cascade_report import promise
from skllkd.serving.coverage import CoverageCurve
from skllkd.serving.decisions import Decisions, Traffic
from skllkd.serving.drift import Sample
from skllkd.serving.estimator import given_classes
from skllkd.serving.files import SETTINGS, load_classifier

#: Number of texts that are computed together: more gain nothing on a processor.
MAX_BATCH = 256
#: Number of texts that may wait for the student, and for the teacher.
MAX_WAITING, MAX_WAITING_TEACHER = 8192, 1024


def load_cascade(path: Path, teacher: Any = None) -> CascadeClassifier:
    """Return the cascade of a folder, or one whose student answers everything."""
    if (path / SETTINGS).exists():
        return CascadeClassifier.load(path, teacher)
    if teacher is not None:
        raise InvalidParameterError(
            f"a `teacher` is asked by a cascade, and {str(path)!r} holds none. Save one "
            "with CascadeClassifier.save, or name no teacher."
        )
    clf = load_classifier(path)
    cascade = CascadeClassifier(clf, False, held_out="prefit")
    cascade.estimator_, cascade.classes_ = clf, clf.classes_
    cascade._given_classes = given_classes(clf)
    cascade._class_bias = np.zeros(len(clf.classes_))
    every, none = np.zeros(1), np.zeros(1, dtype=np.int64)
    levels = cascade.target, cascade.confidence
    curve = CoverageCurve(every, none, none, 0, *levels, chosen=0)
    cascade._begin(curve, Sample(every[:0], none[:0], None), np.random.RandomState())
    return cascade


def described(cascade: CascadeClassifier) -> str:
    """Return who answers which texts, for the person who starts a server."""
    said = promise(cascade.curve_, cascade.metric)[0]
    if cascade.threshold_ == 0:
        return said
    if cascade._fallback() is None:
        return f"{said}. All other texts are abstained from, as no teacher is named."
    return f"{said}. All other texts go to the teacher."


class ServedModel:
    """A cascade that answers many requests: student and teacher in a thread each.

    Parameters
    ----------
    cascade : CascadeClassifier
        The cascade.
    """

    def __init__(self, cascade: CascadeClassifier) -> None:
        self.cascade = cascade
        self.n_teacher_errors = 0
        self.teacher = cascade._fallback()
        self.students = Batcher(cascade._student_proba, MAX_BATCH, MAX_WAITING)
        self.teachers = Batcher(self._ask, MAX_BATCH, MAX_WAITING_TEACHER)
        self._checks: set[asyncio.Task[None]] = set()

    @property
    def traffic(self) -> Traffic:
        """The counts of the texts answered."""
        return self.cascade._traffic

    def _ask(self, texts: list[str]) -> FloatArray:
        """Return the teacher's distributions, in its thread."""
        assert self.teacher is not None
        return self.cascade._teacher_proba(self.teacher, texts)

    async def decide(self, texts: list[str]) -> Decisions:
        """Return the decisions about the texts of a request."""
        cascade = self.cascade
        proba = await self.students.answer(texts)
        said = np.full_like(proba, np.nan)
        below = np.flatnonzero(~cascade._answered(proba))
        if self.teacher is not None:
            if len(below):
                said[below] = await self._teacher_rows(texts, below)
            self._check_some(texts, proba)
        return cascade._decide(proba, said, np.zeros(len(proba), dtype=bool))

    async def _teacher_rows(self, texts: list[str], rows: Any) -> FloatArray:
        """Return the teacher's distributions of some texts, NaN where it fails."""
        try:
            return await self.teachers.answer([texts[row] for row in rows])
        except (SkllkdError, OSError):  # a server that does not answer
            self.n_teacher_errors += 1
            return np.full((len(rows), len(self.cascade.classes_)), np.nan)

    def _check_some(self, texts: list[str], proba: FloatArray) -> None:
        """Have the teacher asked about answers drawn at random; nobody waits for it."""
        rows = np.flatnonzero(self.cascade._drawn_for_checks(proba))
        if len(rows):
            check = asyncio.create_task(self._check(texts, proba, rows))
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)

    async def _check(self, texts: list[str], proba: FloatArray, rows: Any) -> None:
        """Add the teacher's view of some answers to the checks, unless it is too busy."""
        try:
            said = await self._teacher_rows(texts, rows)
        except QueueFullError:
            return
        self.traffic.n_rechecked += len(rows)
        reading = self.cascade._reading
        label = reading.label(proba[rows])
        self.cascade._add_checks(label, reading.teacher_label(said))

    def close(self) -> None:
        """Let the threads end."""
        self.students.close()
        self.teachers.close()
