"""SQLite cache of teacher answers, keyed by teacher fingerprint and text digest."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd._core.atomic_files import replacing_file
from skllkd._core.params import check_number
from skllkd.exceptions import InvalidParameterError, StoreError
from skllkd.teachers.labels import NO_ANSWER, Usage, without_quote
from skllkd.teachers.metered.scores import Scores, unknown_scores
from skllkd.teachers.metered.store_files import StoreFile, answer_checksum

#: The first answer stays; an unanswered text may be answered later.
_INSERT = (
    "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET log_prob = excluded.log_prob, "
    "label_mass = excluded.label_mass, reason = excluded.reason, "
    "answered_at = excluded.answered_at, checksum = excluded.checksum "
    "WHERE answers.reason != ''"
)
_ADD_USAGE = (
    "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET n_calls = n_calls + excluded.n_calls, "
    "description = iif(description = '{}', excluded.description, description), "
    "input_tokens = input_tokens + excluded.input_tokens, "
    "output_tokens = output_tokens + excluded.output_tokens, "
    "seconds = seconds + excluded.seconds"
)
_KEYS_PER_QUERY = 500


def fingerprint_key(fingerprint: dict[str, Any]) -> str:
    """Digest a fingerprint, a dict of JSON values, to the key of its answers."""
    text = json.dumps(fingerprint, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def text_key(text: str | bytes) -> bytes:
    """Digest a text to 16 bytes, so that no text is kept; a digest stays as it is."""
    if isinstance(text, bytes):
        return text
    encoded = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=16).digest()


class StoredAnswers(NamedTuple):
    """Summary of the answers of one fingerprint in a store.

    Parameters
    ----------
    fingerprint : str
        The key.
    description : dict
        The kind of teacher, the model and the classes.
    n_answers : int
        Number of texts with an answer.
    n_unanswered : int
        Number of texts that the model gave no usable answer for.
    usage : Usage
        Calls, tokens and time they took.
    last : float
        Time of the last answer, in seconds since 1970; NaN for none.

    Examples
    --------
    >>> import tempfile
    >>> from skllkd.teachers import CallableTeacher, LabelStore
    >>> store = tempfile.mkdtemp() + "/labels.sqlite"
    >>> teacher = CallableTeacher(lambda texts: texts, cache_key="echo", store=store)
    >>> _ = teacher.label(["spam", "ham"], ["spam", "ham"])
    >>> with LabelStore(store) as opened:
    ...     [(entry.n_answers, entry.n_unanswered) for entry in opened.contents()]
    [(2, 0)]
    """

    fingerprint: str
    description: dict[str, Any]
    n_answers: int
    n_unanswered: int
    usage: Usage
    last: float


class LabelStore(StoreFile):
    """SQLite cache of teacher answers, keyed by teacher fingerprint and text digest.

    Answers are committed as they come, so that those given before a process died are
    there for the next one. Texts are kept as digests, answers as raw log-probabilities.

    Parameters
    ----------
    path : str or Path, optional
        The file; `labels.sqlite` in the folder `SKLLKD_CACHE` names, or in the
        user's cache folder, by default. Created when missing.

    Raises
    ------
    StoreError
        If the file is no label store, is of another version, or cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skllkd.teachers import LabelStore, Scores
    >>> with LabelStore(tempfile.mkdtemp() + "/labels.sqlite") as store:
    ...     store.put("my teacher", ["a text"], Scores(np.log([[0.9, 0.1]])))
    ...     store.get("my teacher", ["another", "a text"], n_classes=2).answered
    array([False,  True])
    """

    def get(
        self, fingerprint: str, texts: Sequence[str | bytes], n_classes: int
    ) -> Scores:
        """Look up the answers for some texts.

        Parameters
        ----------
        fingerprint : str
            Key of the teacher and the classes.
        texts : sequence of str or bytes
            The texts, or their digests.
        n_classes : int
            Number of classes.

        Returns
        -------
        Scores
            A row for each text: NaN where there is no answer, `is_final` where the model
            was asked and had none.
        """
        known = unknown_scores(len(texts), n_classes)
        rows_of: dict[bytes, list[int]] = {}
        for row, text in enumerate(texts):
            rows_of.setdefault(text_key(text), []).append(row)
        left = iter(rows_of)
        while keys := list(islice(left, _KEYS_PER_QUERY)):
            marks = ",".join("?" * len(keys))
            found = self._rows(
                "SELECT text, log_prob, label_mass, reason, checksum FROM answers "
                f"WHERE fingerprint = ? AND text IN ({marks})",
                fingerprint,
                *keys,
            )
            for key, blob, mass, reason, checksum in found:
                rows = rows_of[key]
                known.log_prob[rows] = self._checked(key, blob, checksum)
                known.label_mass[rows] = np.nan if mass is None else mass
                known.error[rows] = reason
                known.is_final[rows] = reason != ""
        return known

    def put(
        self,
        fingerprint: str,
        texts: Sequence[str | bytes],
        scores: Scores,
        usage: Usage = Usage(),  # noqa: B008  (frozen)
        description: dict[str, Any] | None = None,
    ) -> None:
        """Store answers and commit. The first answer stored for a text stays.

        Rows that are final but have no answer are stored as unanswered: the model was
        asked and paid, and the text is not sent until `prune(unanswered_only=True)`. The
        reason is stored without the words of the model, which may repeat the text. Other
        rows without an answer are not stored.

        Parameters
        ----------
        fingerprint : str
            Key of the teacher and the classes.
        texts : sequence of str or bytes
            The texts, or their digests.
        scores : Scores
            A row for each.
        usage : Usage, optional
            Calls, tokens and time to add to those of the fingerprint.
        description : dict, optional
            JSON values about the answers, for `contents`.
        """
        answered = scores.answered
        rows = [
            _row(
                fingerprint,
                text_key(texts[i]),
                scores.log_prob[i],
                scores.label_mass[i],
                "" if answered[i] else without_quote(str(scores.error[i]), NO_ANSWER),
            )
            for i in np.flatnonzero(answered | scores.is_final).tolist()
        ]
        with self._writing() as connection:
            connection.executemany(_INSERT, rows)
            described = json.dumps(description or {})
            connection.execute(_ADD_USAGE, [fingerprint, described, *usage])

    def usage(self, fingerprint: str) -> Usage:
        """Sum up the usage of a fingerprint, over all processes that used this file.

        Parameters
        ----------
        fingerprint : str
            Key of the teacher and the classes.

        Returns
        -------
        Usage
            Calls, tokens and time.
        """
        rows = self._rows(
            "SELECT n_calls, input_tokens, output_tokens, seconds FROM usage "
            "WHERE fingerprint = ?",
            fingerprint,
        )
        return Usage(*rows[0]) if rows else Usage()

    def contents(self) -> list[StoredAnswers]:
        """List the fingerprints in the store.

        Returns
        -------
        list of StoredAnswers
            The most answers first.
        """
        rows = self._rows(
            "SELECT usage.*, count(iif(reason = '', 1, NULL)) AS n_answers, "
            "count(reason), max(iif(reason = '', answered_at, NULL)) "
            "FROM usage LEFT JOIN answers USING (fingerprint) "
            "GROUP BY fingerprint ORDER BY n_answers DESC"
        )
        return [
            StoredAnswers(
                key,
                json.loads(description),
                n_answers,
                n_known - n_answers,
                Usage(*usage),
                float("nan") if last is None else float(last),
            )
            for key, description, *usage, n_answers, n_known, last in rows
        ]

    def export(
        self, path: str | os.PathLike[str], fingerprint: str | None = None
    ) -> int:
        """Write answers to a JSON Lines file, which `merge` reads.

        Each line holds the fingerprint, the text's digest in hexadecimal, the raw
        log-probabilities and the label mass. No text is in it, so it can be published
        beside a benchmark whose texts others have.

        Parameters
        ----------
        path : str or Path
            The file. It is replaced when all is written.
        fingerprint : str, optional
            Which answers; all of them by default.

        Returns
        -------
        int
            Number of answers written.
        """
        wanted = [e for e in self.contents() if fingerprint in (None, e.fingerprint)]
        n_written = 0
        with (
            replacing_file(path) as unfinished,
            unfinished.open("w", encoding="utf-8") as file,
        ):
            for entry in wanted:
                for line in self._lines(entry):
                    file.write(json.dumps(line) + "\n")
                n_written += entry.n_answers
        return n_written

    def _lines(self, entry: StoredAnswers) -> Iterator[dict[str, Any]]:
        """Yield the lines that an export has for a fingerprint."""
        head = {"fingerprint": entry.fingerprint, **entry.usage._asdict()}
        yield head | {"description": entry.description}
        with self._guarded() as connection:
            for key, blob, mass, reason, checksum in connection.execute(
                "SELECT text, log_prob, label_mass, reason, checksum FROM answers "
                "WHERE fingerprint = ? ORDER BY text",
                [entry.fingerprint],
            ):
                values = self._checked(key, blob, checksum).tolist()
                answer = {"log_prob": values, "label_mass": mass}
                yield {
                    "text": key.hex(),
                    **({"unanswered": reason} if reason else answer),
                }

    def merge(self, path: str | os.PathLike[str]) -> int:
        """Merge the answers of another store, or of an exported file.

        Parameters
        ----------
        path : str or Path
            A label store, or a JSON Lines file of `export`. Answers already stored
            stay.

        Returns
        -------
        int
            Number of new answers.

        Raises
        ------
        StoreError
            If the file is neither, or damaged. Nothing of it is merged then.
        """
        source = Path(path)
        if not source.is_file():
            raise StoreError(
                f"there is no file {str(source)!r} to merge. Give the path of a label "
                "store, or of a file written by `export`."
            )
        with source.open("rb") as file:
            is_store = file.read(15) == b"SQLite format 3"
        if is_store:
            with LabelStore(source) as other:
                entries = other.contents()
                return self._merge_lines(chain(*map(other._lines, entries)), source)
        with source.open(encoding="utf-8") as file:
            return self._merge_lines(map(json.loads, file), source)

    def _merge_lines(self, lines: Iterable[dict[str, Any]], source: Path) -> int:
        """Merge all lines of an export, or none of them."""
        before = len(self)
        fingerprint = None
        try:
            with self._writing() as connection:
                for line in lines:
                    if "fingerprint" in line:
                        fingerprint = str(line["fingerprint"])
                    elif fingerprint is None:
                        raise ValueError("the first line names no fingerprint")
                    connection.execute(*_statement(fingerprint, line))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{str(source)!r} is no label store and no file written by `export`: "
                f"{error!r}. Nothing of it was merged."
            ) from error
        return len(self) - before

    def prune(
        self,
        fingerprint: str | None = None,
        *,
        older_than_days: float | None = None,
        unanswered_only: bool = False,
        dry_run: bool = False,
    ) -> int:
        """Delete answers that meet a criterion, and give their space back.

        Texts whose answers are deleted are labelled, and paid for, again.

        Parameters
        ----------
        fingerprint : str, optional
            Only those of this key.
        older_than_days : float, optional
            Only those stored longer ago than this; 0 deletes all.
        unanswered_only : bool, default=False
            Delete only the records of texts without a usable answer, so that they are sent
            again.
        dry_run : bool, default=False
            Whether to count the answers only, and delete nothing.

        Returns
        -------
        int
            Number of answers deleted, or to be deleted.

        Raises
        ------
        InvalidParameterError
            If no criterion is given.
        """
        if fingerprint is None and older_than_days is None and not unanswered_only:
            raise InvalidParameterError(
                "`prune` needs a criterion: a key as `fingerprint`, `older_than_days` or "
                "`unanswered_only=True`; got none. Every answer goes with "
                "older_than_days=0."
            )
        if older_than_days is not None:
            check_number(older_than_days, "older_than_days", 0)
        before = time.time() + 1 - 86400 * (older_than_days or 0)
        condition = (
            "FROM answers WHERE coalesce(?, fingerprint) = fingerprint AND answered_at < ? "
            "AND (reason != '' OR NOT ?)"
        )
        values = [fingerprint, before, unanswered_only]
        if dry_run:
            return int(self._rows(f"SELECT count(*) {condition}", *values)[0][0])
        with self._writing() as connection:
            n_removed = connection.execute(f"DELETE {condition}", values).rowcount
            if not unanswered_only:
                connection.execute(
                    "DELETE FROM usage WHERE coalesce(?, fingerprint) = fingerprint AND "
                    "fingerprint NOT IN (SELECT fingerprint FROM answers)",
                    [fingerprint],
                )
        self._connection.execute("VACUUM")
        return n_removed

    def _checked(self, key: bytes, blob: bytes, checksum: int) -> FloatArray:
        """Read log-probabilities, and raise StoreError if they are damaged."""
        if checksum != answer_checksum(key, blob):
            raise self._unusable(f"the answer {key.hex()} is damaged")
        return np.frombuffer(blob, dtype="<f8")

    def __len__(self) -> int:
        """Return the number of answers stored."""
        return int(self._rows("SELECT count(*) FROM answers WHERE reason = ''")[0][0])


def _row(
    fingerprint: str, key: bytes, log_prob: Any, label_mass: Any, reason: str
) -> tuple[Any, ...]:
    """Lay an answer out as a row of the table."""
    blob = np.asarray(log_prob, dtype="<f8").tobytes()
    mass = None if label_mass is None else float(label_mass)  # SQLite makes NULL of NaN
    now, checksum = int(time.time()), answer_checksum(key, blob)
    return fingerprint, key, blob, mass, reason, now, checksum


def _statement(fingerprint: str, line: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """Turn a line of an export into the statement that merges it."""
    if "fingerprint" in line:
        used = [line[name] for name in Usage._fields]
        values = (fingerprint, json.dumps(line["description"]), *used)
        return "INSERT OR IGNORE INTO usage VALUES (?, ?, ?, ?, ?, ?)", values
    key, reason = bytes.fromhex(line["text"]), str(line.get("unanswered", ""))
    reason = reason and without_quote(reason, NO_ANSWER)
    log_prob = [np.nan] if reason else line["log_prob"]
    return _INSERT, _row(fingerprint, key, log_prob, line.get("label_mass"), reason)
