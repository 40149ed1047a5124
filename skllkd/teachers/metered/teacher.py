"""Teachers that are paid for each text: asking, storing, stopping."""

from __future__ import annotations

import functools
import itertools
import sys
import time
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import BoolArray, IntArray
from skllkd._core.classes import Classes
from skllkd._core.progress import progress_bar
from skllkd._core.texts import is_blank
from skllkd.exceptions import BudgetReachedWarning
from skllkd.teachers.base import Teacher
from skllkd.teachers.labels import TeacherLabels, Usage
from skllkd.teachers.metered.budget import Budget, Meter
from skllkd.teachers.metered.cache import Memory, MemoryCache, StoreCache
from skllkd.teachers.metered.dispatch import (
    Chunk,
    MaySpend,
    Scorer,
    scored_by_workers,
    scored_here,
    worker_chunk_size,
)
from skllkd.teachers.metered.identity import identify, reordered, whose
from skllkd.teachers.metered.scores import Scores, overwrite_rows
from skllkd.teachers.metered.store import LabelStore
from skllkd.teachers.plan import LabellingPlan, TokenCount

#: Earlier calls whose time tells that of others: the first ones load a model.
_ENOUGH_CALLS = 20


class MeteredTeacher(Teacher):
    """Base class of the teachers that are paid for each text.

    A back end has two methods. `score_batch` scores a chunk of texts; `fingerprint`
    says under which key the answers are stored. Asking for each distinct text once,
    storing answers as they come, budgets, plans, progress and calibration come with
    this class. Where joblib is set to run things in parallel, as with
    `joblib.parallel_config(backend="dask")`, the texts are spread over its workers:
    they score, and this process stores.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.teachers import MeteredTeacher, Scores
    >>> class LengthTeacher(MeteredTeacher):
    ...     def __init__(self, limit=20, calibration=None, max_calls=None, store=False):
    ...         self.limit, self.calibration = limit, calibration
    ...         self.max_calls, self.store = max_calls, store
    ...
    ...     def fingerprint(self, classes):
    ...         return {"teacher": "length", "limit": self.limit, "n": len(classes)}
    ...
    ...     def score_batch(self, texts, classes):
    ...         long = np.array([len(text) > self.limit for text in texts])
    ...         return Scores(np.log(np.where(long[:, None], [0.1, 0.9], [0.9, 0.1])))
    >>> texts = ["short", "a text of some length"]
    >>> LengthTeacher().label(texts, ["short", "long"]).proba.argmax(axis=1)
    array([0, 1])
    """

    store: Any
    #: Maximum number of calls, over all runs that share the store; None for no limit.
    max_calls: int | None = None
    #: Maximum cost, over all runs that share the store; None for no limit.
    max_cost: float | None = None
    #: Price of a million tokens read, and of a million written.
    price_per_million: tuple[float, float] | None = None
    #: Number of texts in a chunk, which is scored, stored and metered as a whole.
    _chunk_size: int = 16
    #: Number of chunks that are scored at once, in threads.
    _n_concurrent: int = 1
    #: Number of texts that are put in order of length before they are cut into chunks.
    _sort_window: int = 1
    #: Whether answers are the same whatever the order of the classes.
    _in_any_order: bool = True
    #: Usage for the other questions down a tree of classes, which have the same limits.
    _spent_elsewhere: Usage = Usage()

    @abstractmethod
    def score_batch(self, texts: list[str], classes: Classes) -> Scores:
        """Score a chunk of texts.

        Parameters
        ----------
        texts : list of str
            Distinct texts, none of them blank.
        classes : Classes
            The classes: `names`, `words` and `descriptions`.

        Returns
        -------
        Scores
            A row for each text, in the same order.
        """

    @abstractmethod
    def fingerprint(self, classes: Classes) -> dict[str, Any] | None:
        """Describe all that determines an answer beside the text.

        Parameters
        ----------
        classes : Classes
            The classes.

        Returns
        -------
        dict or None
            JSON values, without secrets and without anything that is timed or counted
            in threads; None where nothing identifies the model, so that answers
            cannot be stored.
        """

    # ---- hooks

    @contextmanager
    def _open_scorer(self, classes: Classes, may_spend: MaySpend) -> Iterator[Scorer]:
        """Open a scorer, once for many chunks, and close it afterwards."""
        yield functools.partial(self.score_batch, classes=classes)

    def _calls_per_text(self, classes: Classes) -> int:
        """Return the maximum number of calls that a text takes."""
        return 1

    def _check_parameters(self, classes: Classes) -> None:
        """Raise InvalidParameterError if a parameter has a value that is not allowed."""

    def _count_tokens(self, texts: list[str], classes: Classes) -> TokenCount:
        """Count the tokens that scoring texts would take."""
        return TokenCount()

    def _expected_seconds(self, n_calls: int, tokens: TokenCount) -> float | None:
        """Estimate the duration where no earlier answers tell it."""
        return None

    def _serves(self) -> str | None:
        """Ask which model is behind its name, "" if the name says it; None if unknown."""
        return ""

    def _for_workers(self) -> MeteredTeacher:
        """Resolve parameters whose value depends on this machine, for other processes."""
        return self

    def _memory(self, classes: Classes) -> Memory:
        """Return the memory in which answers without a fingerprint are kept."""
        return Memory()

    def _describe(self, classes: Classes) -> dict[str, Any]:
        """Describe the answers for the store's table of contents."""
        named: dict[str, Any] = {
            "teacher": type(self).__name__,
            "classes": list(classes.words),
        }
        if classes.multilabel:
            named["multilabel"] = True
        model = getattr(self, "model", None) or getattr(self, "model_path", None)
        return named | ({"model": Path(str(model)).name} if model else {})

    # ---- labels

    @override
    def _label_distinct(
        self, texts: list[str], classes: Classes, verbose: int
    ) -> TeacherLabels:
        budget = self._budget()
        self._check_parameters(classes)
        with self._cache(classes) as cache:
            pool = cache.get(texts, len(classes))
            is_known = pool.answered | pool.is_final
            from_store, meter, n_asked = pool.answered, None, 0
            if verbose:
                _say_what_is_known(cache, int(is_known.sum()), len(texts))
            if not is_known.all():
                with cache.asking(verbose):  # another process may have asked the same
                    unknown = np.flatnonzero(~is_known)
                    some = cache.get([texts[row] for row in unknown], len(classes))
                    overwrite_rows(pool, unknown, some)
                    from_store = pool.answered
                    expected = functools.partial(self._expected_usage, classes=classes)
                    calls = self._calls_per_text(classes)
                    spent = cache.usage().plus(self._spent_elsewhere)
                    meter = Meter(budget, spent, calls, expected)
                    n_asked = self._ask(texts, classes, pool, cache, meter, verbose)
        source = np.where(from_store, "store", "model").astype(object)
        source[~pool.answered] = ""
        return TeacherLabels(
            classes.names,
            pool.log_prob,
            pool.label_mass,
            n_asked=n_asked,
            n_truncated=int(pool.is_truncated.sum()),
            source=source,
            error=pool.error,
            usage=meter.used if meter else Usage(),
            confidence=self._confidence,
        )

    def _ask(
        self,
        texts: list[str],
        classes: Classes,
        pool: Scores,
        cache: MemoryCache | StoreCache,
        meter: Meter,
        verbose: int,
    ) -> int:
        """Fill in the unknown rows, keep them, and return the number of texts sent."""
        unknown = np.flatnonzero(~(pool.answered | pool.is_final))
        is_open = np.zeros(len(texts), dtype=bool)
        is_open[unknown] = True
        last = start = time.perf_counter()
        with (
            progress_bar(len(unknown), "teacher", "text", verbose) as bar,
            _noting_an_interrupt(is_open, cache),
        ):
            for rows, scores in self._scored(texts, unknown, cache.asked, meter):
                now = time.perf_counter()
                usage = scores.usage._replace(seconds=now - last)
                cache.put([texts[row] for row in rows], scores, usage)
                meter.settle(0, Usage(seconds=now - last))
                last = now
                overwrite_rows(pool, rows, reordered(scores, cache.asked, classes))
                is_open[rows] = False
                bar.set_postfix_str(meter.progress(now - start), refresh=False)
                bar.update(len(rows))
        if is_open.any() and meter.reached():
            _warn_of_budget(pool, is_open, meter.reached())
        return len(unknown) - int(is_open.sum())

    def _scored(
        self, texts: list[str], unknown: IntArray, classes: Classes, meter: Meter
    ) -> Iterator[tuple[IntArray, Scores]]:
        """Score the unknown texts here, or by the workers joblib has been given."""
        size = worker_chunk_size(len(unknown))
        if size is None:
            chunks = self._chunks(texts, unknown, self._chunk_size, meter)
            yield from scored_here(self, chunks, classes, meter)
        else:
            chunks = self._chunks(texts, unknown, size, meter)
            teacher = self._for_workers()
            yield from scored_by_workers(teacher, chunks, classes, meter)

    def _chunks(
        self, texts: list[str], unknown: IntArray, size: int, meter: Meter
    ) -> Iterator[Chunk]:
        """Draw chunks of texts for as long as the budget allows."""
        left: Iterator[int] = iter(unknown.tolist())
        while window := list(itertools.islice(left, max(size, self._sort_window))):
            n_allowed = meter.reserve([texts[row] for row in window])
            if n_allowed == 0:
                return
            left = itertools.chain(window[n_allowed:], left)
            window = window[:n_allowed]
            if self._sort_window > 1:
                window.sort(key=lambda row: len(texts[row]))
            for start in range(0, len(window), size):
                rows = window[start : start + size]
                yield np.array(rows), [texts[row] for row in rows]

    @contextmanager
    def _cache(self, classes: Classes) -> Iterator[MemoryCache | StoreCache]:
        """Open the answers that are known for some classes."""
        if self.store is False:
            yield MemoryCache(self._memory(classes), classes)
            return
        if (own := self.fingerprint(classes)) is None:
            yield MemoryCache(self._memory(classes), classes)
            return
        with LabelStore(self.store) as store:
            identity = identify(
                store,
                own,
                self.fingerprint,
                classes,
                self._describe(classes),
                self._serves(),
                in_any_order=self._in_any_order,
            )
            yield StoreCache(store, identity, classes)

    def _expected_usage(self, texts: list[str], classes: Classes) -> Usage:
        """Estimate the tokens of some texts, 0 where they cannot be counted."""
        tokens = self._count_tokens(texts, classes)
        return Usage(0, tokens.input or 0, tokens.output or 0)

    def _budget(self) -> Budget:
        """Collect the limits."""
        return Budget(self.max_calls, self.max_cost, self.price_per_million)

    @override
    def _usage_so_far(self, classes: Classes) -> Usage:
        with self._cache(classes) as cache:
            return cache.usage()

    # ---- plan

    @override
    def _plan(
        self, texts: list[str], distinct: list[str], classes: Classes
    ) -> LabellingPlan:
        budget = self._budget()
        self._check_parameters(classes)
        with self._cache(classes) as cache:
            known = cache.get(distinct, len(classes))
            spent, notes = cache.usage(), cache.notes
        is_known = known.answered | known.is_final
        to_ask = [distinct[row] for row in np.flatnonzero(~is_known)]
        n_calls = len(to_ask) * self._calls_per_text(classes)
        tokens = self._count_tokens(to_ask, classes)
        if not to_ask:
            seconds: float | None = 0.0
        else:
            pace = spent.seconds / spent.n_calls if spent.n_calls else None
            seconds = pace and n_calls * pace
            if spent.n_calls < _ENOUGH_CALLS:
                seconds = self._expected_seconds(n_calls, tokens) or seconds
        cost = None
        if tokens.input is not None:
            cost = budget.cost(Usage(0, tokens.input, tokens.output or 0))
        return LabellingPlan(
            n_texts=len(texts),
            n_distinct=len(distinct),
            n_blank=sum(map(is_blank, texts)),
            n_stored=int(is_known.sum()),
            n_to_ask=len(to_ask),
            n_calls=n_calls,
            tokens=tokens,
            cost=cost,
            seconds=seconds,
            spent=spent,
            spent_cost=budget.cost(spent),
            max_calls=self.max_calls,
            max_cost=self.max_cost,
            notes=notes,
        )


