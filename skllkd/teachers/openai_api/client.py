"""A connection to a server that speaks the OpenAI API: one key, patience, no secrets.

What goes wrong is returned as a `Reply`, never raised through the client's frames,
whose variables hold the key.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from skllkd._core.params import optional_import
from skllkd.exceptions import InvalidParameterError, TeacherAccessError
from skllkd.teachers.labels import Usage
from skllkd.teachers.openai_api.capabilities import usage_of
from skllkd.teachers.openai_api.rate_limit import Pace, backoff_s, retry_after_s

OPENAI_URL = "https://api.openai.com/v1"
#: A server that asks to wait longer than this, in seconds, is not waited for: another
#: process takes over from one that stores nothing for ten minutes.
_PATIENCE_S = 540.0
#: Characters a token, in bytes of UTF-8, where no tokenizer counts them.
BYTES_PER_TOKEN = 4
_SHOWN = 300
#: What a server says of a request that is wrong for one text only.
_ABOUT_THE_TEXT = re.compile(
    "context.?length|context.?window|context.?size|content.?filter|content.?policy"
    "|string_above_max_length|too large|too long",
    re.IGNORECASE,
)
_RETRIED = {408, 409, 425, 429}
#: What a 429 says that no waiting helps against.
_OUT_OF_MONEY = {"insufficient_quota", "billing_hard_limit_reached"}


class Reply(NamedTuple):
    """What came of a request.

    Parameters
    ----------
    content : dict or None
        The answer; None if there is none.
    problem : str
        What went wrong, "" for nothing. It holds no secret.
    kind : {"", "passing", "text", "refused", "stopped"}
        "passing" is worth another attempt, "text" concerns this text alone, "refused"
        would meet any other request too, "stopped" is our own doing.
    wait_s : float or None
        How long the server asks to wait.
    status : int
        The HTTP status, 0 where there was no answer.
    usage : Usage
        The calls and tokens of all attempts, those with unusable answers included.
    """

    content: dict[str, Any] | None
    problem: str = ""
    kind: str = ""
    wait_s: float | None = None
    status: int = 0
    usage: Usage = Usage()


@dataclass(frozen=True)
class Server:
    """Where a model is, and under which name its key is found.

    Parameters
    ----------
    base_url : str
        The address of the API.
    model : str
        The model's name there.
    api_key_env : str
        The environment variable with the key.
    """

    base_url: str
    model: str
    api_key_env: str

    def key(self) -> str:
        """Return the key, which is to be kept in no variable.

        Returns
        -------
        str
            The key; "none" for a server other than OpenAI's that has none.

        Raises
        ------
        InvalidParameterError
            If the variable is not set, or its value cannot be a key.
        """
        if not os.environ.get(self.api_key_env):
            if urlsplit(self.base_url).hostname != urlsplit(OPENAI_URL).hostname:
                return "none"
            raise InvalidParameterError(
                f"`api_key_env` names the environment variable {self.api_key_env}, which "
                "is not set. Set it to your key before Python starts, or give the name "
                "of the variable that holds it. For a server of your own, set `base_url`."
            )
        if not re.fullmatch("[!-~]+", os.environ[self.api_key_env]):
            raise InvalidParameterError(
                f"the environment variable {self.api_key_env} (`api_key_env`) holds white "
                "space, a line break or a character outside ASCII, which no key has. Was "
                "it read from a file with its line end?"
            )
        return os.environ[self.api_key_env]

    def mask(self, text: str) -> str:
        """Return a message of the server without the key, and not too long.

        Parameters
        ----------
        text : str
            The message.

        Returns
        -------
        str
            The message on one line, with *** for the key.
        """
        if os.environ.get(self.api_key_env):
            text = text.replace(os.environ[self.api_key_env], "***")
        text = " ".join(text.split())
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


class Connection:
    """A client, the pace it keeps, and how often it tries.

    Parameters
    ----------
    server : Server
        Who is asked.
    pace : Pace
        How fast.
    max_retries : int
        How often a request is repeated after a passing failure.
    timeout_s : float
        How long an answer may take, in seconds.
    """

    def __init__(
        self, server: Server, pace: Pace, max_retries: int, timeout_s: float
    ) -> None:
        self.server = server
        self.stop = threading.Event()
        self._pace = pace
        self._max_retries = max_retries
        self._openai = optional_import("openai", "openai")
        self.client = self._openai.OpenAI(
            api_key=server.key(),
            base_url=server.base_url,
            timeout=timeout_s,
            max_retries=0,  # its own would escape the pace
        )

    def __enter__(self) -> Connection:
        """Return the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what waits, and close."""
        self.stop.set()
        self.client.close()

    def complete(self, body: dict[str, Any], fault: Callable[[Any], str]) -> Reply:
        """Return the server's answer to a chat.

        Parameters
        ----------
        body : dict
            The request.
        fault : callable
            Returns what is wrong with the form of an answer, "" for nothing.

        Returns
        -------
        Reply
            The answer or what went wrong, after all retries.
        """
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
    ) -> Reply:
        """Return what a request brings, repeated while that may help.

        Parameters
        ----------
        call : callable
            Sends the request and returns the answer's JSON.
        fault : callable
            Returns what is wrong with the form of an answer.
        n_tokens : int
            About how many tokens the request takes.
        max_retries : int, optional
            How often at most, instead of the connection's own number.

        Returns
        -------
        Reply
            The answer or what went wrong.
        """
        limit = self._max_retries if max_retries is None else max_retries
        usage = Usage()
        reply = Reply(None, "not sent: the labelling stopped", "stopped")
        for attempt in count():
            if not self._pace.wait(n_tokens, self.stop):
                break
            reply = self._attempt(call, fault)
            paid = usage_of(reply.content)._replace(n_calls=int(reply.status == 200))
            usage = usage.plus(paid)
            if reply.kind != "passing" or attempt == limit:
                break
            wait_s = backoff_s(attempt) if reply.wait_s is None else reply.wait_s
            if wait_s > _PATIENCE_S:
                problem = f"{reply.problem}; it asks to come back in {wait_s:,.0f} s"
                reply = reply._replace(problem=problem, kind="refused")
                break
            if reply.wait_s is not None and reply.status == 429:
                self._pace.pause(wait_s)  # the limit is the account's, not the thread's
            if self.stop.wait(wait_s):
                break
        return reply._replace(usage=usage)

    def _attempt(self, call: Callable[[], str], fault: Callable[[Any], str]) -> Reply:
        """Send a request once."""
        try:
            text = call()
        except self._openai.OpenAIError as error:
            return self._failure(error)
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2"):
                raise
            problem = self.server.mask(f"broken connection: {type(error).__name__}")
            return Reply(None, problem, "passing")
        try:
            content = json.loads(text)
        except ValueError:
            return Reply(None, "the body is no JSON, or cut off", "passing", None, 200)
        problem = fault(content)
        return Reply(content, problem, "passing" if problem else "", None, 200)

    def _failure(self, error: Any) -> Reply:
        """Return what an error of the client means."""
        if isinstance(error, self._openai.APITimeoutError):
            return Reply(None, "no answer in time (timeout_s)", "passing")
        if not isinstance(error, self._openai.APIStatusError):
            cause = type(error.__cause__ or error).__name__
            return Reply(None, f"broken connection ({cause})", "passing")
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
        return Reply(None, problem, kind, retry_after_s(headers), status)

    def refusal(self, reply: Reply) -> TeacherAccessError:
        """Return the error that says what to do about a server that refuses.

        Parameters
        ----------
        reply : Reply
            What it said.

        Returns
        -------
        TeacherAccessError
            The error.
        """
        server = self.server
        if reply.status == 401:
            mend = f"Check the key in the environment variable {server.api_key_env}."
        elif reply.status in (403, 404):
            mend = (
                "Check `model` and `base_url`, which for many servers ends in /v1, and "
                f"that the key in {server.api_key_env} may use that model."
            )
        elif reply.status == 429:
            mend = "Check your plan and its limits with the provider, and go on then."
        elif reply.status in (400, 422):
            mend = "It takes no such request. Check `model` and `base_url`."
        else:
            mend = "Check that it runs, and that `base_url` is its address."
        return TeacherAccessError(
            f"the server at {server.base_url} does not answer for "
            f"model={server.model!r}: {reply.problem}. {mend} What was answered so far is "
            "kept."
        )


def _message(error: Any) -> str:
    """Return what a server says of an error, in whichever form it does."""
    body = error.body
    for name in ("error", "detail", "message"):
        if isinstance(body, Mapping) and name in body:
            body = body[name]
    return body if isinstance(body, str) else json.dumps(body) if body else "no reason"
