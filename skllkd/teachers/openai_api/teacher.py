"""A language model behind the OpenAI API, of whichever provider or server."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone
from typing_extensions import override

from skllkd._core.classes import Classes, as_classes
from skllkd._core.params import check_number, check_option
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError, SkllkdWarning
from skllkd.teachers.base import distinct_texts
from skllkd.teachers.calibration import BatchCalibration
from skllkd.teachers.labels import TeacherLabels, Usage
from skllkd.teachers.metered.dispatch import MaySpend, Scorer, always
from skllkd.teachers.metered.scores import Scores, unknown_scores
from skllkd.teachers.metered.store import text_key
from skllkd.teachers.metered.teacher import MeteredTeacher
from skllkd.teachers.openai_api.batch import BatchJobs, BatchStatus
from skllkd.teachers.openai_api.capabilities import Capabilities
from skllkd.teachers.openai_api.chat import ChatRequest
from skllkd.teachers.openai_api.client import Client, LogprobsError
from skllkd.teachers.openai_api.rate_limit import RateLimiter
from skllkd.teachers.openai_api.scorer import ChatScorer, estimate_tokens
from skllkd.teachers.openai_api.served import served_model
from skllkd.teachers.openai_api.server import Server, address_problem, is_variable_name
from skllkd.teachers.openai_api.tag_requests import chat_request
from skllkd.teachers.plan import TokenCount
from skllkd.teachers.prompting.shortening import TextLimit, as_limit
from skllkd.teachers.prompting.template import as_examples

_CONFIDENCE = {
    "logprobs": "log-probabilities",
    "questions": "log-probabilities",
    "votes": "votes",
    "label": "none",
}
#: Number of answers to a text where `method="votes"` gives none.
_N_VOTES = 8
#: Number of requests under way at once, where a server does not say what it takes, and
#: what the servers of the user's said.
_N_CONCURRENT = 8
_AT_ONCE: dict[str, int | None] = {}
#: Number of texts, at most, of which one is answered before a job is submitted.
_FIRST = 3


class OpenAITeacher(MeteredTeacher):
    """A language model behind the OpenAI API: OpenAI's, llama-server, vLLM, Ollama.

    The model is shown the classes with a code for each, A, B, C, and asked for the code
    of a text's class. Where the server lists the likeliest tokens, their probabilities
    are the classes'; nothing is parsed.

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
    method : {"logprobs", "votes", "label", "questions"} or ("votes", int), \
            default="logprobs"
        Source of the confidence. "logprobs": the probability of each class's code as the
        first token. "votes": the share of 8 answers sampled at temperature 1, or of n
        with ("votes", n). "label": an answer at temperature 0 without a confidence,
        through structured output where the server has it. "questions", only with several
        classes a text: a request for each class, answered yes or no (see the notes).
    max_concurrency : int, optional
        Maximum number of requests under way at once. By default what a server of your
        own says it takes, or is known to take (llama-server, vLLM, SGLang and
        llama-cpp-python's), else 8.
    rate_limit : (float or None, float or None), optional
        The server's limits on requests and on tokens per minute, which are kept; None
        for no limit. Where joblib spreads the texts over workers, each worker keeps them
        for itself, as it does `max_concurrency`.
    timeout_s : float, default=60.0
        Maximum duration of an answer, to its last byte, in seconds.
    max_text_chars : int or (int, int), default=8000
        Longer texts are cut, counted and warned of: their head is read, or, with two
        numbers as (6000, 2000), head and tail.
    price_per_million : (float, float), optional
        Your price of a million tokens read, and of a million written.
    max_calls : int, optional
        Maximum number of requests, those of earlier runs included.
    max_cost : float, optional
        Maximum cost, that of earlier runs included. Texts are sent as long as the limit
        leaves room for their expected cost. Tokens are those the server reports, or an
        estimate where it reports none, or fewer than a quarter of the estimate.
    cache_key : str, optional
        A name for the server and the model together, under which answers are stored, so
        that a server that moves keeps them. By default the address, the model's name and,
        for a server on this machine or in its network, what that lists under the name.
    calibration : BatchCalibration, default=BatchCalibration()
        Correction of the model's preference for some codes; None for none. Labels
        without a confidence stay as they are.
    store : str, Path or False, optional
        The label store's file; False for none. By default `labels.sqlite` in the
        folder named by SKLLKD_CACHE, or in the user's cache folder.

    Attributes
    ----------
    max_retries : int
        Number of times that a request is repeated after a refusal for the time being, a
        failure of the server, a timeout, a broken connection or an answer that cannot be
        read: 6. An attribute of the class.

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

    With several classes a text (`Multilabel`) one answer tells all of them: a JSON object
    with true or false for each code, as structured output where the server has it. With
    "logprobs" the probability of a class is that of the token true beside false in its
    place, after the answers about the classes before. `method="questions"` asks about each
    class by itself and reads the first token: n_classes times the calls and about as many
    times the tokens read, for answers that do not depend on each other. `plan` says what
    each takes.

    Answers are stored under the server, the model, the prompt, the method and the text.
    The first request goes alone: what the server names as not taken is left out from then
    on, with a warning, and a model that thinks before it answers is given the tokens for
    it. Where log-probabilities are not given, labels without a confidence are asked for
    instead, with a warning that names the other methods.

    A text that a filter holds back, that is too long for the server, or whose requests
    all failed is missing, with the server's words as the reason; the others are
    labelled. A refusal of the key, the model or the account stops the labelling with a
    `TeacherAccessError`; so do three texts without an answer before there was any, ten in
    a row later on, and, with a `TeacherOutputError`, 21 first answers that name no class.
    What was answered is kept in any case.

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

    max_retries: int = 6
    _window = "max_text_chars"
    _asks_groups = True
    _is_multilabel = True
    _chunk_size = 1

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        examples: Sequence[tuple[str, Any]] = (),
        instruction: str | None = None,
        method: str | tuple[str, int] = "logprobs",
        max_concurrency: int | None = None,
        rate_limit: tuple[float | None, float | None] | None = None,
        timeout_s: float = 60.0,
        max_text_chars: TextLimit = 8000,
        price_per_million: tuple[float, float] | None = None,
        max_calls: int | None = None,
        max_cost: float | None = None,
        cache_key: str | None = None,
        calibration: BatchCalibration | None = BatchCalibration(),  # noqa: B008  (frozen)
        store: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        self.model = model
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.examples = examples
        self.instruction = instruction
        self.method = method
        self.max_concurrency = max_concurrency
        self.rate_limit = rate_limit
        self.timeout_s = timeout_s
        self.max_text_chars = max_text_chars
        self.price_per_million = price_per_million
        self.max_calls = max_calls
        self.max_cost = max_cost
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
        process that has the job's name. One request is made at once, about the first
        text, to learn which parameters the server takes.

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
        distinct = distinct_texts(as_texts(texts, "texts"))
        with self._job_cache(named) as cache:
            known = cache.get(distinct, len(named))
            is_open = ~(known.answered | known.is_final)
            left = [distinct[row] for row in np.flatnonzero(is_open)]
            if not left:
                return ""
            left.sort(key=text_key)  # the same texts are the same files
            request = self._request(cache.asked)
            self._check_affordable(left, request, cache.usage())
            with self._client() as client:
                score = ChatScorer(client, request)
                for text in left[:_FIRST]:
                    none = unknown_scores(0, len(named))  # the job answers it too
                    cache.put([], none, score([text]).usage)
                    score.check()
                    if client.is_settled:
                        break
                return BatchJobs(client, cache, request).submit(left)

    def collect(
        self, job: str, classes: Any, *, wait: bool = False, verbose: int = 0
    ) -> BatchStatus:
        """Bring the answers of a job into the store.

        Parameters
        ----------
        job : str
            The job that `submit` returned.
        classes : sequence or mapping
            The classes it was submitted for.
        wait : bool, default=False
            Whether to wait until the job has ended, looking twice a minute.
        verbose : int, default=0
            Whether to report its status while waiting.

        Returns
        -------
        BatchStatus
            Progress and outcome. Collected again, nothing is stored or counted twice.

        Raises
        ------
        InvalidParameterError
            If the job is of another teacher, other classes or another prompt.
        TeacherAccessError
            If the server refuses, or does not know the job.
        """
        named = as_classes(classes)
        with self._job_cache(named) as cache, self._client() as client:
            jobs = BatchJobs(client, cache, self._request(cache.asked))
            return jobs.collect(job, wait, verbose)

    # ---- the back end

    @override
    def _label_distinct(
        self, texts: list[str], classes: Classes, verbose: int
    ) -> TeacherLabels:
        try:
            return super()._label_distinct(texts, classes, verbose)
        except LogprobsError as error:
            warnings.warn(
                f"{error} This labelling goes on with labels without a confidence, as by "
                'method="label".',
                SkllkdWarning,
                stacklevel=4,
            )
        return self._without_confidence(classes)._label_distinct(
            texts, classes, verbose
        )

    def _without_confidence(self, classes: Classes) -> OpenAITeacher:
        """Make the teacher that asks for labels alone, within the rest of the budget."""
        with self._cache(classes) as cache:
            spent = cache.usage().plus(self._spent_elsewhere)
        teacher: OpenAITeacher = clone(self).set_params(method="label")
        teacher.max_retries = self.max_retries
        if self.max_calls is not None:
            teacher.max_calls = max(0, self.max_calls - spent.n_calls)
        if self.max_cost is not None:
            cost = self._budget().cost(spent) or 0.0
            teacher.max_cost = max(0.0, self.max_cost - cost)
        return teacher

    @override
    def score_batch(self, texts: list[str], classes: Classes) -> Scores:
        with self._open_scorer(classes) as score:
            return score(texts)

    @override
    def fingerprint(self, classes: Classes) -> dict[str, Any]:
        request = self._request(classes)
        named = {"cache_key": str(self.cache_key)}
        if self.cache_key is None:
            named = {"server": self._server().address, "model": self.model}
        votes = {"n_votes": request.n_votes} if request.n_votes else {}
        return {
            "teacher": "openai",
            "asking": 1,  # raise when the same parameters ask or read otherwise
            **named,
            "messages": request.before,
            "codes": list(request.codes),
            "classes": list(request.classes.words),
            "method": request.method,
            "max_text_chars": request.limit.as_json(),
            **votes,
        }

    @override
    def _describe(self, classes: Classes) -> dict[str, Any]:
        described = super()._describe(classes)
        if self.cache_key is not None:
            return described | {"model": str(self.cache_key)}
        return described | {"model": self.model, "server": self._server().address}

    @override
    def _serves(self) -> str | None:
        server = self._server()
        if self.cache_key is not None or not server.is_private:
            return ""
        served = served_model(server)
        _AT_ONCE[server.address] = served and served.n_at_once
        return served and served.model

    @override
    @contextmanager
    def _open_scorer(
        self, classes: Classes, may_spend: MaySpend = always
    ) -> Iterator[Scorer]:
        with self._client(may_spend) as client:
            scorer = ChatScorer(client, self._request(classes))
            yield scorer
            scorer.check()
        _warn_of_changes(client)

    @override
    def _count_tokens(self, texts: list[str], classes: Classes) -> TokenCount:
        return estimate_tokens(texts, self._request(classes))

    @override
    def _prompt_of(self, text: str, classes: Classes) -> str:
        first = self._request(classes).parts[0]
        messages = first.body(text, Capabilities())["messages"]
        return "\n".join(f"[{m['role']}] {m['content']}" for m in messages)

    @override
    def _expected_seconds(self, n_calls: int, tokens: TokenCount) -> float | None:
        n_tokens = (tokens.input or 0) + (tokens.output or 0)
        limits = zip((n_calls, n_tokens), self.rate_limit or (), strict=False)
        minutes = [amount / limit for amount, limit in limits if limit]
        return 60 * max(minutes) if minutes else None

    @override
    def _for_workers(self) -> OpenAITeacher:
        teacher: OpenAITeacher = copy.copy(self)
        teacher.max_concurrency = self._n_concurrent
        return teacher

    @property
    def _n_concurrent(self) -> int:  # type: ignore[override]
        if self.max_concurrency is not None:
            return self.max_concurrency
        return _AT_ONCE.get(self._server().address) or _N_CONCURRENT

    @override
    def _calls_per_text(self, classes: Classes) -> int:
        return len(classes) if self.method == "questions" else self._votes() or 1

    @property
    def _confidence(self) -> str:  # type: ignore[override]
        return _CONFIDENCE["votes" if self._votes() else str(self.method)]

    def _votes(self) -> int:
        """Return the number of answers sampled for a text, 0 with other methods."""
        if self.method == "votes":
            return _N_VOTES
        return self.method[1] if isinstance(self.method, (tuple, list)) else 0

    def _request(self, classes: Classes) -> ChatRequest:
        """Write the request about the classes."""
        return chat_request(
            self.model,
            classes,
            self.instruction,
            tuple(as_examples(self.examples, classes)),
            "votes" if self._votes() else str(self.method),
            self._votes(),
            as_limit(self.max_text_chars, "max_text_chars"),
        )

    def _server(self) -> Server:
        """Find the server."""
        return Server.found(self.base_url, self.model, self.api_key_env)

    def _client(self, may_spend: MaySpend = always) -> Client:
        """Open a client of the server."""
        limiter = RateLimiter(*(self.rate_limit or (None, None)))
        return Client(
            self._server(), limiter, self.max_retries, self.timeout_s, may_spend
        )

    # ---- checks

    @override
    def _check_parameters(self, classes: Classes) -> None:
        if not isinstance(self.model, str) or not self.model.strip():
            raise InvalidParameterError(
                f"`model` must be the model's name on the server; got {self.model!r}."
            )
        self._check_method(classes)
        if self.max_concurrency is not None:
            check_number(self.max_concurrency, "max_concurrency", 1, integer=True)
        as_limit(self.max_text_chars, "max_text_chars")
        check_number(self.max_retries, "max_retries", 0, integer=True)
        check_number(self.timeout_s, "timeout_s", 0, open_low=True)
        self._check_rate_limit()

    def _check_method(self, classes: Classes) -> None:
        """Raise InvalidParameterError unless the method is one, or votes and a number."""
        if not isinstance(self.method, (tuple, list)):
            check_option(self.method, "method", list(_CONFIDENCE))
            if self.method == "questions" and not classes.multilabel:
                raise InvalidParameterError(
                    '`method="questions"` asks about each class by itself, for texts that '
                    "have several: classes=Multilabel([...]). With one class a text use "
                    'method="logprobs".'
                )
            return
        name, *number = self.method
        if name != "votes" or len(number) != 1:
            raise InvalidParameterError(
                '`method` must be "logprobs", "votes", "label", "questions" or ("votes", '
                f"number of answers); got {self.method!r}."
            )
        check_number(number[0], "method", 1, integer=True)

    def _check_rate_limit(self) -> None:
        """Raise InvalidParameterError unless the rate limits are a pair."""
        if self.rate_limit is None:
            return
        if not isinstance(self.rate_limit, (tuple, list)) or len(self.rate_limit) != 2:
            raise InvalidParameterError(
                "`rate_limit` must be a pair: requests and tokens per minute, None for no "
                f"limit; got {self.rate_limit!r}. E.g. rate_limit=(500, None)."
            )
        for limit in self.rate_limit:
            if limit is not None:
                check_number(limit, "rate_limit", 0, open_low=True)

    def _job_cache(self, classes: Classes) -> AbstractContextManager[Any]:
        """Open the store, which the Batch API needs, once the parameters make sense."""
        self._check_parameters(classes)
        if classes.tree is not None:
            raise InvalidParameterError(
                "a job cannot ask down a tree of `classes`, whose next question depends on "
                "the last answer. Use `label`, or give the job a list of the classes."
            )
        if self.store is False:
            raise InvalidParameterError(
                "`store=False`: the answers of a job are put into a store. Name a file, "
                "or leave `store` out for the default."
            )
        return self._cache(classes)

    def _check_affordable(
        self, texts: list[str], request: ChatRequest, spent: Usage
    ) -> None:
        """Raise InvalidParameterError if a job would break a limit."""
        budget = self._budget()
        n_calls = (len(texts) + 1) * self._calls_per_text(
            request.classes
        )  # one text is asked at once
        if self.max_calls is not None and n_calls + spent.n_calls > self.max_calls:
            raise InvalidParameterError(
                f"`max_calls={self.max_calls}`: the job has {n_calls} requests, after "
                f"{spent.n_calls} so far. Submit fewer texts, or raise the limit."
            )
        tokens = estimate_tokens(texts, request)
        used = Usage(0, tokens.input or 0, tokens.output or 0)
        cost = budget.cost(spent.plus(used)) or 0
        if self.max_cost is not None and cost > self.max_cost:
            raise InvalidParameterError(
                f"`max_cost={self.max_cost}`: the job would bring the cost to {cost:.4f} "
                "at `price_per_million`. Submit fewer texts, raise the limit, or set the "
                "price of the Batch API."
            )


def _warn_of_changes(client: Client) -> None:
    """Warn of parameters that the server did not take."""
    changes = client.capabilities.described()
    if changes:
        warnings.warn(
            f"the server at {client.server.base_url}: {'; '.join(changes)}.",
            SkllkdWarning,
            stacklevel=2,
        )
