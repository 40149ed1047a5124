"""The seam every teacher fills, and the asking, storing and calibrating they share."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator

from skllkd._progress import progress_bar
from skllkd._validation import (
    Classes,
    FloatArray,
    IntArray,
    as_classes,
    as_texts,
    check_number,
    check_option,
    is_blank,
    is_numeric_table,
    nan_rows,
)
from skllkd.exceptions import (
    BudgetReachedWarning,
    InvalidParameterError,
    MissingLabelWarning,
    TruncationWarning,
)
from skllkd.teachers._calibration import (
    CONTENT_FREE_TEXTS,
    as_class_prior,
    mean_bias,
    pool_bias,
)
from skllkd.teachers._labels import TeacherLabels
from skllkd.teachers._plan import LabellingPlan, TokenCount
from skllkd.teachers._store import Answer, LabelStore, Usage

#: How many texts a worker is given at once.
_CHUNK = 256
#: How many reasons for missing labels a warning names.
_REASONS = 3
_memory_lock = threading.RLock()


class Answers(NamedTuple):
    """Some of the answers to a question, as they come.

    Parameters
    ----------
    places : ndarray of shape (n,), int
        Which of the texts asked about these are, in the order they were drawn.
    log_prob : ndarray of shape (n, n_classes)
        Raw log-probabilities in nats; a row of NaN is a text without a usable answer.
    label_mass : ndarray of shape (n,)
        The probability on any of the labels; NaN where unknown.
    n_truncated : int
        How many of these texts were longer than the window.
    errors : mapping of int to str
        Why there is no usable answer, by place.
    refused : collection of int
        The places the model itself has no usable answer for, and would have none
        again: they are stored as such. Other failures are not stored.
    n_calls : int or None
        How often the model was called for these; None for once a text.
    input_tokens, output_tokens : int
        The tokens it read and wrote for these, where that is known.
    """

    places: IntArray
    log_prob: FloatArray
    label_mass: FloatArray
    n_truncated: int = 0
    errors: Mapping[int, str] = MappingProxyType({})
    refused: Collection[int] = ()
    n_calls: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class Found(NamedTuple):
    """Answers by text, and what it took to get them."""

    found: dict[str, Answer]
    errors: Mapping[str, str] = MappingProxyType({})  # why a text has no answer
    fresh: frozenset[str] = frozenset()  # answered just now
    n_asked: int = 0
    n_truncated: int = 0
    usage: Usage = Usage()
    stopped_by: str = ""  # the budget that was reached


class Teacher(BaseEstimator, ABC):
    """Base class of the teachers.

    A teacher is a specification of who answers and how, never a live connection or
    loaded model: it can be cloned, compared and pickled at no cost. Parameters of
    subclasses hold no secrets.

    See Also
    --------
    CallableTeacher : Any function of texts.
    PrecomputedTeacher : Labels or probabilities that are there already.
    LlamaCppTeacher : A local language model in GGUF format.
    """

    calibration: str | None
    class_prior: Any

    def label(
        self,
        texts: Any,
        classes: Any,
        *,
        class_bias: FloatArray | None = None,
        verbose: int = 0,
    ) -> TeacherLabels:
        """Return the teacher's distribution over the classes for every text.

        Parameters
        ----------
        texts : sequence of str, or ndarray of shape (n_rows, n_features)
            The texts. Repeats are asked about once; empty ones are not asked about.
            Some teachers read rows of numbers as well.
        classes : sequence or mapping
            The class names, or names with descriptions.
        class_bias : ndarray of shape (n_classes,), optional
            The calibration of an earlier pool (`TeacherLabels.class_bias`) to use
            instead of calibrating on these texts.
        verbose : int, default=0
            Whether to show progress.

        Returns
        -------
        TeacherLabels
            The answers.

        Raises
        ------
        InvalidTextsError, InvalidClassesError, InvalidParameterError
            If the input or a parameter is not allowed.
        TeacherOutputError
            If the teacher's answer is no labelling of the texts.

        Warns
        -----
        MissingLabelWarning
            If texts have no label.
        TruncationWarning
            If texts were longer than the model's window.
        """
        classes = as_classes(classes)
        check_option(self.calibration, "calibration", ["batch", "contextual", None])
        prior = as_class_prior(self.class_prior, classes)
        if (
            self.class_prior is not None
            and prior is None
            and self.calibration != "batch"
        ):
            raise InvalidParameterError(
                '`class_prior="em"` is estimated by batch calibration only, and '
                f'`calibration` is {self.calibration!r}. Set calibration="batch", or '
                "give the shares."
            )
        if self.class_prior is not None and self.calibration is None:
            raise InvalidParameterError(
                "`class_prior` is used by calibration only, and `calibration` is None. "
                'Set calibration="batch", or leave the prior out.'
            )
        if is_numeric_table(texts):
            return self._labels_of_rows(np.asarray(texts), classes, class_bias, prior)
        texts = as_texts(texts, "texts")
        start = time.perf_counter()
        distinct = list(dict.fromkeys(text for text in texts if not is_blank(text)))
        answers = self._answer(distinct, classes, verbose)
        if answers.stopped_by:
            _warn_of_budget(answers)

        n_classes = len(classes)
        nothing = Answer(np.full(n_classes, np.nan), np.nan)
        rows = [answers.found.get(text, nothing) for text in texts]
        log_prob = np.array([row.log_prob for row in rows]).reshape(-1, n_classes)
        n_asked = answers.n_asked
        if class_bias is None and self.calibration == "batch":
            class_bias = self._bias(log_prob, prior)
        elif class_bias is None and self.calibration == "contextual":
            neutral = self._answer(list(CONTENT_FREE_TEXTS), classes, 0)
            n_asked += neutral.n_asked
            known = [answer.log_prob for answer in neutral.found.values()]
            class_bias = mean_bias(np.array(known).reshape(-1, n_classes), prior)
        labels = TeacherLabels(
            classes=classes.names,
            log_prob=log_prob,
            label_mass=np.array([row.label_mass for row in rows]),
            class_bias=class_bias,
            n_asked=n_asked,
            n_reused=sum(text in answers.found for text in texts) - len(answers.fresh),
            n_blank=sum(map(is_blank, texts)),
            n_truncated=answers.n_truncated,
            seconds=time.perf_counter() - start,
            source=np.array([_source(text, answers) for text in texts], dtype=object),
            error=np.array([_error(text, answers) for text in texts], dtype=object),
            usage=answers.usage,
        )
        self._warn(labels)
        return labels

    def plan(self, texts: Any, classes: Any) -> LabellingPlan:
        """Return what labelling texts would take, before the model is called.

        Parameters
        ----------
        texts : sequence of str
            The texts.
        classes : sequence or mapping
            The class names, or names with descriptions.

        Returns
        -------
        LabellingPlan
            Texts, calls, tokens, cost and time. Printed, it is a table.
        """
        classes = as_classes(classes)
        texts = as_texts(texts, "texts")
        distinct = list(dict.fromkeys(text for text in texts if not is_blank(text)))
        return self._plan(texts, distinct, classes)

    def _plan(
        self, texts: list[str], distinct: list[str], classes: Classes
    ) -> LabellingPlan:
        """Return the plan of a teacher whose answers cost nothing."""
        n_blank = sum(map(is_blank, texts))
        return LabellingPlan(len(texts), len(distinct), n_blank, len(distinct), 0, 0)

    def _bias(self, log_prob: FloatArray, prior: FloatArray | None) -> FloatArray:
        """Return the class bias of a pool, for batch calibration."""
        if self.class_prior is None:
            return mean_bias(log_prob, None)
        return pool_bias(log_prob, prior)

    def calibrate(self, texts: Any, y: Any, *, method: str = "temperature") -> Any:
        """Return this teacher with its confidence calibrated on a few gold labels.

        Parameters
        ----------
        texts : sequence of str
            Some texts, at best a random part of the pool.
        y : sequence of shape (n_texts,)
            Their right classes.
        method : {"temperature", "isotonic"}, default="temperature"
            How: one number, which some 30 labels determine, or a rising curve, which
            wants a few hundred.

        Returns
        -------
        CalibratedTeacher
            It asks this teacher, from whose stored answers it learns.
        """
        from skllkd.teachers._calibrated import CalibratedTeacher

        return CalibratedTeacher(self, texts, y, method=method)

    @abstractmethod
    def _answer(self, texts: list[str], classes: Classes, verbose: int) -> Found:
        """Return the answers for distinct, non-blank texts."""

    def _labels_of_rows(
        self,
        rows: FloatArray,
        classes: Classes,
        class_bias: FloatArray | None,
        prior: FloatArray | None,
    ) -> TeacherLabels:
        """Return the teacher's distributions for rows of numbers; none is stored."""
        if self.calibration == "contextual":
            raise InvalidParameterError(
                '`calibration="contextual"` needs texts; got rows of numbers. Use "batch".'
            )
        log_prob, n_asked = self._label_rows(rows, classes)
        if class_bias is None and self.calibration == "batch":
            class_bias = self._bias(log_prob, prior)
        unknown_mass = np.full(len(rows), np.nan)
        labels = TeacherLabels(
            classes.names, log_prob, unknown_mass, class_bias, n_asked=n_asked
        )
        self._warn(labels)
        return labels

    def _label_rows(self, rows: FloatArray, classes: Classes) -> tuple[FloatArray, int]:
        """Return log-probabilities for rows of numbers, and how many were asked."""
        raise InvalidParameterError(
            f"a {type(self).__name__} reads texts; got rows of numbers, which the student "
            "takes. Use a student that takes texts, or a function of rows as teacher."
        )

    def _warn(self, labels: TeacherLabels) -> None:
        """Warn of texts that have no label or were cut."""
        n_missing = int(labels.missing.sum())
        if n_missing:
            warnings.warn(
                f"{n_missing} of {len(labels)} texts have no teacher label "
                f"({_reasons(labels)}). They take no part in training.",
                MissingLabelWarning,
                stacklevel=3,
            )
        if labels.n_truncated:
            warnings.warn(
                f"{labels.n_truncated} of the texts the teacher was asked about were "
                "longer than its window; only their beginning was "
                "read. Raise `max_text_tokens`, or shorten the texts.",
                TruncationWarning,
                stacklevel=3,
            )


