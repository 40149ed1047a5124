"""The Batch API: many requests in a file, answered within a day at half the price."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.store import LabelStore, text_key
from skllkd.teachers.openai_api.capabilities import usage_of
from skllkd.teachers.openai_api.chat import Questions, Reading
from skllkd.teachers.openai_api.client import Connection, Reply

#: What a file may hold: OpenAI's limits are 50,000 requests and 200 MB.
_FILE_REQUESTS, _FILE_BYTES = 50_000, 190_000_000
_POLL_S = 30.0
_ENDPOINT = "/v1/chat/completions"
_METADATA = "skllkd_specification"
_ENDED = {"completed", "expired", "cancelled", "failed"}


@dataclass(frozen=True)
class BatchStatus:
    """How far a job of the Batch API is, and what came of it.

    Parameters
    ----------
    status : str
        The provider's word: "completed" when all is done; else, of a job in several
        parts, that of the first part that is not. "failed", "expired" and "cancelled"
        are ends too.
    n_requested : int
        How many texts the job asks about, as far as the provider says.
    n_answered : int
        How many have a label, in the store.
    n_refused : int
        How many the model has no usable answer for, noted in the store.
    n_missing : int
        How many have no answer, in the parts that have ended. They can be submitted
        again.
    errors : mapping of str to int
        Why, and how many for each reason.

    Examples
    --------
    >>> from skllkd.teachers import BatchStatus
    >>> status = BatchStatus("completed", 1000, 990, 4, 6, {"expired": 6})
    >>> status.n_answered + status.n_refused + status.n_missing == status.n_requested
    True
    """

    status: str
    n_requested: int = 0
    n_answered: int = 0
    n_refused: int = 0
    n_missing: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)


def submit_batches(
    connection: Connection,
    store: LabelStore,
    key: str,
    requests: Mapping[str, Sequence[dict[str, Any]]],
) -> str:
    """Upload requests and have them answered.

    Parameters
    ----------
    connection : Connection
        The server.
    store : LabelStore
        Where the job is noted, so that it is not bought twice.
    key : str
        What determines the answers beside the text.
    requests : mapping of str to sequence of dict
        The requests about each text.

    Returns
    -------
    str
        The names of the provider's batches, joined by commas.
    """
    jobs = []
    for content in _files(requests):
        digest = hashlib.sha256(content).hexdigest()
        fact = f"batch of {key} with {digest}"
        job = store.fact(fact)
        if job is None or _is_spent(connection, store, key, job):
            job = _submit(connection, key, content)
            store.remember(fact, job)
        jobs.append(job)
    return ",".join(jobs)


def _files(
    requests: Mapping[str, Sequence[dict[str, Any]]],
) -> Iterator[bytes]:
    """Yield files of requests, those about a text together."""
    lines: list[bytes] = []
    n_bytes = 0
    for text, bodies in requests.items():
        name = text_key(text).hex()
        some = [
            json.dumps(
                {
                    "custom_id": name if len(bodies) == 1 else f"{name}-{number}",
                    "method": "POST",
                    "url": _ENDPOINT,
                    "body": body,
                }
            ).encode()
            for number, body in enumerate(bodies)
        ]
        size = sum(map(len, some)) + len(some)
        too_many = len(lines) + len(some) > _FILE_REQUESTS
        if lines and (too_many or n_bytes + size > _FILE_BYTES):
            yield b"\n".join(lines) + b"\n"
            lines, n_bytes = [], 0
        lines += some
        n_bytes += size
    if lines:
        yield b"\n".join(lines) + b"\n"


def _collected(key: str, job: str) -> str:
    """Return the name under which the store remembers what a batch brought."""
    return f"collected batch {job} of {key}"


def _is_spent(connection: Connection, store: LabelStore, key: str, job: str) -> bool:
    """Return whether nothing more is to be had from a batch."""
    if store.fact(_collected(key, job)) is not None:
        return True
    reply = _asked(connection, job)
    if reply.status == 404:
        return True
    batch = _received(connection, reply)
    n_done = (batch.get("request_counts") or {}).get("completed")
    return batch.get("status") in _ENDED and not n_done


def _submit(connection: Connection, key: str, content: bytes) -> str:
    """Upload a file and have it answered."""
    files = connection.client.files.with_raw_response
    batches = connection.client.batches.with_raw_response
    uploaded = _received(
        connection,
        connection.request(
            lambda: files.create(file=("skllkd.jsonl", content), purpose="batch").text,
            _without_id,
        ),
    )
    # Not repeated: a request whose answer was lost may have been accepted, and paid.
    created = connection.request(
        lambda: (
            batches.create(
                input_file_id=uploaded["id"],
                endpoint=_ENDPOINT,
                completion_window="24h",
                metadata={_METADATA: key},
            ).text
        ),
        _without_id,
        max_retries=0,
    )
    return str(_received(connection, created)["id"])


def _without_id(content: Any) -> str:
    """Return what is wrong with an answer that should name something."""
    named = isinstance(content, dict) and isinstance(content.get("id"), str)
    return "" if named else "the body names no file and no batch"


def _received(connection: Connection, reply: Reply) -> dict[str, Any]:
    """Return a reply's content, or raise what the server said."""
    if reply.content is None or reply.problem:
        raise connection.refusal(reply)
    return reply.content


def _asked(connection: Connection, job: str) -> Reply:
    """Return what the provider says of a batch."""
    batches = connection.client.batches.with_raw_response
    return connection.request(lambda: batches.retrieve(job).text, _without_id)


