"""Client of a server that speaks the OpenAI API: one key, rate limits, retries, no secrets.

What goes wrong is returned as a `Response`, never raised through the client's frames,
whose variables hold the key.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, NamedTuple

from skllkd._core.params import optional_import
from skllkd.exceptions import TeacherAccessError
from skllkd.teachers.labels import Usage
from skllkd.teachers.openai_api.capabilities import Capabilities, usage_of
from skllkd.teachers.openai_api.chat import NO_LOGPROBS, ChatRequest
from skllkd.teachers.openai_api.rate_limit import RateLimiter, backoff_s, retry_after_s
from skllkd.teachers.openai_api.server import Server

#: A server that asks to wait longer than this, in seconds, is not waited for: another
#: process takes over from one that stores nothing for ten minutes.
_PATIENCE_S = 540.0
#: Bytes of UTF-8 for each token, about.
BYTES_PER_TOKEN = 4
#: Messages about a request that is wrong for one text only.
_ABOUT_THE_TEXT = re.compile(
    "context.?length|context.?window|context.?size|content.?filter|content.?policy"
    "|string_above_max_length|too large|too long",
    re.IGNORECASE,
)
#: Ways on for a teacher whose server gives no log-probabilities.
_NEEDS_LOGPROBS = (
    '`method="logprobs"` needs log-probabilities. Use method="votes" for a confidence at '
    '8 times the calls, or method="label" for labels without one.'
)
_REASONS = "it is a reasoning model, which gives no log-probabilities of its answer"
_RETRIED = {408, 409, 425, 429}
#: Codes of a 429 that no waiting helps against.
_OUT_OF_MONEY = {"insufficient_quota", "billing_hard_limit_reached"}


class Response(NamedTuple):
    """Outcome of a request: the content, or the problem, which holds no secret.

    Of the kinds of failure, "passing" is worth another attempt, "text" concerns this text
    alone, "refused" would meet any other request too, "stopped" is our own doing. The
    usage is that of all attempts, those with unusable answers included.
    """

    content: dict[str, Any] | None
    problem: str = ""
    kind: str = ""
    wait_s: float | None = None
    status: int = 0
    usage: Usage = Usage()


class Client:
    """Connection to a server with its rate limits, retries and learned capabilities."""

    def __init__(
        self, server: Server, limiter: RateLimiter, max_retries: int, timeout_s: float
    ) -> None:
        self.server = server
        self.capabilities = Capabilities()
        self.stop = threading.Event()
        self._limiter = limiter
        self._max_retries = max_retries
        self._first = threading.Lock()
        self._openai = optional_import("openai", "openai")
        self.client = self._openai.OpenAI(
            api_key=server.key(),
            base_url=server.base_url,
            timeout=timeout_s,
            max_retries=0,  # its own would escape the rate limits
        )

    def __enter__(self) -> Client:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop waiting requests, and close."""
        self.stop.set()
        self.client.close()

    def complete(self, request: ChatRequest, text: str, n: int = 1) -> Response:
        """Have a text answered, `n` times at most; the first of all texts goes alone."""
        if not self.capabilities.is_settled:
            with self._first:
                if not self.capabilities.is_settled:
                    return self._complete(request, text, n)
        return self._complete(request, text, n)

    def _complete(self, request: ChatRequest, text: str, n: int) -> Response:
        """Send a request until no parameter is left to be given up."""
        usage = Usage()
        while True:
            body = request.body(text, self.capabilities, n)
            limit = request.max_tokens(self.capabilities)
            response = self._send(body, request)
            usage = usage.plus(response.usage)
            response = response._replace(usage=usage)
            if response.problem or response.content is None:
                self.capabilities.learn_from_refusal(response.status, response.problem)
                is_done = request.body(text, self.capabilities, n) == body
            else:
                self.capabilities.learn_from_answer(response.content, body.get("n", 1))
                is_cut = response.content["choices"][0].get("finish_reason") == "length"
                is_done = not is_cut or limit == request.max_tokens(self.capabilities)
            if request.needs_logprobs and self.capabilities.reasons:
                return response._replace(problem=_REASONS, kind="refused")
            if is_done or self.stop.is_set():
                return response

    def _send(self, body: dict[str, Any], request: ChatRequest) -> Response:
        """Send the body of a request, with retries."""

        def fault(completion: Any) -> str:
            problem = request.fault(completion)
            if problem == NO_LOGPROBS:
                self.capabilities.n_without_logprobs += 1
            elif not problem and request.needs_logprobs:
                self.capabilities.gives_logprobs = True
            return problem

        n_tokens = len(json.dumps(body["messages"])) // BYTES_PER_TOKEN
        create = self.client.chat.completions.with_raw_response.create
        return self.request(lambda: create(**body).text, fault, n_tokens)

    def request(
        self,
        call: Callable[[], str],
        fault: Callable[[Any], str] = lambda _: "",
        n_tokens: int = 0,
        *,
        max_retries: int | None = None,
    ) -> Response:
        """Make a call that returns JSON, and repeat it while that may help."""
        limit = self._max_retries if max_retries is None else max_retries
        usage = Usage()
        response = Response(None, "not sent: the labelling stopped", "stopped")
        for attempt in count():
            if not self._limiter.wait(n_tokens, self.stop):
                break
            response = self._attempt(call, fault)
            paid = usage_of(response.content)
            usage = usage.plus(paid._replace(n_calls=int(response.status == 200)))
            if response.kind != "passing" or attempt == limit:
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

    def _attempt(
        self, call: Callable[[], str], fault: Callable[[Any], str]
    ) -> Response:
        """Send a request once."""
        try:
            text = call()
        except self._openai.OpenAIError as error:
            return self._failure(error)
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2"):
                raise
            problem = self.server.mask(f"broken connection: {type(error).__name__}")
            return Response(None, problem, "passing")
        try:
            content = json.loads(text)
        except ValueError:
            return Response(
                None, "the body is no JSON, or cut off", "passing", None, 200
            )
        problem = fault(content)
        kind = "passing" if problem else ""
        if problem == NO_LOGPROBS and self.capabilities.lacks_logprobs:
            kind = "refused"
        return Response(content, problem, kind, None, 200)

    def _failure(self, error: Any) -> Response:
        """Classify an error of the openai package."""
        if isinstance(error, self._openai.APITimeoutError):
            return Response(None, "no answer in time (timeout_s)", "passing")
        if not isinstance(error, self._openai.APIStatusError):
            cause = type(error.__cause__ or error).__name__
            return Response(None, f"broken connection ({cause})", "passing")
        status, headers = error.status_code, error.response.headers
        said = self.server.mask(_message(error))
        problem = f"HTTP {status}: {said}"
        about = f"{error.code} {said}"
        if status == 429 and {error.code, error.type} & _OUT_OF_MONEY:
            kind = "refused"
        elif status == 500 and "validation error" in said:
            kind = "refused"  # llama-cpp-python's server says 500 of a bad request
        elif status in _RETRIED or status >= 500:
            kind = "passing"
        elif status in (400, 413, 422) and _ABOUT_THE_TEXT.search(about):
            kind = "text"
        else:
            kind = "refused"
        return Response(None, problem, kind, retry_after_s(headers), status)

    def refusal(self, response: Response) -> TeacherAccessError:
        """Build the error about a server that refuses, with a hint."""
        server = self.server
        if (
            response.problem in (NO_LOGPROBS, _REASONS)
            or "logprobs" in response.problem
        ):
            hint = _NEEDS_LOGPROBS
        elif response.status == 401:
            hint = f"Check the key in the environment variable {server.api_key_env}."
        elif response.status in (403, 404):
            hint = (
                "Check `model` and `base_url`, which for many servers ends in /v1, and "
                f"that the key in {server.api_key_env} may use that model."
            )
        elif response.status == 429:
            hint = "Check your plan and its limits with the provider, and run again."
        elif response.status in (400, 422):
            hint = "It takes no such request. Check `model` and `base_url`."
        else:
            hint = "Check that it runs, and that `base_url` is its address."
        return TeacherAccessError(
            f"the server at {server.base_url} does not answer for "
            f"model={server.model!r}: {response.problem}. {hint} Answers so far "
            "are kept."
        )


def _message(error: Any) -> str:
    """Read the message of a server's error, in whichever form it comes."""
    body = error.body
    for name in ("error", "detail", "message"):
        if isinstance(body, Mapping) and name in body:
            body = body[name]
    return body if isinstance(body, str) else json.dumps(body) if body else "no reason"
