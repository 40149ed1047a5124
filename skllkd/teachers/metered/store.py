"""SQLite cache of teacher answers, keyed by teacher fingerprint and text digest."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd.exceptions import SkllkdWarning, StoreError
from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.scores import Scores
from skllkd.teachers.metered.store_files import StoreFile, answer_checksum

_INSERT = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_UNANSWERED = "INSERT OR IGNORE INTO unanswered VALUES (?, ?, ?, ?)"
_KEYS_PER_QUERY = 500
_SILENT_WAIT_S = 2.0
#: Time without an answer after which another process stops waiting, in seconds.
_CLAIM_S = 600.0
_POLL_S = 5.0


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
    >>> from pathlib import Path
    >>> from skllkd.teachers import CallableTeacher, LabelStore
    >>> store = Path(tempfile.mkdtemp()) / "labels.sqlite"
    >>> def by_length(texts):
    ...     return ["long" if len(text) > 4 else "short" for text in texts]
    >>> teacher = CallableTeacher(by_length, cache_key="by length", store=store)
    >>> _ = teacher.label(["at noon", "no"], ["short", "long"])
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
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from skllkd.teachers import LabelStore, Scores
    >>> folder = tempfile.TemporaryDirectory()
    >>> with LabelStore(pathlib.Path(folder.name) / "labels.sqlite") as store:
    ...     store.put("my teacher", ["a text"], Scores(np.log([[0.9, 0.1]])))
    ...     store.get("my teacher", ["another", "a text"], n_classes=2).answered
    array([False,  True])
    >>> folder.cleanup()
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
        known = Scores.unknown(len(texts), n_classes)
        digests = [text_key(text) for text in texts]
        row_of = {key: row for row, key in enumerate(digests)}
        keys = list(row_of)
        try:
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = [fingerprint, *keys[start : start + _KEYS_PER_QUERY]]
                marks = ",".join("?" * (len(some) - 1))
                where = f"WHERE fingerprint = ? AND text IN ({marks})"
                for key, log_prob, mass, checksum in self._connection.execute(
                    f"SELECT text, log_prob, label_mass, checksum FROM answers {where}",
                    some,
                ):
                    row = row_of[key]
                    known.log_prob[row] = _checked(key, log_prob, checksum)
                    known.label_mass[row] = np.nan if mass is None else mass
                    known.error[row] = ""
                for key, reason in self._connection.execute(
                    f"SELECT text, reason FROM unanswered {where}", some
                ):
                    known.error[row_of[key]], known.is_final[row_of[key]] = reason, True
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        if len(row_of) < len(digests):  # texts that stand there twice
            known = known.take([row_of[key] for key in digests])
        return known

    def put(
        self, fingerprint: str, texts: Sequence[str | bytes], scores: Scores
    ) -> None:
        """Store answers and commit. The first answer stored for a text stays.

        Rows that are final but have no answer are stored as unanswered: the model was
        asked and paid, and is not asked again until `prune(unanswered_only=True)`. Other
        rows without an answer are not stored.

        Parameters
        ----------
        fingerprint : str
            Key of the teacher and the classes.
        texts : sequence of str or bytes
            The texts, or their digests.
        scores : Scores
            A row for each.
        """
        keys = [text_key(text) for text in texts]
        answered = scores.answered
        rows = [
            _row(fingerprint, keys[i], scores.log_prob[i], scores.label_mass[i])
            for i in np.flatnonzero(answered)
        ]
        now = int(time.time())
        unanswered = [
            (fingerprint, keys[i], str(scores.error[i]), now)
            for i in np.flatnonzero(~answered & scores.is_final)
        ]
        with self._writing() as connection:
            connection.executemany(_INSERT, rows)
            connection.executemany(_INSERT_UNANSWERED, unanswered)

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

    def spend(
        self,
        fingerprint: str,
        usage: Usage,
        description: dict[str, Any] | None = None,
    ) -> None:
        """Add to the usage of a fingerprint.

        Parameters
        ----------
        fingerprint : str
            Key of the teacher and the classes.
        usage : Usage
            Calls, tokens and time to add.
        description : dict, optional
            JSON values about the answers, for `contents`.
        """
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET n_calls = n_calls + excluded.n_calls, "
                "input_tokens = input_tokens + excluded.input_tokens, "
                "output_tokens = output_tokens + excluded.output_tokens, "
                "seconds = seconds + excluded.seconds",
                [fingerprint, json.dumps(description or {}), *usage],
            )

    @contextmanager
    def asking(self, fingerprint: str, verbose: int = 0) -> Iterator[None]:
        """Hold the right to ask for the answers of a fingerprint, among all processes.

        It is a lock of the operating system on a file beside the store, which ends with
        the process that holds it. A process that holds it and stores nothing for ten
        minutes is waited for no longer.

        Parameters
        ----------
        fingerprint : str
            Key of the teacher and the classes.
        verbose : int, default=0
            Whether to say so when another process holds it.

        Yields
        ------
        None
            While the right is held.

        Warns
        -----
        SkllkdWarning
            If the process that holds it makes no progress.
        """
        from filelock import FileLock, Timeout

        name = f"{self.path.name}.{fingerprint[:16]}.lock"
        lock = FileLock(self.path.with_name(name))
        wait_s, progress, since = _SILENT_WAIT_S, self.usage(fingerprint), 0.0
        while not lock.is_locked:
            try:
                lock.acquire(timeout=wait_s)
            except Timeout:
                if verbose and wait_s == _SILENT_WAIT_S:
                    print(
                        "waiting for another process that asks the same",
                        file=sys.stderr,
                    )
                since, wait_s = since + wait_s, _POLL_S
                before, progress = progress, self.usage(fingerprint)
                if before != progress:
                    since = 0.0
                elif since > _CLAIM_S:
                    warnings.warn(
                        "another process that asks the same has stored no answer for "
                        f"{since / 60:.0f} minutes. This one goes ahead without it.",
                        SkllkdWarning,
                        stacklevel=2,
                    )
                    break
        try:
            yield
        finally:
            lock.release()

    def contents(self) -> list[StoredAnswers]:
        """List the fingerprints in the store.

        Returns
        -------
        list of StoredAnswers
            The most answers first.
        """
        keys = self._rows(
            "SELECT fingerprint FROM answers UNION SELECT fingerprint FROM unanswered "
            "UNION SELECT fingerprint FROM usage"
        )
        entries = [self._entry(key) for (key,) in keys]
        return sorted(entries, key=lambda entry: -entry.n_answers)

    def _entry(self, fingerprint: str) -> StoredAnswers:
        """Summarise the answers of a fingerprint."""
        (n_answers, last), *_ = self._rows(
            "SELECT count(*), max(answered_at) FROM answers WHERE fingerprint = ?",
            fingerprint,
        )
        (n_unanswered,), *_ = self._rows(
            "SELECT count(*) FROM unanswered WHERE fingerprint = ?", fingerprint
        )
        described = self._rows(
            "SELECT description FROM usage WHERE fingerprint = ?", fingerprint
        )
        return StoredAnswers(
            fingerprint,
            json.loads(described[0][0]) if described else {},
            n_answers,
            n_unanswered,
            self.usage(fingerprint),
            float("nan") if last is None else float(last),
        )

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
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        n_written = 0
        with partial.open("w", encoding="utf-8") as file:
            for entry in wanted:
                for line in self._lines(entry):
                    file.write(json.dumps(line) + "\n")
                n_written += entry.n_answers
        partial.replace(target)
        return n_written

    def _lines(self, entry: StoredAnswers) -> Iterator[dict[str, Any]]:
        """Yield the lines that an export has for a fingerprint."""
        key_of = "FROM {} WHERE fingerprint = ? ORDER BY text"
        head = {"fingerprint": entry.fingerprint, **entry.usage._asdict()}
        yield head | {"description": entry.description}
        try:
            for key, blob, mass, checksum in self._connection.execute(
                f"SELECT text, log_prob, label_mass, checksum {key_of.format('answers')}",
                [entry.fingerprint],
            ):
                values = _checked(key, blob, checksum).tolist()
                yield {"text": key.hex(), "log_prob": values, "label_mass": mass}
            for key, reason in self._connection.execute(
                f"SELECT text, reason {key_of.format('unanswered')}",
                [entry.fingerprint],
            ):
                yield {"text": key.hex(), "unanswered": reason}
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def merge(self, path: str | os.PathLike[str]) -> int:
        """Take in the answers of another store, or of an exported file.

        Parameters
        ----------
        path : str or Path
            A label store, or a JSON Lines file of `export`. An answer that is here
            already stays.

        Returns
        -------
        int
            Number of new answers.

        Raises
        ------
        StoreError
            If the file is neither, or damaged. Nothing of it is taken in then.
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
            with (
                LabelStore(source) as other,
                tempfile.TemporaryDirectory() as folder,
            ):
                exported = Path(folder) / "answers.jsonl"
                other.export(exported)
                return self._merge_lines(exported, source)
        return self._merge_lines(source, source)

    def _merge_lines(self, exported: Path, source: Path) -> int:
        """Take in all lines of an exported file, or none of them."""
        before = len(self)
        fingerprint = None
        try:
            with exported.open(encoding="utf-8") as file, self._writing() as connection:
                for line in map(json.loads, file):
                    if "fingerprint" in line:
                        fingerprint = str(line["fingerprint"])
                    elif fingerprint is None:
                        raise ValueError("the first line names no fingerprint")
                    connection.execute(*_statement(fingerprint, line))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{str(source)!r} is no label store and no file written by `export`: "
                f"{error!r}. Nothing of it was taken in."
            ) from error
        return len(self) - before

    def prune(
        self,
        fingerprint: str | None = None,
        *,
        older_than_days: float | None = None,
        unanswered_only: bool = False,
    ) -> int:
        """Forget answers, and give their space back.

        Parameters
        ----------
        fingerprint : str, optional
            Which; all of them by default.
        older_than_days : float, optional
            Only those stored longer ago than this.
        unanswered_only : bool, default=False
            Forget only which texts the model gave no usable answer for, so that they are
            sent again.

        Returns
        -------
        int
            Number of answers forgotten.
        """
        before = time.time() + 1 - 86400 * (older_than_days or 0)
        where = "WHERE ? IN ('', fingerprint) AND {} < ?"
        which = [fingerprint or "", before]
        with self._writing() as connection:
            removed = connection.execute(
                f"DELETE FROM unanswered {where.format('answered_at')}", which
            ).rowcount
            if not unanswered_only:
                removed += connection.execute(
                    f"DELETE FROM answers {where.format('answered_at')}", which
                ).rowcount
                connection.execute(
                    "DELETE FROM usage WHERE ? IN ('', fingerprint) AND "
                    "fingerprint NOT IN (SELECT fingerprint FROM answers) AND "
                    "fingerprint NOT IN (SELECT fingerprint FROM unanswered)",
                    which[:1],
                )
        self._connection.execute("VACUUM")
        return int(removed)

    def __len__(self) -> int:
        """Return the number of answers stored."""
        return int(self._rows("SELECT count(*) FROM answers")[0][0])