class AskedTeacher(Teacher):
    """Base class of the teachers that are asked text by text, and are paid for it.

    Answers are stored as they come, under what determines them, and never asked for
    again. Where joblib is set to run things in parallel, as with
    `joblib.parallel_config(backend="dask")`, the texts are spread over its workers:
    they answer, and this process stores.
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
        seconds = self._expected_seconds(n_calls, tokens)
        if usage.n_calls and usage.seconds:
            seconds = n_calls * usage.seconds / usage.n_calls
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
            seconds=seconds if to_ask else 0.0,
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
        n_truncated, stopped_by = 0, ""

        def draw() -> Iterator[str]:
            nonlocal stopped_by
            for text in unknown:
                stopped_by = self._spent_budget(total, spent, len(drawn))
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

    def _spent_budget(self, total: Usage, before: Usage, n_drawn: int) -> str:
        """Return the limit that another text would break, "" for none."""
        each = self._calls_a_text()
        if self.max_calls is not None:
            n_calls = max(total.n_calls, before.n_calls + n_drawn * each)
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
        backend, n_jobs = get_active_backend()
        if n_jobs is None:
            n_jobs = 1
        n_workers = effective_n_jobs(n_jobs)
        if n_workers == 1 or backend.nesting_level or n_texts < 2 * _CHUNK:
            yield from self._ask(texts, classes)
            return
        chunks = iter(lambda: list(itertools.islice(texts, _CHUNK)), [])
        places = itertools.count(step=_CHUNK)
        answered = Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs")(
            delayed(_ask_elsewhere)(self, start, chunk, classes)
            for start, chunk in zip(places, chunks, strict=False)
        )
        for some in answered:
            yield from some


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
) -> list[Answers]:
    """Return a teacher's answers for some of the texts, from a worker."""
    return [
        answers._replace(
            places=answers.places + start,
            errors={place + start: why for place, why in answers.errors.items()},
            refused=[place + start for place in answers.refused],
        )
        for answers in teacher._ask(texts, classes)
    ]


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


def _source(text: str, answers: Found) -> str:
    """Return where a text's answer is from."""
    if text in answers.found:
        return "model" if text in answers.fresh else "store"
    return ""


def _error(text: str, answers: Found) -> str:
    """Return why a text has no answer, "" where it has one."""
    if text in answers.found:
        return ""
    if is_blank(text):
        return "empty or white space"
    return answers.errors.get(text, "without a usable answer")


def _reasons(labels: TeacherLabels) -> str:
    """Return how many texts have no label for which reason, the frequent ones first."""
    counts = Counter(labels.error[labels.missing])
    parts = [f"{n} {why}" for why, n in counts.most_common(_REASONS)]
    n_others = labels.missing.sum() - sum(n for _, n in counts.most_common(_REASONS))
    return ", ".join([*parts, *([f"{n_others} other"] if n_others else [])])


def _warn_of_budget(answers: Found) -> None:
    """Warn that a limit was reached."""
    n_left = sum(why.startswith("not asked") for why in answers.errors.values())
    warnings.warn(
        f"{answers.stopped_by} is reached: {n_left} distinct texts were not asked about. "
        "What was answered so far is kept; raise the limit to go on from there.",
        BudgetReachedWarning,
        stacklevel=3,
    )


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