def _say_what_is_known(
    cache: MemoryCache | StoreCache, n_known: int, n_texts: int
) -> None:
    """Print whose answers are reused, and which ones are not."""
    if n_known:
        left = f"; {n_texts - n_known:,} are left" if n_known < n_texts else ""
        print(
            f"{n_known:,} of {n_texts:,} distinct texts are answered already, by "
            f"{whose(cache.description)}{left}",
            file=sys.stderr,
            flush=True,
        )
    for note in cache.notes if n_known < n_texts else ():
        print(note, file=sys.stderr, flush=True)


@contextmanager
def _noting_an_interrupt(
    is_open: BoolArray, cache: MemoryCache | StoreCache
) -> Iterator[None]:
    """Note on an interrupt how far the labelling has come."""
    n_texts = int(is_open.sum())
    try:
        yield
    except KeyboardInterrupt as interrupt:
        n_done = n_texts - int(is_open.sum())
        kept = "kept in the store, and the same call goes on from there"
        interrupt.add_note(
            f"{n_done:,} of the {n_texts:,} texts that were not known are labelled. They "
            f"are {kept if isinstance(cache, StoreCache) else 'not kept: store=False'}."
        )
        raise


def _warn_of_budget(pool: Scores, is_open: BoolArray, limit: str) -> None:
    """Note that rows were not sent, and warn."""
    pool.error[is_open] = f"not sent: {limit}"
    warnings.warn(
        f"{limit}: {int(is_open.sum())} distinct texts were not sent. "
        "Answers so far are kept; raise the limit to continue.",
        BudgetReachedWarning,
        stacklevel=2,
    )
