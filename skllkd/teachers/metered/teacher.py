"""Teachers that are asked text by text, and paid for it: asking, storing, stopping."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from skllkd._core.arrays import nan_rows
from skllkd._core.classes import Classes
from skllkd._core.params import check_number
from skllkd._core.progress import progress_bar
from skllkd._core.texts import is_blank
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.base import Answers, Found, Teacher
from skllkd.teachers.metered.budget import LabellingPlan, TokenCount
from skllkd.teachers.metered.store import LabelStore
from skllkd.teachers.metered.usage import Answer, Usage

#: How many texts a worker is given at once: some chunks for each, to end together.
_CHUNKS_A_WORKER, _SMALLEST_CHUNK, _LARGEST_CHUNK = 4, 16, 256

_memory_lock = threading.RLock()


class AskedTeacher(Teacher):
    """Base class of the teachers that are asked text by text, and are paid for it.

    Answers are stored as they come, under what determines them, and never asked for
    again. Where joblib is set to run things in parallel, as with
    `joblib.parallel_config(backend="dask")`, the texts are spread over its workers:
    they answer, and this process stores.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.teachers import Answers, AskedTeacher
    >>> class LengthTeacher(AskedTeacher):
    ...     def __init__(self, limit=20, calibration=None, class_prior=None,
    ...                  max_calls=None, store=False):
    ...         self.limit, self.calibration = limit, calibration
    ...         self.class_prior, self.max_calls = class_prior, max_calls
    ...         self.store = store
    ...
    ...     def _specification(self, classes):
    ...         return {"teacher": "length", "limit": self.limit, "n": len(classes.names)}
    ...
    ...     def _ask(self, texts, classes):
    ...         for place, text in enumerate(texts):
    ...             proba = [[0.1, 0.9] if len(text) > self.limit else [0.9, 0.1]]
    ...             yield Answers(np.array([place]), np.log(proba), np.ones(1))
    >>> texts = ["short", "a text of some length"]
    >>> LengthTeacher().label(texts, ["short", "long"]).proba.argmax(axis=1)
    array([0, 1])
    """

    store: Any
    #: At most so many calls over all runs that share the store; None for no limit.
    max_calls: int | None = None
    #: At most such a cost over all runs that share the store; None for no limit.
    max_cost: float | None = None
    #: The price of a million tokens read, and of a million written.
    price_per_million: tuple[float, float] | None = None

    @abstractmethod
    def _specification(self, classes: Classes) -> dict[str, Any] | None:
        """Return all that determines an answer beside the text; None if unknown."""

    @abstractmethod
    def _ask(self, texts: Iterable[str], classes: Classes) -> Iterator[Answers]:
        """Yield the answers of the model, in any order, as they come.

        Texts are to be drawn as they are needed: none follows once a budget is spent.
        """

    def _describe(self, classes: Classes) -> dict[str, Any]:
        """Return what the store's table of contents says of the answers."""
        named = {"teacher": type(self).__name__, "classes": list(classes.words)}
        model = getattr(self, "model", None) or getattr(self, "model_path", None)
        return named | ({"model": Path(str(model)).name} if model else {})

    def _count(self, texts: list[str], classes: Classes) -> TokenCount:
        """Return the tokens asking about texts would take, where that is known."""
        return TokenCount()

    def _expected_seconds(self, n_calls: int, tokens: TokenCount) -> float | None:
        """Return how long asking would take at least, where that is known."""
        return None

    def _for_workers(self) -> AskedTeacher:
        """Return the teacher as other processes are to ask: nothing left to choose."""
        return self

    def _memory(self, classes: Classes) -> dict[str, Answer]:
        """Return where answers without a specification are kept."""
        return {}

    def _calls_a_text(self) -> int:
        """Return how often the model is called for a text."""
        return 1

    def _plan(
        self, texts: list[str], distinct: list[str], classes: Classes
    ) -> LabellingPlan:
        """Look into the store, and count what is left."""
        self._check_budget()
        known, usage = set(), Usage()
        determines = self._specification(classes) if self.store is not False else None
        if determines is None:
            known = {text for text in distinct if text in self._memory(classes)}
        else:
            name = specification_key(determines)
            with LabelStore(self.store) as store:
                known = {*store.get(name, distinct), *store.refused(name, distinct)}
                usage = store.usage(name)
        to_ask = [text for text in distinct if text not in known]
        n_calls = len(to_ask) * self._calls_a_text()
        tokens = self._count(to_ask, classes)
        if not to_ask:
            seconds: float | None = 0.0
        elif usage.n_calls and usage.seconds:
            seconds = n_calls * usage.seconds / usage.n_calls
        else:
            seconds = self._expected_seconds(n_calls, tokens)
        return LabellingPlan(
            n_texts=len(texts),
            n_distinct=len(distinct),
            n_blank=sum(map(is_blank, texts)),
            n_stored=len(known),
            n_to_ask=len(to_ask),
            n_calls=n_calls,
            tokens=tokens,
            cost=self._cost(Usage(0, tokens.input or 0, tokens.output or 0))
            if tokens.input is not None
            else None,
            seconds=seconds,
            spent=usage,
            spent_cost=self._cost(usage),
            max_calls=self.max_calls,
            max_cost=self.max_cost,
        )

    def _cost(self, usage: Usage) -> float | None:
        """Return a cost at the user's price; None without a price."""
        if self.price_per_million is None:
            return None
        for_input, for_output = self.price_per_million
        total = usage.input_tokens * for_input + usage.output_tokens * for_output
        return total / 1e6

    def _check_budget(self) -> None:
        """Raise unless the limits and the price are what they should be."""
        if self.max_calls is not None:
            check_number(self.max_calls, "max_calls", 0, integer=True)
        if self.price_per_million is not None:
            price = np.asarray(self.price_per_million, dtype=np.float64)
            if price.shape != (2,) or not (price >= 0).all():
                raise InvalidParameterError(
                    "`price_per_million` must be a pair: the price of a million tokens "
                    f"read and of a million written; got {self.price_per_million!r}."
                )
        if self.max_cost is not None:
            check_number(self.max_cost, "max_cost", 0)
            if self.price_per_million is None:
                raise InvalidParameterError(
                    "`max_cost` needs your price: set `price_per_million=(input, output)`, "
                    "in the currency of `max_cost`."
                )

    def _answer(self, texts: list[str], classes: Classes, verbose: int) -> Found:
        """Answer from the store, and ask for the rest."""
        self._check_budget()
        determines = self._specification(classes) if self.store is not False else None
        if determines is None:
            with _memory_lock:  # threads ask one at a time, as processes do
                memory = self._memory(classes)
                known = {text: memory[text] for text in texts if text in memory}
                return self._complete(texts, classes, verbose, known, memory)
        name = specification_key(determines)
        with LabelStore(self.store) as store:
            known, refused = store.get(name, texts), store.refused(name, texts)
            if len(known) + len(refused) == len(texts):
                return Found(known, refused)
            # One process asks at a time; the next finds what this one stored.
            with store.asking(name, verbose):
                known, refused = store.get(name, texts), store.refused(name, texts)
                keep = _Keeping(store, name, self._describe(classes))
                return self._complete(texts, classes, verbose, known, keep, refused)

    def _complete(
        self,
        texts: list[str],
        classes: Classes,
        verbose: int,
        known: dict[str, Answer],
        keep: dict[str, Answer] | _Keeping,
        refused: dict[str, str] | None = None,
    ) -> Found:
        """Ask about the texts not known yet, keeping every answer as it comes."""
        errors = dict(refused or {})
        unknown = [text for text in texts if text not in known and text not in errors]
        total = spent = keep.spent if isinstance(keep, _Keeping) else Usage()
        drawn: list[str] = []
        fresh: set[str] = set()
        n_truncated = n_done = 0
        stopped_by = ""

        def draw() -> Iterator[str]:
            nonlocal stopped_by
            for text in unknown:
                stopped_by = self._spent_budget(total, len(drawn) - n_done)
                if stopped_by:
                    return
                drawn.append(text)
                yield text

        last = time.perf_counter()
        with progress_bar(len(unknown), "teacher", "text", verbose) as bar:
            for answers in self._spread(draw(), len(unknown), classes):
                some = _by_text(answers, drawn)
                now = time.perf_counter()
                used = Usage(
                    len(answers.places) if answers.n_calls is None else answers.n_calls,
                    answers.input_tokens,
                    answers.output_tokens,
                    now - last,
                )
                total, last = total.plus(used), now
                refusals = {drawn[p]: answers.errors[p] for p in answers.refused}
                if isinstance(keep, _Keeping):
                    keep.put(some, refusals, used)
                else:
                    keep.update(some)
                known |= some
                fresh |= some.keys()
                errors |= {drawn[p]: why for p, why in answers.errors.items()}
                n_done += len(answers.places)
                n_truncated += answers.n_truncated
                bar.update(len(answers.places))
        for text in unknown[len(drawn) :]:
            errors[text] = f"not asked: {stopped_by} is reached"
        used_now = Usage(*(b - a for a, b in zip(spent, total, strict=True)))  # type: ignore[arg-type]
        return Found(
            known,
            errors,
            frozenset(fresh),
            len(drawn),
            n_truncated,
            used_now,
            stopped_by,
        )

    def _spent_budget(self, total: Usage, n_under_way: int) -> str:
        """Return the limit that another text would break, "" for none."""
        each = self._calls_a_text()
        if self.max_calls is not None:
            n_calls = total.n_calls + n_under_way * each
            if n_calls + each > self.max_calls:
                return f"max_calls={self.max_calls}"
        cost = self._cost(total) if self.max_cost is not None else None
        if cost is not None and cost >= float(self.max_cost or 0):
            return f"max_cost={self.max_cost}"
        return ""

    def _spread(
        self, texts: Iterator[str], n_texts: int, classes: Classes
    ) -> Iterator[Answers]:
        """Ask here, or through the workers joblib has been given."""
        backend, _ = get_active_backend()
        n_workers = effective_n_jobs(None)  # 1 unless joblib is configured
        size = -(-n_texts // (n_workers * _CHUNKS_A_WORKER))
        size = min(max(size, _SMALLEST_CHUNK), _LARGEST_CHUNK)
        if n_workers == 1 or backend.nesting_level or n_texts <= size:
            yield from self._ask(texts, classes)
            return
        teacher = self._for_workers()
        failures: list[Exception] = []
        until_failure = itertools.takewhile(lambda _: not failures, texts)
        chunks = iter(lambda: list(itertools.islice(until_failure, size)), [])
        places = itertools.count(step=size)
        answered = Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs")(
            delayed(_ask_elsewhere)(teacher, start, chunk, classes)
            for start, chunk in zip(places, chunks, strict=False)
        )
        for some, failure in answered:
            yield from some
            if failure is not None:
                failures.append(failure)
        if failures:
            raise failures[0]


