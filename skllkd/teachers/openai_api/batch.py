"""Batch API: many requests in a file, answered within a day at half the price."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from skllkd.exceptions import InvalidParameterError, StoreError
from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.cache import StoreCache
from skllkd.teachers.metered.scores import Scores, concatenate_scores, unknown_scores
from skllkd.teachers.metered.store import text_key
from skllkd.teachers.openai_api.chat import ChatRequest
from skllkd.teachers.openai_api.client import (
    BYTES_PER_TOKEN,
    Client,
    Response,
    usage_of,
)
from skllkd.teachers.openai_api.completion import (
    Answer,
    number,
    read_completion,
    read_refusal,
)
from skllkd.teachers.openai_api.connection import FILE_BYTES
from skllkd.teachers.openai_api.scorer import row_of

#: Size of a file: OpenAI's limits are 50,000 requests and 200 MB.
_FILE_REQUESTS, _FILE_BYTES = 50_000, 190_000_000
_POLL_S = 30.0
_ENDPOINT = "/v1/chat/completions"
_METADATA = "skllkd_fingerprint"
_SAID = "the provider's error"
#: Note of the tokens that a request of a batch has, about.
_TOKENS = "{} tokens"
#: Time for a file to be sent or received, in seconds.
_FILE_S = 3600.0
_ENDED = {"completed", "expired", "cancelled", "failed"}


@dataclass(frozen=True)
class BatchStatus:
    """Progress and outcome of a job of the Batch API.

    Parameters
    ----------
    status : str
        The provider's word: "completed" when all is done; else, of a job in several
        parts, that of the first part that is not. "failed", "expired" and "cancelled"
        are ends too.
    n_requested : int
        Number of texts in the job, as far as the provider says.
    n_answered : int
        Number of texts with a label, which is in the store.
    n_unanswered : int
        Number of texts the model has no usable answer for, noted in the store.
    n_missing : int
        Number of texts without an answer in the parts that have ended. They can be
        submitted again.
    errors : mapping of str to int
        Reasons, with the number of texts for each.

    Examples
    --------
    >>> from skllkd.teachers.openai_api.batch import BatchStatus
    >>> status = BatchStatus("completed", 1000, 990, 4, 6, {"expired": 6})
    >>> status.n_answered + status.n_unanswered + status.n_missing == status.n_requested
    True
    """

    status: str
    n_requested: int = 0
    n_answered: int = 0
    n_unanswered: int = 0
    n_missing: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)


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
                    "custom_id": name if len(bodies) == 1 else f"{name}-{i}",
                    "method": "POST",
                    "url": _ENDPOINT,
                    "body": body,
                }
            ).encode()
            for i, body in enumerate(bodies)
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


def _named(content: Any) -> tuple[dict[str, Any], str]:
    """Read an answer that should name something."""
    is_named = isinstance(content, dict) and isinstance(content.get("id"), str)
    return (content, "") if is_named else ({}, "the body names no file and no batch")


class BatchJobs:
    """Submits requests as batches, and brings the answers into a store."""

    def __init__(self, client: Client, cache: StoreCache, request: ChatRequest) -> None:
        self._client, self._cache, self._request = client, cache, request

    def submit(self, texts: list[str]) -> str:
        """Upload the requests about texts, and return the names of the batches."""
        server = self._client.capabilities
        requests = {text: self._request.bodies(text, server) for text in texts}
        jobs = []
        for content in _files(requests):
            digest = hashlib.sha256(content).hexdigest()
            job = self._cache.read_note(digest)
            if job is None or self._is_spent(job):
                job = self._submit(content)
                self._note(digest, job)
                n_tokens = len(content) // (BYTES_PER_TOKEN * content.count(b"\n"))
                self._cache.write_note(_TOKENS.format(job), str(n_tokens))
            jobs.append(job)
        return ",".join(jobs)

    def _note(self, digest: str, job: str) -> None:
        """Note a batch that was bought, or name it where that fails."""
        try:
            self._cache.write_note(digest, job)
        except StoreError as error:
            raise StoreError(
                f"{error} The batch {job!r} was accepted: collect it by that name."
            ) from error

    def _is_spent(self, job: str) -> bool:
        """Return whether no more answers are to be had from a batch."""
        if self._cache.read_note(job) is not None:
            return True
        response = self._ask(job)
        if response.status == 404:
            return True
        batch = self._received(response)
        return batch.get("status") in _ENDED and not _counts(batch)["completed"]

    def _submit(self, content: bytes) -> str:
        """Upload a file and have it answered."""
        uploaded = self._client.request(
            "POST",
            "files",
            _named,
            timeout_s=_FILE_S,
            files={"file": ("skllkd.jsonl", content)},
            data={"purpose": "batch"},
        )
        order = {
            "input_file_id": self._received(uploaded)["id"],
            "endpoint": _ENDPOINT,
            "completion_window": "24h",
            "metadata": {_METADATA: self._cache.fingerprint},
        }
        # Not repeated: a request whose answer was lost may have been accepted, and paid.
        created = self._client.request(
            "POST", "batches", _named, max_retries=0, json=order
        )
        return str(self._received(created)["id"])

    def _ask(self, job: str) -> Response:
        """Ask the provider about a batch."""
        return self._client.request("GET", f"batches/{quote(job, safe='')}", _named)

    def _received(self, response: Response) -> Any:
        """Return the content of a response, or raise TeacherAccessError."""
        if response.problem:
            raise self._client.refusal(response)
        return response.content

    def collect(self, job: str, wait: bool, verbose: int) -> BatchStatus:
        """Store the answers there are, and sum up the status of all batches of a job."""
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
        """Look a batch up; its answers are stored when it has ended."""
        collected = self._cache.read_note(name)
        if collected is not None:
            return BatchStatus(**json.loads(collected))
        batch = self._received(self._ask(name))
        if _part(batch, "metadata").get(_METADATA) != self._cache.fingerprint:
            raise InvalidParameterError(
                f"`job`: the batch {name!r} was submitted by another teacher, or for other "
                "classes, another prompt or method. Collect it with those."
            )
        status = str(batch.get("status"))
        n_requested = _counts(batch)["total"]
        if status not in _ENDED:
            return BatchStatus(status, n_requested)
        lines: list[Any] = []
        for kind in ("output_file_id", "error_file_id"):
            if batch.get(kind):
                lines += self._lines(str(batch[kind]))
        n_tokens = int(self._cache.read_note(_TOKENS.format(name)) or 0)
        part = self._store_lines(lines, status, n_requested, n_tokens)
        for fault in _part(batch, "errors").get("data") or ():
            refusal = read_refusal({"error": fault})
            said = self._client.server.mask(refusal.words if refusal else "no reason")
            part = replace(part, errors={**part.errors, f"{_SAID}: {said}": 1})
        self._cache.write_note(name, json.dumps(_without_quotes(part)))
        return part

    def _lines(self, file_id: str) -> list[Any]:
        """Download the lines of a file."""
        path = f"files/{quote(file_id, safe='')}/content"
        response = self._client.request(
            "GET", path, by_line=True, n_bytes=FILE_BYTES, timeout_s=_FILE_S
        )
        lines: list[Any] = self._received(response)
        return lines

    def _store_lines(
        self, lines: list[Any], status: str, n_requested: int, n_tokens: int
    ) -> BatchStatus:
        """Store the answers in the lines of a batch."""
        of_text: dict[bytes, list[Any]] = {}
        for line in lines:
            key = _key(line)
            if key:
                of_text.setdefault(key, []).append(line)
        keys, rows, errors = list[bytes](), list[Scores](), Counter[str]()
        usage = Usage()
        for key, some in of_text.items():
            read = [self._read(line, n_tokens) for line in sorted(some, key=_place)]
            usage = functools.reduce(Usage.plus, (used for _, _, used in read), usage)
            problem = next((problem for _, problem, _ in read if problem), "")
            if not problem and len(read) < self._request.n_least:
                problem = f"no line for some of the classes, in the {status} batch"
            if problem:
                errors[problem] += 1
            else:
                keys.append(key)
                rows.append(self._row([a for answers, _, _ in read for a in answers]))
        scores = concatenate_scores(rows) if rows else unknown_scores(0, 0)
        self._cache.put(keys, scores, usage)
        per_text = max(map(len, of_text.values()), default=1)
        n_texts = max(len(of_text), n_requested // per_text)
        n_unsaid = n_texts - len(keys) - sum(errors.values())
        if n_unsaid:
            errors[f"no line in the files of the {status} batch"] += n_unsaid
        n_answered, n_missing = int(scores.answered.sum()), n_texts - len(keys)
        n_unanswered = len(keys) - n_answered
        return BatchStatus(
            status, n_texts, n_answered, n_unanswered, n_missing, dict(errors)
        )

    def _read(
        self, line: dict[str, Any], n_tokens: int
    ) -> tuple[tuple[Answer, ...], str, Usage]:
        """Read the answers in a line, or the problem, and their usage."""
        response = _part(line, "response")
        body, code = response.get("body"), number(response.get("status_code"))
        is_good, status = 200 <= code < 300, int(code) if 0 < code < 1000 else 0
        refusal = read_refusal(line) or read_refusal(body, 0 if is_good else status)
        if refusal is not None:
            said = self._client.server.mask(refusal.words)
            return (), f"{_SAID}: {said}", Usage()
        completion = read_completion(body)
        usage = usage_of(completion, n_tokens)
        return completion.answers, self._request.reader.fault(completion), usage

    def _row(self, answers: list[Answer]) -> Scores:
        """Read the answers about a text."""
        result = self._request.reader.read(answers)
        reason = self._client.server.mask(result.reason)
        return row_of(result._replace(reason=reason), Usage(), False, is_final=True)


def _without_quotes(part: BatchStatus) -> dict[str, Any]:
    """Return a status as it is stored, without words that may repeat a text."""
    errors = Counter[str]()
    for reason, n in part.errors.items():
        errors[_SAID if reason.startswith(_SAID) else reason] += n
    return vars(part) | {"errors": errors}


def _key(line: Any) -> bytes:
    """Read the digest of the text that a line is about, b"" for none."""
    named = line.get("custom_id") if isinstance(line, dict) else None
    try:
        return bytes.fromhex(str(named).partition("-")[0])
    except ValueError:
        return b""


def _place(line: dict[str, Any]) -> int:
    """Read the place of a request among those about its text."""
    number_of = str(line.get("custom_id")).partition("-")[2]
    return int(number_of) if number_of.isdecimal() else 0


def _part(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Take an object out of another, {} for none."""
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _counts(batch: dict[str, Any]) -> dict[str, int]:
    """Read how many requests of a batch there are, and are done."""
    counts = _part(batch, "request_counts")
    values = {name: number(counts.get(name)) for name in ("total", "completed")}
    return {name: int(n) if 0 < n < 1e12 else 0 for name, n in values.items()}


def _sum(a: BatchStatus, b: BatchStatus) -> BatchStatus:
    """Add up two statuses."""
    return BatchStatus(
        b.status if a.status == "completed" else a.status,
        a.n_requested + b.n_requested,
        a.n_answered + b.n_answered,
        a.n_unanswered + b.n_unanswered,
        a.n_missing + b.n_missing,
        dict(Counter(a.errors) + Counter(b.errors)),
    )
