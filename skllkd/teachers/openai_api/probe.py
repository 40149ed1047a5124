"""The few requests that find out what a server takes and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from skllkd.exceptions import TeacherAccessError
from skllkd.teachers.labels import Usage
from skllkd.teachers.openai_api.capabilities import (
    Dialect,
    form_fault,
    listed_tokens,
)
from skllkd.teachers.openai_api.chat import Questions
from skllkd.teachers.openai_api.client import Connection, Reply

#: How much of a text the probe is made with, in characters.
PROBE_CHARS = 200
#: At most so many parameters are given up before a server counts as refusing.
_ROUNDS = 8
#: A server counts as giving no log-probabilities when it left them out so many times.
_LEFT_OUT = 3


def find_dialect(
    connection: Connection,
    questions: Callable[[str], Questions],
    method: str,
    text: str,
) -> tuple[Dialect, Usage]:
    """Return what a server takes and gives, from one to a few requests.

    Parameters
    ----------
    connection : Connection
        The server.
    questions : callable
        Returns the questions of a method.
    method : {"auto", "logprobs", "votes", "label"}
        What the teacher wants.
    text : str
        A text to ask about.

    Returns
    -------
    dialect : Dialect
        What was found.
    usage : Usage
        What that took.

    Raises
    ------
    TeacherAccessError
        If the server refuses, or gives no log-probabilities and method is "logprobs".
    """
    probe = _Probe(connection, text[:PROBE_CHARS])
    dialect = probe.ask_for_logprobs(questions("logprobs"))
    if method == "logprobs" and not dialect.gives_logprobs:
        why = "is a reasoning model" if dialect.reasons else "comes without them"
        server = connection.server
        raise TeacherAccessError(
            f'`method="logprobs"` needs log-probabilities, and model={server.model!r} at '
            f'{server.base_url} {why}. Use method="votes" for a confidence at `n_votes` '
            'times the calls, or method="label" for labels without one.'
        )
    if method == "votes":
        dialect = probe.ask_for_several(questions("votes"), dialect)
    elif method != "logprobs" and not (method == "auto" and dialect.gives_logprobs):
        dialect = probe.ask_for_schema(questions("label"), dialect)
    return dialect, probe.usage


class _Probe:
    """The requests that find a server's dialect, and what they take."""

    def __init__(self, connection: Connection, text: str) -> None:
        self.usage = Usage()
        self._connection = connection
        self._text = text

    def ask_for_logprobs(self, questions: Questions) -> Dialect:
        """Ask for all that is wanted, giving up what the server says it does not take."""
        dialect, n_left_out = Dialect(), 0
        for _ in range(_ROUNDS + _LEFT_OUT):
            body = questions.bodies(self._text, dialect)[0]
            if not dialect.gives_logprobs:
                body = {k: v for k, v in body.items() if "logprobs" not in k}
            reply = self._complete(body)
            if reply.content is not None and not reply.problem:
                seen = _seen(reply.content, dialect)
                n_left_out += 1
                is_sure = seen.gives_logprobs or seen.reasons or n_left_out == _LEFT_OUT
                if is_sure or not dialect.gives_logprobs:
                    return seen
                continue
            given_up = _without(reply, dialect)
            if given_up == dialect:
                break
            dialect = given_up
        raise self._connection.refusal(reply)

    def ask_for_schema(self, questions: Questions, dialect: Dialect) -> Dialect:
        """Ask for structured output, and look whether it comes."""
        body = questions.bodies(self._text, replace(dialect, takes_schema=True))[0]
        reply = self._complete_or_refuse(body)
        answer = (reply.content or {}).get("choices", [{}])[0].get("message", {})
        content = str(answer.get("content") or "").rpartition("</think>")[2].strip()
        return replace(dialect, takes_schema=content.startswith("{"))

    def ask_for_several(self, questions: Questions, dialect: Dialect) -> Dialect:
        """Ask for two answers, and look whether two come."""
        several = replace(dialect, samples_several=True)
        body = questions.bodies(self._text, several)[0] | {"n": 2}
        reply = self._complete_or_refuse(body)
        n_choices = len((reply.content or {}).get("choices", []))
        return replace(dialect, samples_several=n_choices == 2)

    def _complete_or_refuse(self, body: dict[str, Any]) -> Reply:
        """Send a request that may be refused, but not fail on the way."""
        reply = self._complete(body)
        if reply.kind in ("passing", "stopped"):
            raise self._connection.refusal(reply)
        return reply

    def _complete(self, body: dict[str, Any]) -> Reply:
        """Send a request, and count what it takes."""
        reply = self._connection.complete(body, form_fault)
        self.usage = self.usage.plus(reply.usage)
        return reply


def _seen(completion: dict[str, Any], dialect: Dialect) -> Dialect:
    """Return a dialect with what a completion shows of it."""
    choice = completion["choices"][0]
    message = choice["message"]
    content = str(message.get("content") or "")
    details = (completion.get("usage") or {}).get("completion_tokens_details") or {}
    listed = listed_tokens(choice)
    cut_short = not content and choice.get("finish_reason") == "length"
    reasons = bool(
        details.get("reasoning_tokens")
        or message.get("reasoning_content")
        or message.get("reasoning")
        or content.lstrip().startswith("<think>")
        or (cut_short and not listed)
    )
    return replace(
        dialect,
        gives_logprobs=dialect.gives_logprobs and bool(listed) and not reasons,
        reasons=dialect.reasons or reasons,
    )


def _without(reply: Reply, dialect: Dialect) -> Dialect:
    """Return a dialect without what a server says it does not take."""
    said = reply.problem
    if reply.status not in (400, 403, 422, 500):
        return dialect
    if "max_completion_tokens" in said and dialect.limit_name == "max_tokens":
        return replace(dialect, limit_name="max_completion_tokens")
    if "output limit" in said or "Could not finish" in said:  # it was still thinking
        return replace(dialect, reasons=True, gives_logprobs=False)
    if "temperature" in said and dialect.takes_temperature:
        return replace(dialect, takes_temperature=False)
    if "logprobs" in said and dialect.gives_logprobs:
        if dialect.top_logprobs > 5 and reply.status != 403:
            return replace(dialect, top_logprobs=5)
        return replace(dialect, gives_logprobs=False)
    return dialect
