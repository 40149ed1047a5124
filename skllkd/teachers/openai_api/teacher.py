"""A language model behind the OpenAI API, of whichever provider or server."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from skllkd._core.classes import Classes, as_classes
from skllkd._core.texts import as_texts, is_blank
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.calibration import BatchCalibration, Calibration
from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.bridge import Answers, AskedTeacher
from skllkd.teachers.metered.store import LabelStore, fingerprint_key, text_key
from skllkd.teachers.openai_api.asking import as_answers, ask_about, count_tokens
from skllkd.teachers.openai_api.batch import BatchStatus, Collector, submit_batches
from skllkd.teachers.openai_api.capabilities import Dialect, Notes
from skllkd.teachers.openai_api.chat import Questions
from skllkd.teachers.openai_api.client import Connection
from skllkd.teachers.openai_api.concurrent import answered
from skllkd.teachers.openai_api.parameters import (
    address_problem,
    check_parameters,
    is_variable_name,
    server_of,
)
from skllkd.teachers.openai_api.probe import find_dialect
from skllkd.teachers.openai_api.rate_limit import Pace
from skllkd.teachers.plan import TokenCount
from skllkd.teachers.prompting.template import as_examples, one_line

#: So many texts in a row that could not be asked about mean that the server is gone.
_GONE_AFTER = 10
_CONFIDENCE = {"logprobs": "log-probabilities", "votes": "votes", "label": "none"}
_probing = threading.Lock()


class OpenAITeacher(AskedTeacher):
    """A language model behind the OpenAI API: OpenAI's, llama-server, vLLM, Ollama.

    The model is shown the classes with a code for each, A, B, C, and asked for the code
    of a text's class. Where the server lists the likeliest tokens, their probabilities
    are the classes'; nothing is parsed. Before the first text is paid for, the server
    is asked once what it gives.

    Parameters
    ----------
    model : str
        The model's name on the server.
    base_url : str, optional
        The address of the API, which often ends in "/v1". By default the environment
        variable OPENAI_BASE_URL, else OpenAI's.
    api_key_env : str, default="OPENAI_API_KEY"
        The name of the environment variable that holds the key. The key itself is read
        when it is needed, and kept nowhere. Servers other than OpenAI's may need none.
    examples : sequence of (str, class), default=()
        Few-shot examples: texts with their class, at best as many of each.
    instruction : str, optional
        The task in words. The classes, their descriptions and codes are added.
    method : {"auto", "logprobs", "votes", "label"}, default="auto"
        What the confidence is. "logprobs": the probability of each class's code as the
        first token. "votes": the share of `n_votes` answers sampled at temperature 1.
        "label": an answer at temperature 0 without a confidence, through structured
        output where the server has it. "auto": "logprobs" where the server gives them,
        else "label" with a warning.
    n_votes : int, default=8
        How many answers are sampled with "votes".
    max_concurrency : int, default=8
        How many requests are under way at once.
    requests_per_minute, tokens_per_minute : float, optional
        The server's rate limits, which are kept. Where joblib spreads the texts over
        workers, each worker keeps them for itself, as it does `max_concurrency`.
    max_retries : int, default=6
        How often a request is repeated after a refusal for the time being, a failure of
        the server, a timeout, a broken connection or an answer that cannot be read.
    timeout_s : float, default=60.0
        How long an answer may take, in seconds.
    max_text_chars : int, default=8000
        Longer texts are cut, counted and warned of.
    price_per_million : (float, float), optional
        Your price of a million tokens read, and of a million written.
    max_calls : int, optional
        At most so many requests are made, those of earlier runs included.
    max_cost : float, optional
        At most so much is spent, that of earlier runs included. It is looked at before
        each text, so that `max_concurrency` requests under way may go beyond it.
    tokenizer : callable, optional
        A function from a text to its tokens, for `plan` to count with.
    cache_key : str, optional
        A name for the server and the model together, under which answers are stored, so
        that a server that moves keeps them. By default the address and the model's name.
    calibration : BatchCalibration or ContextualCalibration, default=BatchCalibration()
        Correction of the model's preference for some codes; None for none.
    store : str, Path or False, optional
        The label store's file; False for none. By default `labels.sqlite` in the
        folder named by SKLLKD_CACHE, or in the user's cache folder.

    See Also
    --------
    LlamaCppTeacher : A local model in process, with exact probabilities of all classes.

    Notes
    -----
    A class whose code is not among the listed tokens is given the smaller of the
    probability of the last one listed and an equal part of what the list leaves: the
    most it can have. `label_mass` counts the listed codes alone. A text for which no
    code is listed has no label. With more than 26 classes the codes are numbers of up to
    three tokens; the confidence then is the product of the generated code's token
    probabilities, the other classes share the rest equally, and the label mass is not
    known. Votes are smoothed: a class with v of n has (v + 1 / n_classes) / (n + 1).

    Answers are stored under the server, the model, the prompt, the method and the text.
    The first request for a server and a model, and one or two more for "votes" and
    "label", find what it takes and gives; that is remembered in the store, and counted
    in the usage. A server that gave no log-probabilities is asked for them again only
    with ``method="logprobs"``.

    A server that refuses (HTTP 400, 401, 403, 404, or no money left) stops the
    labelling with a `TeacherAccessError`; so do ten texts in a row that could not be
    asked about. A text whose requests all failed is missing, with the reason, and is
    asked about again the next time. What was answered is kept in any case.

    Examples
    --------
    >>> from skllkd.teachers import OpenAITeacher
    >>> teacher = OpenAITeacher(
    ...     "gemma3:4b", base_url="http://localhost:11434/v1", store=False
    ... )
    >>> plan = teacher.plan(["My card was charged twice."], ["billing", "outage"])
    >>> plan.n_calls
    1
    """

    _window = "max_text_chars"

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        examples: Sequence[tuple[str, Any]] = (),
        instruction: str | None = None,
        method: str = "auto",
        n_votes: int = 8,
        max_concurrency: int = 8,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        max_retries: int = 6,
        timeout_s: float = 60.0,
        max_text_chars: int = 8000,
        price_per_million: tuple[float, float] | None = None,
        max_calls: int | None = None,
        max_cost: float | None = None,
        tokenizer: Callable[[str], Sequence[Any]] | None = None,
        cache_key: str | None = None,
        calibration: Calibration | None = BatchCalibration(),  # noqa: B008  (frozen)
        store: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        self.model = model
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.examples = examples
        self.instruction = instruction
        self.method = method
        self.n_votes = n_votes
        self.max_concurrency = max_concurrency
        self.requests_per_minute = requests_per_minute
        self.tokens_per_minute = tokens_per_minute
        self.max_retries = max_retries
        self.timeout_s = timeout_s
        self.max_text_chars = max_text_chars
        self.price_per_million = price_per_million
        self.max_calls = max_calls
        self.max_cost = max_cost
        self.tokenizer = tokenizer
        self.cache_key = cache_key
        self.calibration = calibration
        self.store = store

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse a secret where a name belongs, before the object can show it."""
        if name == "api_key_env" and not is_variable_name(value):
            raise InvalidParameterError(
                "`api_key_env` must be the name of an environment variable, such as "
                "OPENAI_API_KEY; got something else, which is not shown in case it is a "
                "key. Set a variable to the key and give its name."
            )
        if name == "base_url" and value is not None:
            problem = address_problem(value)
            if problem:
                raise InvalidParameterError(
                    f"`base_url` must be an address such as http://localhost:8000/v1; "
                    f"got one {problem}, which is not shown in case it holds a secret. "
                    "Keys go into the environment variable that `api_key_env` names."
                )
        super().__setattr__(name, value)

    def submit(self, texts: Any, classes: Any) -> str:
        """Hand the texts not answered yet to the provider's Batch API.

        Providers ask half the price for answers that may take a day. The job goes on
        without this process; `collect` brings its answers into the store, from any
        process that has the job's name.

        Parameters
        ----------
        texts : sequence of str
            The texts.
        classes : sequence or mapping
            The class names, or names with descriptions.

        Returns
        -------
        str
            The job; "" where nothing is left to ask. The same texts submitted again are
            the same job, unless it failed.

        Raises
        ------
        TeacherAccessError
            If the server refuses, or has no Batch API.
        InvalidParameterError
            If the job would break `max_calls` or `max_cost`, or there is no store.
        """
        named = as_classes(classes)
        texts = as_texts(texts, "texts")
        self._check(named)
        self._check_store()
        distinct = list(dict.fromkeys(text for text in texts if not is_blank(text)))
        if not distinct or self._all_stored(distinct, named):
            return ""
        with self._connect() as connection, LabelStore(self.store) as store:
            dialect = self._dialect(connection, named, distinct[0])
            key = fingerprint_key(self._specification(named))
            store.spend(key, self._notes().unreported(), self._describe(named))
            left = self._left(distinct, named)
            if not left:
                return ""
            self._check_affordable(left, named)
            questions = self._questions(named)
            left.sort(key=text_key)  # the same texts are the same files
            requests = {text: questions.bodies(text, dialect) for text in left}
            return submit_batches(connection, store, key, requests)

    def collect(
        self, job: str, classes: Any, *, wait: bool = False, verbose: int = 0
    ) -> BatchStatus:
        """Bring the answers of a job into the store.

        Parameters
        ----------
        job : str
            What `submit` returned.
        classes : sequence or mapping
            The classes it was submitted for.
        wait : bool, default=False
            Whether to wait until the job has ended, looking twice a minute.
        verbose : int, default=0
            Whether to say how far it is while waiting.

        Returns
        -------
        BatchStatus
            How far the job is, and what came of it. Collected again, nothing is stored
            or counted twice.

        Raises
        ------
        InvalidParameterError
            If the job is of another teacher, other classes or another prompt.
        TeacherAccessError
            If the server refuses, or does not know the job.
        """
        named = as_classes(classes)
        self._check(named)
        self._check_store()
        with self._connect() as connection, LabelStore(self.store) as store:
            key = fingerprint_key(self._specification(named))
            collector = Collector(
                connection, store, key, self._questions(named), self._describe(named)
            )
            return collector.collect(job, wait, verbose)

    def _check(self, classes: Classes) -> None:
        """Raise unless the parameters are what they should be."""
        check_parameters(self)
        as_examples(self.examples, classes)
        self._check_budget()

    def _check_store(self) -> None:
        """Raise if there is no store, which the Batch API needs."""
        if self.store is False:
            raise InvalidParameterError(
                "`store=False`: the answers of a job are put into a store. Name a file, "
                "or leave `store` out for the default."
            )

    # ---- what is asked, and what is known of the server

    def _named(self) -> dict[str, str]:
        """Return what stands for the server and the model in the store."""
        if self.cache_key is not None:
            return {"cache_key": str(self.cache_key)}
        return {"server": server_of(self).base_url, "model": self.model}

    def _notes(self) -> Notes:
        """Return what is known of the server."""
        return Notes(fingerprint_key(self._named()), self.store)

    def _dialect(self, connection: Connection, classes: Classes, text: str) -> Dialect:
        """Return what the server takes and gives, asking it if that is not known."""
        with _probing:  # threads of a process ask once
            dialect = self._notes().dialect()
            if dialect is None or not dialect.suits(self.method):
                dialect, usage = find_dialect(
                    connection,
                    lambda method: self._questions(classes, method),
                    self.method,
                    one_line(text),
                )
                self._notes().keep(dialect, usage)
        return dialect

    def _resolved(self) -> str:
        """Return the method that "auto" stands for: the usual one where not known."""
        if self.method != "auto":
            return self.method
        dialect = self._notes().dialect()
        return "logprobs" if dialect is None or dialect.gives_logprobs else "label"

    def _questions(self, classes: Classes, method: str | None = None) -> Questions:
        """Return the questions about the classes."""
        return Questions.about(
            self.model,
            classes,
            self.instruction,
            as_examples(self.examples, classes),
            method or self._resolved(),
            self.n_votes,
            self.max_text_chars,
        )

    def _specification(
        self, classes: Classes, method: str | None = None
    ) -> dict[str, Any]:
        """Return the server, the model, the prompt and the method."""
        self._check(classes)
        questions = self._questions(classes, method)
        votes = {"n_votes": self.n_votes} if questions.method == "votes" else {}
        return {
            "teacher": "openai",
            "asking": 1,  # raise when the same parameters ask or read otherwise
            **self._named(),
            "messages": questions.before,
            "codes": list(questions.codes),
            "classes": list(classes.words),
            "method": questions.method,
            "max_text_chars": self.max_text_chars,
            **votes,
        }

    # ---- asking

    def _resolve(self, texts: list[str], classes: Classes) -> None:
        """Find out what "auto" stands for, unless no text is to be asked about."""
        if not texts or self._notes().dialect() is not None:
            return
        if self._spent_budget(Usage(), 0):
            return
        if self.store is not False and self._all_stored(texts, classes):
            return
        with self._connect() as connection:
            self._dialect(connection, classes, texts[0])

    def _all_stored(self, texts: list[str], classes: Classes) -> bool:
        """Return whether a store has all, be it merged in and know nothing of a server."""
        is_open = self.method == "auto" and self._notes().dialect() is None
        for method in ("logprobs", "label") if is_open else (self._resolved(),):
            if not self._left(texts, classes, method):
                if is_open and method == "label":
                    self._notes().keep(Dialect(gives_logprobs=False), Usage())
                return True
        return False

    def _left(
        self, texts: list[str], classes: Classes, method: str | None = None
    ) -> list[str]:
        """Return the texts a store has no answer for."""
        key = fingerprint_key(self._specification(classes, method))
        with LabelStore(self.store) as store:
            known = {*store.get(key, texts), *store.refused(key, texts)}
        return [text for text in texts if text not in known]

    def _connect(self) -> Connection:
        """Return a new connection to the server."""
        pace = Pace(self.requests_per_minute, self.tokens_per_minute)
        return Connection(server_of(self), pace, self.max_retries, self.timeout_s)

    def _answers(self, texts: Iterable[str], classes: Classes) -> Iterator[Answers]:
        """Yield answers as they come, from as many requests as may be under way."""
        texts = iter(texts)
        first = next(texts, None)
        if first is None:
            return
        questions, refusal, n_failed = self._questions(classes), None, 0
        with self._connect() as connection:
            dialect = self._dialect(connection, classes, first)
            outcomes = answered(
                itertools.chain([first], texts),
                lambda text: ask_about(text, connection, questions, dialect),
                self.max_concurrency,
                connection.stop,
            )
            for some in outcomes:
                for _, outcome in some:
                    failure = outcome.failure
                    n_failed = n_failed + 1 if failure else 0
                    if failure and refusal is None:
                        gone = failure.kind == "passing" and n_failed >= _GONE_AFTER
                        if failure.kind == "refused" or gone:
                            refusal = failure
                            connection.stop.set()  # those under way are finished
                yield as_answers(some, len(classes), Usage())
        if refusal is not None:
            raise connection.refusal(refusal)

    # ---- what it takes

    def _calls_a_text(self) -> int:
        """Return the requests a text takes, at most."""
        if self.method != "votes":
            return 1
        dialect = self._notes().dialect()
        several = dialect is not None and dialect.samples_several
        return 1 if several else self.n_votes

    def _count(self, texts: list[str], classes: Classes) -> TokenCount:
        """Return the tokens of the whole requests about texts."""
        dialect = self._notes().dialect() or Dialect()
        return count_tokens(texts, self._questions(classes), dialect, self.tokenizer)

    def _expected_seconds(self, n_calls: int, tokens: TokenCount) -> float | None:
        """Return how long the rate limits make asking take."""
        n_tokens = (tokens.input or 0) + (tokens.output or 0)
        minutes = [
            amount / limit
            for amount, limit in (
                (n_calls, self.requests_per_minute),
                (n_tokens, self.tokens_per_minute),
            )
            if limit
        ]
        return 60 * max(minutes) if minutes else None

    def _check_affordable(self, texts: list[str], classes: Classes) -> None:
        """Raise if a job for the Batch API would break a limit."""
        plan = self.plan(texts, classes)
        n_calls = plan.n_calls + plan.spent.n_calls
        if self.max_calls is not None and n_calls > self.max_calls:
            raise InvalidParameterError(
                f"`max_calls={self.max_calls}`: the job has {plan.n_calls} requests, after "
                f"{plan.spent.n_calls} so far. Submit fewer texts, or raise the limit."
            )
        cost = (plan.cost or 0) + (plan.spent_cost or 0)
        if self.max_cost is not None and cost > self.max_cost:
            raise InvalidParameterError(
                f"`max_cost={self.max_cost}`: the job would bring the cost to {cost:.4f} "
                "at `price_per_million`. Submit fewer texts, raise the limit, or set the "
                "price of the Batch API."
            )