class _Keeping:
    """What is kept of the answers under one specification of a store."""

    def __init__(
        self, store: LabelStore, specification: str, description: dict[str, Any]
    ) -> None:
        self.spent = store.usage(specification)
        self._store, self._specification = store, specification
        self._description = description

    def put(
        self, answers: dict[str, Answer], refusals: dict[str, str], usage: Usage
    ) -> None:
        """Store answers and what they took."""
        if answers:
            log_prob = np.array([answer.log_prob for answer in answers.values()])
            mass = np.array([answer.label_mass for answer in answers.values()])
            self._store.put(self._specification, list(answers), log_prob, mass)
        if refusals:
            self._store.refuse(self._specification, refusals)
        self._store.spend(self._specification, usage, self._description)


def _ask_elsewhere(
    teacher: AskedTeacher, start: int, texts: list[str], classes: Classes
) -> tuple[list[Answers], Exception | None]:
    """Return a teacher's answers for some of the texts, and what ended them, if it did."""
    answered: list[Answers] = []
    try:
        for answers in teacher._ask(texts, classes):
            moved = answers._replace(
                places=answers.places + start,
                errors={place + start: why for place, why in answers.errors.items()},
                refused=[place + start for place in answers.refused],
            )
            answered.append(moved)
    except Exception as failure:  # what was bought before it is kept
        return answered, failure
    return answered, None


def _by_text(answers: Answers, texts: Sequence[str]) -> dict[str, Answer]:
    """Return the usable answers by text."""
    return {
        texts[place]: Answer(log_prob, float(mass))
        for place, log_prob, mass, no_use in zip(
            answers.places,
            answers.log_prob,
            answers.label_mass,
            nan_rows(answers.log_prob),
            strict=True,
        )
        if not no_use
    }


def specification_key(determines: dict[str, Any]) -> str:
    """Return the name a specification is stored under.

    Parameters
    ----------
    determines : dict
        All that determines an answer beside the text, as JSON values.

    Returns
    -------
    str
        A SHA-256 in hexadecimal.
    """
    text = json.dumps(determines, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
