"""Client of a server that speaks the OpenAI API: rate limits, retries, no secrets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, NamedTuple

from skllkd.exceptions import TeacherAccessError
from skllkd.teachers.labels import Usage
from skllkd.teachers.openai_api.capabilities import Capabilities
from skllkd.teachers.openai_api.chat import ChatRequest
from skllkd.teachers.openai_api.completion import (
    Completion,
    Refusal,
    read_completion,
    read_refusal,
)
from skllkd.teachers.openai_api.connection import NOT_JSON, Connection, Exchange
from skllkd.teachers.openai_api.rate_limit import RateLimiter, backoff_s, retry_after_s
from skllkd.teachers.openai_api.reading import NO_LOGPROBS, THINKS
from skllkd.teachers.openai_api.refusals import kind_of
from skllkd.teachers.openai_api.server import Server

#: A server that asks to wait longer than this, in seconds, is not waited for: another
#: process takes over from one that stores nothing for ten minutes.
_PATIENCE_S = 540.0
#: Bytes of UTF-8 for each token, about.
BYTES_PER_TOKEN = 4
#: A count of tokens below this share of the estimate is not believed.
_CREDIBLE = 0.25
#: Number of repeated attempts for an answer whose log-probabilities were left out.
_LEFT_OUT = 2
#: Ways on for a teacher whose server gives no log-probabilities.
_NEEDS_LOGPROBS = (
    '`method="logprobs"` needs log-probabilities. Use method="votes" for a confidence at '
    '8 times the calls, or method="label" for labels without one.'
)


class LogprobsError(TeacherAccessError):
    """The server gives no log-probabilities."""


class Response(NamedTuple):
    """Outcome of a request: the content, or the problem, which holds no secret.

    Of the kinds of failure, "passing" is worth another attempt, "text" concerns this text
    alone, "odd" may concern it, "unfit" is an answer without log-probabilities;
    "unreachable", "refused" and "no logprobs" concern all texts, "stopped" is our own
    doing. The usage is that of all attempts, those with unusable answers included.
    """

    content: Any = None
    problem: str = ""
    kind: str = ""
    wait_s: float | None = None
    status: int = 0
    usage: Usage = Usage()
    refusal: Refusal | None = None


#: Reads the content of an answer, and describes its fault, "" for none.
Reader = Callable[[Any], tuple[Any, str]]


class Client:
    """Connection to a server with its rate limits, retries and learned capabilities."""

    def __init__(
        self,
        server: Server,
        limiter: RateLimiter,
        max_retries: int,
        timeout_s: float,
        may_spend: Callable[[Usage], bool] = lambda _: True,
    ) -> None:
        self.server = server
        self.capabilities = Capabilities()
        #: Whether an answer has come, so that the parameters are known to be right.
        self.is_settled = False
        self.stop = threading.Event()
        self._limiter, self._may_spend = limiter, may_spend
        self._max_retries = max_retries
        self._first, self._learning = threading.Lock(), threading.Lock()
        self._connection = Connection(server, timeout_s)

    def __enter__(self) -> Client:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop waiting requests, and close."""
        self.stop.set()
        self._connection.close()

    def complete(
        self, request: ChatRequest, text: str, n: int, used: Usage
    ) -> Response:
        """Have a text that took some tokens already answered, `n` times at most.

        The first of all texts goes alone, until an answer has come.
        """
        if not self.is_settled:
            with self._first:
                if not self.is_settled:
                    return self._complete(request, text, n, used)
        return self._complete(request, text, n, used)

    def _complete(
        self, request: ChatRequest, text: str, n: int, used: Usage
    ) -> Response:
        """Send a request, and give up parameters that the server refuses, if that helps."""
        usage, changes = Usage(), dict[str, Any]()
        while True:
            server = replace(self.capabilities, **changes)
            body = request.body(text, server, n)
            response = self._send(body, request, server.limit_name, used.plus(usage))
            usage = usage.plus(response.usage)
            response = response._replace(usage=usage)
            if response.refusal is not None:
                found = server.changes_after_refusal(response.refusal, body)
                is_done = not found
                response = _without_logprobs(response, body) if is_done else response
            elif not response.problem:
                found = server.changes_after_answer(response.content, body.get("n", 1))
                longer = request.max_tokens(replace(server, **found))
                is_cut = response.content.answers[0].is_cut
                is_done = not is_cut or longer == body[server.limit_name]
            else:
                found, is_done = {}, True
            changes |= found
            if not response.problem and is_done:
                self._learn(changes)
            if is_done or self.stop.is_set() or not self._may_spend(used.plus(usage)):
                return response

    def _learn(self, changes: Mapping[str, Any]) -> None:
        """Keep the changes that an answer came of."""
        kept = {name: value for name, value in changes.items() if name != "most_tokens"}
        with self._learning:
            self.capabilities = replace(self.capabilities, **kept)
            self.is_settled = True

    def _send(
        self, body: dict[str, Any], request: ChatRequest, limit_name: str, used: Usage
    ) -> Response:
        """Send the body of a request, with retries."""

        def read(content: Any) -> tuple[Completion, str]:
            completion = read_completion(content)
            return completion, request.reader.fault(completion)

        n_tokens = len(json.dumps(body["messages"])) // BYTES_PER_TOKEN

        def paid(exchange: Exchange, content: Any) -> Usage:
            if isinstance(content, Completion):
                return usage_of(content, n_tokens)
            if exchange.status == 200 and content is not None:
                return Usage()  # an error in the form of an answer
            was_lost = exchange.was_sent and exchange.status in (0, 200)
            return Usage(1, n_tokens, body[limit_name]) if was_lost else Usage()

        return self.request(
            "POST", "chat/completions", read, paid, used, n_tokens=n_tokens, json=body
        )

    def request(
        self,
        method: str,
        path: str,
        read: Reader = lambda content: (content, ""),
        paid: Callable[[Exchange, Any], Usage] = lambda *_: Usage(),
        used: Usage = Usage(),  # noqa: B008  (frozen)
        *,
        n_tokens: int = 0,
        max_retries: int | None = None,
        by_line: bool = False,
        **content: Any,
    ) -> Response:
        """Make a request whose answer is JSON, and repeat it while that may help."""
        limit = self._max_retries if max_retries is None else max_retries
        usage, n_unfit = Usage(), 0
        response = Response(None, "not sent: the labelling stopped", "stopped")
        if not self._may_spend(used):
            return Response(None, "not sent: the limit is reached", "stopped")
        for attempt in count():
            if not self._limiter.wait(n_tokens, self.stop):
                break
            exchange = self._connection.send(method, path, **content)
            response = self._read(exchange, read, by_line)
            usage = usage.plus(paid(exchange, response.content))
            n_unfit += response.kind == "unfit"
            is_passing = response.kind in ("passing", "unreachable") or (
                response.problem == NO_LOGPROBS and n_unfit <= _LEFT_OUT
            )
            if (
                not is_passing
                or attempt >= limit
                or not self._may_spend(used.plus(usage))
            ):
                break
            wait_s = backoff_s(attempt) if response.wait_s is None else response.wait_s
            if wait_s > _PATIENCE_S:
                problem = f"{response.problem}; it asks to come back in {wait_s:,.0f} s"
                response = response._replace(problem=problem, kind="refused")
                break
            if response.wait_s is not None and response.status == 429:
                self._limiter.pause(wait_s)  # the limit is the account's
            if self.stop.wait(wait_s):
                break
        return response._replace(usage=usage)

    def _read(self, exchange: Exchange, read: Reader, by_line: bool) -> Response:
        """Read the outcome of a request."""
        status = exchange.status
        if exchange.problem:
            kind = "passing" if exchange.was_sent else "unreachable"
            return Response(None, exchange.problem, kind, None, status)
        is_good = 200 <= status < 300
        try:
            content = exchange.lines() if by_line else exchange.json()
            refusal = read_refusal(content, 0 if is_good else status)
            value, problem = (
                read(content) if is_good and refusal is None else (None, "")
            )
        except (ValueError, RecursionError):
            words = exchange.body[:1000].decode("utf-8", "replace")
            if is_good:
                problem = (
                    f"{NOT_JSON}: {self.server.mask(words)}" if words else NOT_JSON
                )
                return Response(None, problem, "passing", None, status)
            refusal = Refusal(words or "no reason", status)
        if refusal is None:
            unfit = "unfit" if problem in (NO_LOGPROBS, THINKS) else "passing"
            return Response(value, problem, unfit if problem else "", None, status)
        number = f"HTTP {status} with an error" if is_good else f"HTTP {status}"
        words = self.server.mask(refusal.words)
        kind, wait_s = kind_of(refusal), retry_after_s(exchange.headers)
        status = refusal.status
        return Response(
            None, f"{number}: {words}", kind, wait_s, status, refusal=refusal
        )

    def refusal(self, response: Response) -> TeacherAccessError:
        """Build the error about a server that refuses, with a hint."""
        server, kind = self.server, TeacherAccessError
        if response.kind in ("unfit", "no logprobs"):
            hint = _NEEDS_LOGPROBS
            kind = LogprobsError if response.problem != THINKS else kind
        elif response.status == 401:
            hint = f"Check the key in the environment variable {server.api_key_env}."
        elif response.status in (403, 404):
            hint = (
                "Check `model` and `base_url`, which for many servers ends in /v1, and "
                f"that the key in {server.api_key_env} may use that model."
            )
        elif response.status in (402, 429):
            hint = "Check your plan and its limits with the provider, and run again."
        elif response.status in (400, 422):
            hint = "It takes no such request. Check `model` and `base_url`."
        else:
            hint = "Check that it runs, and that `base_url` is its address."
        return kind(
            f"the server at {server.base_url} does not answer for "
            f"model={server.model!r}: {response.problem}. {hint} Answers so far "
            "are kept."
        )


def _without_logprobs(response: Response, body: Mapping[str, Any]) -> Response:
    """Tell a refusal of log-probabilities from other ones."""
    words = response.refusal.words if response.refusal else ""
    is_about_them = "logprobs" in body and "logprobs" in words.casefold()
    is_one = response.kind == "odd" and is_about_them
    return response._replace(kind="no logprobs") if is_one else response


def usage_of(completion: Completion, n_estimated: int) -> Usage:
    """Count the call and its tokens, by an estimate where the server's are not credible."""
    n_input, n_output = completion.n_input, completion.n_output
    written = sum(
        max(len(answer.tokens), -(-answer.n_bytes // BYTES_PER_TOKEN))
        for answer in completion.answers
    )
    if n_input < _CREDIBLE * n_estimated:
        n_input = n_estimated
    if n_output < _CREDIBLE * written:
        n_output = written
    return Usage(1, n_input, n_output)