def _checked(key: bytes, blob: bytes, checksum: int) -> FloatArray:
    """Read log-probabilities, and raise DatabaseError if they are damaged."""
    if checksum != answer_checksum(key, blob):
        raise sqlite3.DatabaseError(f"the answer {key.hex()} is damaged")
    return np.frombuffer(blob, dtype="<f8")


def _row(
    fingerprint: str, key: bytes, log_prob: Any, label_mass: Any
) -> tuple[Any, ...]:
    """Lay an answer out as a row of the table."""
    blob = np.asarray(log_prob, dtype="<f8").tobytes()
    mass = None if label_mass is None or np.isnan(label_mass) else float(label_mass)
    now = int(time.time())
    return fingerprint, key, blob, mass, now, answer_checksum(key, blob)


def _statement(
    fingerprint: str | None, line: dict[str, Any]
) -> tuple[str, tuple[Any, ...]]:
    """Turn a line of an export into the statement that takes it in."""
    if "fingerprint" in line:
        used = [line[name] for name in Usage._fields]
        values = (fingerprint, json.dumps(line["description"]), *used)
        return "INSERT OR IGNORE INTO usage VALUES (?, ?, ?, ?, ?, ?)", values
    key = bytes.fromhex(line["text"])
    if "unanswered" in line:
        reason = str(line["unanswered"])
        return _INSERT_UNANSWERED, (fingerprint, key, reason, int(time.time()))
    log_prob = np.asarray(line["log_prob"], dtype=np.float64)
    return _INSERT, _row(str(fingerprint), key, log_prob, line["label_mass"])