class Collector:
    """Brings the answers of batches into a store.

    Parameters
    ----------
    connection : Connection
        The server.
    store : LabelStore
        The store.
    key : str
        What determines the answers beside the text.
    questions : Questions
        What was asked.
    description : dict
        What the store's table of contents says.
    """

    def __init__(
        self,
        connection: Connection,
        store: LabelStore,
        key: str,
        questions: Questions,
        description: dict[str, Any],
    ) -> None:
        self._connection, self._store, self._key = connection, store, key
        self._questions, self._description = questions, description

    def collect(self, job: str, wait: bool, verbose: int) -> BatchStatus:
        """Return how far a job is, with the answers there are stored.

        Parameters
        ----------
        job : str
            The names of batches, joined by commas; "" for none.
        wait : bool
            Whether to wait until all have ended.
        verbose : int
            Whether to say how far they are.

        Returns
        -------
        BatchStatus
            The sum over the batches.
        """
        total = BatchStatus("completed")
        for name in filter(None, job.split(",")):
            part = self._part(name)
            while wait and part.status not in _ENDED:
                if verbose:
                    print(f"batch {name}: {part.status}", file=sys.stderr)
                time.sleep(_POLL_S)
                part = self._part(name)
            total = _sum(total, part)
        return total

    def _part(self, name: str) -> BatchStatus:
        """Return how far a batch is; its answers are stored when it has ended."""
        fact = _collected(self._key, name)
        collected = self._store.fact(fact)
        if collected is not None:
            return BatchStatus(**json.loads(collected))
        batch = _received(self._connection, _asked(self._connection, name))
        if (batch.get("metadata") or {}).get(_METADATA) != self._key:
            raise InvalidParameterError(
                f"`job`: the batch {name!r} was submitted by another teacher, or for other "
                "classes, another prompt or method. Collect it with those."
            )
        status = str(batch.get("status"))
        n_requested = int((batch.get("request_counts") or {}).get("total") or 0)
        if status not in _ENDED:
            return BatchStatus(status, n_requested)
        lines: list[Any] = []
        for kind in ("output_file_id", "error_file_id"):
            if batch.get(kind):
                lines += self._lines(str(batch[kind]))
        part = self._store_lines(lines, status, n_requested)
        for fault in (batch.get("errors") or {}).get("data") or ():
            said = self._connection.server.mask(str(fault.get("message")))
            part = replace(part, errors={**part.errors, said: 1})
        self._store.remember(fact, json.dumps(vars(part)))
        return part

    def _lines(self, file_id: str) -> list[Any]:
        """Return the lines of a file."""
        files = self._connection.client.files

        def call() -> str:
            text = files.content(file_id).content.decode("utf-8")
            return f"[{','.join(line for line in text.splitlines() if line.strip())}]"

        reply: Any = self._connection.request(call)
        found: list[Any] = _received(self._connection, reply)  # type: ignore[assignment]
        return found

    def _store_lines(
        self, lines: list[Any], status: str, n_requested: int
    ) -> BatchStatus:
        """Store what the lines of a batch say."""
        of_text: dict[bytes, list[Any]] = {}
        for line in lines:
            key = bytes.fromhex(str(line.get("custom_id")).partition("-")[0])
            of_text.setdefault(key, []).append(line)
        known, refused, errors = {}, {}, Counter[str]()
        usage = Usage()
        for key, some in of_text.items():
            bodies = [_body(line) for line in some]
            for body in bodies:
                used = usage_of(body)
                usage = usage.plus(used._replace(n_calls=int(used.input_tokens > 0)))
            problem = next(filter(None, map(self._problem, some)), "")
            reading = Reading(None) if problem else self._questions.read(bodies)
            if problem:
                errors[problem] += 1
            elif reading.log_prob is None:
                refused[key] = self._connection.server.mask(reading.refusal)
            else:
                known[key] = reading
        rows = [reading.log_prob for reading in known.values()]
        mass = [reading.label_mass for reading in known.values()]
        self._store.put_keys(self._key, list(known), np.array(rows), mass)
        self._store.refuse_keys(self._key, refused)
        self._store.spend(self._key, usage, self._description)
        per_text = max(map(len, of_text.values()), default=1)
        n_texts = max(len(of_text), n_requested // per_text)
        n_missing = n_texts - len(known) - len(refused)
        n_unsaid = n_missing - sum(errors.values())
        if n_unsaid:
            errors[f"no line in the files of the {status} batch"] += n_unsaid
        return BatchStatus(
            status, n_texts, len(known), len(refused), n_missing, dict(errors)
        )

    def _problem(self, line: Any) -> str:
        """Return why a line holds no answer, "" if it does."""
        response, body = line.get("response") or {}, _body(line)
        error = line.get("error") or body.get("error")
        if error:
            said = error.get("message") if isinstance(error, dict) else error
            return self._connection.server.mask(str(said))
        if response.get("status_code") != 200:
            return f"HTTP {response.get('status_code')}"
        return self._questions.fault(body)


def _body(line: dict[str, Any]) -> dict[str, Any]:
    """Return the completion a line holds, {} for none."""
    body = (line.get("response") or {}).get("body")
    return body if isinstance(body, dict) else {}


def _sum(a: BatchStatus, b: BatchStatus) -> BatchStatus:
    """Return the status of both together."""
    return BatchStatus(
        b.status if a.status == "completed" else a.status,
        a.n_requested + b.n_requested,
        a.n_answered + b.n_answered,
        a.n_refused + b.n_refused,
        a.n_missing + b.n_missing,
        dict(Counter(a.errors) + Counter(b.errors)),
    )
