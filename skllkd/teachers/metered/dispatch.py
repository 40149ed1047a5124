"""Scoring of chunks of texts: one after the other, in threads, or by joblib's workers."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from skllkd._core.arrays import IntArray
from skllkd._core.classes import Classes
from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.budget import Budget, Meter
from skllkd.teachers.metered.scores import Scores

#: Rows of a pool and their texts.
Chunk = tuple[IntArray, list[str]]
#: Scores a chunk of texts.
Scorer = Callable[[list[str]], Scores]
#: Tells whether a text may take another call, after what it took already.
MaySpend = Callable[[Usage], bool]
#: Chunks for each worker process, so that they end together, and the sizes of a chunk.
_CHUNKS_PER_WORKER, _SMALLEST_CHUNK, _LARGEST_CHUNK = 4, 16, 256


class _BackEnd(Protocol):
    """A teacher as far as it is needed here."""

    _n_concurrent: int
    _chunk_size: int

    def _open_scorer(
        self, classes: Classes, may_spend: MaySpend
    ) -> AbstractContextManager[Scorer]: ...

    def _budget(self) -> Budget: ...

    def _calls_per_text(self, classes: Classes) -> int: ...


def always(_: Usage) -> bool:
    """Allow another call."""
    return True


def worker_chunk_size(n_texts: int) -> int | None:
    """Choose the size of chunks for joblib's workers; None where there are none."""
    backend, _ = get_active_backend()
    n_workers = effective_n_jobs(None)  # 1 unless joblib is configured
    size = -(-n_texts // (n_workers * _CHUNKS_PER_WORKER))
    size = min(max(size, _SMALLEST_CHUNK), _LARGEST_CHUNK)
    is_worker = backend.nesting_level or _is_dask_worker()
    return None if n_workers == 1 or is_worker or n_texts <= size else size


def _is_dask_worker() -> bool:
    """Return whether this is a task of Dask, which must not wait for others there.

    Those may themselves wait for the right to call the model, which this one holds.
    """
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


def scored_here(
    teacher: _BackEnd, chunks: Iterator[Chunk], classes: Classes, meter: Meter
) -> Iterator[tuple[IntArray, Scores]]:
    """Score chunks in this process, in threads where the teacher wants it."""
    with teacher._open_scorer(classes, meter.may_spend) as score:
        if teacher._n_concurrent > 1:
            yield from _in_threads(score, chunks, teacher._n_concurrent, meter)
            return
        for rows, texts in chunks:
            scores = score(texts)
            meter.settle(len(rows), scores.usage)
            yield rows, scores


def _in_threads(
    score: Scorer, chunks: Iterator[Chunk], n_threads: int, meter: Meter
) -> Iterator[tuple[IntArray, Scores]]:
    """Score chunks in threads, and those under way when one fails are finished and kept.

    The first chunk goes alone: its fate may be that of all others.
    """
    failures: list[Exception] = []

    def attempt(rows: IntArray, texts: list[str]) -> tuple[IntArray, Scores | None]:
        if failures or not meter.may_send():
            return rows, None
        try:
            scores = score(texts)
        except Exception as failure:
            failures.append(failure)
            return rows, None
        meter.settle(len(rows), scores.usage)
        return rows, scores

    until_failure = itertools.takewhile(lambda _: not failures, chunks)
    # Threads of joblib are daemons: an interrupted program waits for no server.
    parallel = Parallel(
        n_jobs=n_threads,
        backend="threading",
        return_as="generator_unordered",
        pre_dispatch=n_threads,
    )

    def attempts() -> Iterator[tuple[IntArray, Scores | None]]:
        yield from itertools.starmap(attempt, itertools.islice(until_failure, 1))
        yield from parallel(delayed(attempt)(*chunk) for chunk in until_failure)

    for rows, scores in attempts():
        if scores is not None:
            yield rows, scores
    if failures:
        raise failures[0]


def scored_by_workers(
    teacher: _BackEnd, chunks: Iterator[Chunk], classes: Classes, meter: Meter
) -> Iterator[tuple[IntArray, Scores]]:
    """Score chunks by joblib's workers; scores from before a failure are kept."""
    failures: list[Exception] = []
    until_failure = itertools.takewhile(lambda _: not failures, chunks)
    tasks = (
        delayed(_score_elsewhere)(teacher, *chunk, classes, meter.total)
        for chunk in until_failure
    )
    for scored, failure in _as_they_come(tasks):
        for rows, scores in scored:
            meter.settle(len(rows), scores.usage)
            yield rows, scores
        if failure is not None:
            failures.append(failure)
    if failures:
        raise failures[0]


def _as_they_come(tasks: Iterator[Any]) -> Iterator[Any]:
    """Run tasks in joblib's workers; where these return lists only, some at a time."""
    backend, _ = get_active_backend()
    if backend.supports_return_generator:
        parallel = Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs")
        yield from parallel(tasks)
        return
    parallel = Parallel()
    while wave := list(itertools.islice(tasks, effective_n_jobs(None))):
        yield from parallel(wave)


def _score_elsewhere(
    teacher: _BackEnd, rows: IntArray, texts: list[str], classes: Classes, spent: Usage
) -> tuple[list[tuple[IntArray, Scores]], Exception | None]:
    """Score a worker's texts, and return the failure that ended it, if one did."""
    size, scored = teacher._chunk_size, list[tuple[IntArray, Scores]]()
    starts = range(0, len(texts), size)
    chunks = ((rows[i : i + size], texts[i : i + size]) for i in starts)
    meter = Meter(teacher._budget(), spent, teacher._calls_per_text(classes))
    try:
        scored.extend(scored_here(teacher, chunks, classes, meter))
    except Exception as failure:
        return scored, failure
    return scored, None
