"""Asking about one text: what it takes, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.bridge import Answers
from skllkd.teachers.openai_api.capabilities import Dialect
from skllkd.teachers.openai_api.chat import Questions
from skllkd.teachers.openai_api.client import BYTES_PER_TOKEN, Connection, Reply
from skllkd.teachers.plan import TokenCount

#: What chat formats add to a message, and to a conversation, in tokens.
_MESSAGE_TOKENS, _CHAT_TOKENS = 4, 3


class Outcome(NamedTuple):
    """What came of asking about a text.

    Parameters
    ----------
    log_prob : ndarray of shape (n_classes,) or None
        Raw log-probabilities in nats; None without an answer.
    label_mass : float
        The probability on any class; NaN where unknown.
    error : str
        Why there is no answer.
    is_refusal : bool
        Whether the model itself has none.
    is_cut : bool
        Whether the text was longer than what is asked about.
    usage : Usage
        What it took.
    failure : Reply or None
        What the server did instead of answering.
    """

    log_prob: FloatArray | None
    label_mass: float
    error: str
    is_refusal: bool
    is_cut: bool
    usage: Usage
    failure: Reply | None


def ask_about(
    text: str, connection: Connection, questions: Questions, dialect: Dialect
) -> Outcome:
    """Ask a server about a text.

    Parameters
    ----------
    text : str
        The text.
    connection : Connection
        The server.
    questions : Questions
        What is asked.
    dialect : Dialect
        What the server takes.

    Returns
    -------
    Outcome
        What came of it.
    """
    usage, completions, is_cut = Usage(), [], questions.is_cut(text)
    for body in questions.bodies(text, dialect):
        reply = connection.complete(body, questions.fault)
        usage = usage.plus(reply.usage)
        if reply.problem or reply.content is None:
            error = f"the server gave no answer: {reply.problem}"
            return Outcome(None, np.nan, error, False, is_cut, usage, reply)
        completions.append(reply.content)
    reading = questions.read(completions)
    error = connection.server.mask(reading.refusal)
    refused = reading.log_prob is None
    return Outcome(
        reading.log_prob, reading.label_mass, error, refused, is_cut, usage, None
    )


def as_answers(
    outcomes: Sequence[tuple[int, Outcome]], n_classes: int, also: Usage
) -> Answers:
    """Return outcomes as the base class takes them.

    Parameters
    ----------
    outcomes : sequence of (int, Outcome)
        The places of some texts and what came of them.
    n_classes : int
        How many classes there are.
    also : Usage
        What was spent beside.

    Returns
    -------
    Answers
        The answers.
    """
    nothing = np.full(n_classes, np.nan)
    rows = [nothing if out.log_prob is None else out.log_prob for _, out in outcomes]
    usage = also
    for _, outcome in outcomes:
        usage = usage.plus(outcome.usage)
    return Answers(
        places=np.array([place for place, _ in outcomes], dtype=np.int64),
        log_prob=np.array(rows, dtype=np.float64).reshape(-1, n_classes),
        label_mass=np.array([out.label_mass for _, out in outcomes], dtype=np.float64),
        n_truncated=sum(outcome.is_cut for _, outcome in outcomes),
        errors={place: out.error for place, out in outcomes if out.error},
        refused=[place for place, out in outcomes if out.is_refusal],
        n_calls=usage.n_calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )


def count_tokens(
    texts: Sequence[str],
    questions: Questions,
    dialect: Dialect,
    tokenizer: Callable[[str], Sequence[Any]] | None,
) -> TokenCount:
    """Return the tokens of the whole requests about texts.

    Parameters
    ----------
    texts : sequence of str
        The texts.
    questions : Questions
        What is asked.
    dialect : Dialect
        What the server takes.
    tokenizer : callable or None
        Returns the tokens of a text; without one, they are estimated from its length.

    Returns
    -------
    TokenCount
        The tokens read, and those written at most.
    """

    def length(text: str) -> int:
        if tokenizer is not None:
            return len(tokenizer(text))
        return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)

    frame = _CHAT_TOKENS + sum(
        _MESSAGE_TOKENS + length(message["content"]) for message in questions.before
    )
    n_input = n_output = 0
    for text in texts:
        bodies = questions.bodies(text, dialect)
        message = length(bodies[0]["messages"][-1]["content"])
        n_input += len(bodies) * (frame + _MESSAGE_TOKENS + message)
        n_answers = sum(body.get("n", 1) for body in bodies)
        n_output += n_answers * questions.max_tokens(dialect)
    return TokenCount(
        n_input, n_output, "estimated" if tokenizer is None else "counted"
    )
