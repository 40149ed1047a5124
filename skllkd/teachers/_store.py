"""The label store: every answer a teacher gave, on disk, so none is bought twice."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from skllkd._validation import FloatArray
from skllkd.exceptions import InvalidParameterError, StalledClaimWarning, StoreError

_SCHEMA_VERSION = 2
#: What version 2 adds to version 1; a new file gets both.
_SCHEMA_2 = """
ALTER TABLE answers ADD COLUMN checksum INTEGER;
UPDATE answers SET checksum = row_checksum(text, log_prob);
CREATE TABLE refusals (
    specification TEXT NOT NULL,
    text BLOB NOT NULL,
    reason TEXT NOT NULL,
    refused_at INTEGER NOT NULL,
    PRIMARY KEY (specification, text)
) WITHOUT ROWID;
CREATE TABLE specifications (
    specification TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    n_calls INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS file_digests
"""
_SCHEMA_1 = """
CREATE TABLE answers (
    specification TEXT NOT NULL,
    text BLOB NOT NULL,
    log_prob BLOB NOT NULL,
    label_mass REAL,
    answered_at INTEGER NOT NULL,
    PRIMARY KEY (specification, text)
) WITHOUT ROWID
"""
_KEYS_PER_QUERY = 500
_WAIT_S = 60.0
_SILENT_WAIT_S = 2.0
#: How long the process that asks may store nothing before another stops waiting for it.
_CLAIM_S = 600.0
_POLL_S = 5.0


class Answer(NamedTuple):
    """A teacher's answer for one text."""

    log_prob: FloatArray
    label_mass: float


class Usage(NamedTuple):
    """What asking has taken so far.

    Parameters
    ----------
    n_calls : int
        How often a model was called, for most teachers once a text.
    input_tokens, output_tokens : int
        The tokens it read and wrote, as far as it says.
    seconds : float
        The wall time of the asking, in seconds.
    """

    n_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0

    def plus(self, other: Usage) -> Usage:
        """Return the sum.

        Parameters
        ----------
        other : Usage
            What is added.

        Returns
        -------
        Usage
            The sum.
        """
        return Usage(
            self.n_calls + other.n_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.seconds + other.seconds,
        )


class StoredAnswers(NamedTuple):
    """What a store holds under one specification.

    Parameters
    ----------
    specification : str
        The key.
    description : dict
        What it stands for: the kind of teacher, the model and the classes.
    n_answers : int
        How many texts have an answer.
    n_refusals : int
        How many texts the model gave no usable answer for.
    usage : Usage
        What they took.
    last : float
        When the last answer was stored, in seconds since 1970; NaN for none.
    """

    specification: str
    description: dict[str, Any]
    n_answers: int
    n_refusals: int
    usage: Usage
    last: float


def default_store_path() -> Path:
    """Return where labels are stored unless a teacher says otherwise.

    Returns
    -------
    Path
        `labels.sqlite` in the folder `SKLLKD_CACHE` names, else in the user's cache
        folder.
    """
    folder = os.environ.get("SKLLKD_CACHE")
    if not folder:
        import platformdirs

        folder = platformdirs.user_cache_dir("skllkd", appauthor=False)
    return Path(folder) / "labels.sqlite"


def text_key(text: str) -> bytes:
    """Return the key a text is stored under: a digest, so that no text is kept.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    bytes
        16 bytes of BLAKE2b.
    """
    return hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()


class LabelStore:
    """Answers on disk, by what determines them: a specification and a text.

    The store is one SQLite file in write-ahead mode. Answers are committed as they
    come, so what was answered before a process died is there for the next one. Texts
    are kept as digests, answers as raw log-probabilities.

    Parameters
    ----------
    path : str or Path, optional
        The file; `labels.sqlite` in the folder `SKLLKD_CACHE` names, or in the
        user's cache folder, by default. Created when missing.

    Raises
    ------
    StoreError
        If the file is no label store, is of a later version, or cannot be opened.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from skllkd.teachers import LabelStore
    >>> folder = tempfile.TemporaryDirectory()
    >>> with LabelStore(pathlib.Path(folder.name) / "labels.sqlite") as store:
    ...     store.put("my teacher", ["a text"], np.log([[0.9, 0.1]]), np.array([1.0]))
    ...     sorted(store.get("my teacher", ["a text", "another"]))
    ['a text']
    >>> folder.cleanup()
    """

    def __init__(self, path: str | Path | None = None) -> None:
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise InvalidParameterError(
                f"`store` must be a file's path, None for the default or False for none; "
                f"got {path!r}."
            )
        self.path = default_store_path() if path is None else Path(path).expanduser()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, timeout=_WAIT_S)
            self._connection.create_function("row_checksum", 2, _checksum)
            self._create()
            self._use_write_ahead_log()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _use_write_ahead_log(self) -> None:
        """Let readers and a writer work at once, from any number of processes."""
        deadline = time.monotonic() + _WAIT_S
        while True:  # this statement does not wait for a lock by itself
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def _create(self) -> None:
        """Lay out an empty file; refuse one of another version or kind."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")  # two processes may open a new file
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version == 0 and tables[0]:
                raise sqlite3.DatabaseError("it is a database of something else")
            steps = {0: [_SCHEMA_1, _SCHEMA_2], 1: [_SCHEMA_2]}.get(version, [])
            for statement in ";".join(steps).split(";") if steps else ():
                connection.execute(statement)
            if steps:
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            connection.commit()
        except sqlite3.Error:
            connection.rollback()
            raise
        if version > _SCHEMA_VERSION:
            raise StoreError(
                f"the label store {self.path} was written by a later version of skllkd "
                f"(schema {version}, this one reads up to {_SCHEMA_VERSION}). Upgrade "
                "skllkd, or name another file with `store=`."
            )

    def get(self, specification: str, texts: Iterable[str]) -> dict[str, Answer]:
        """Return the stored answers for some texts.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        texts : iterable of str
            The texts.

        Returns
        -------
        dict
            An `Answer` for each text that has one.
        """
        text_of = {text_key(text): text for text in texts}
        keys = list(text_of)
        found: dict[str, Answer] = {}
        try:
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                places = ",".join("?" * len(some))
                rows = self._connection.execute(
                    "SELECT text, log_prob, label_mass, checksum FROM answers WHERE "
                    f"specification = ? AND text IN ({places})",
                    [specification, *some],
                )
                for key, log_prob, label_mass, checksum in rows:
                    if checksum != _checksum(key, log_prob):
                        raise sqlite3.DatabaseError(
                            f"the answer {key.hex()} is damaged"
                        )
                    values = np.frombuffer(log_prob, dtype="<f8")
                    mass = float("nan") if label_mass is None else label_mass
                    found[text_of[key]] = Answer(values, mass)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return found

    def put(
        self,
        specification: str,
        texts: Sequence[str],
        log_prob: FloatArray,
        label_mass: FloatArray,
    ) -> None:
        """Store answers and commit. The first answer stored for a text stays.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        texts : sequence of str
            The texts.
        log_prob : ndarray of shape (n_texts, n_classes)
            Raw log-probabilities in nats.
        label_mass : ndarray of shape (n_texts,)
            The probability on any label, NaN where unknown.
        """
        keys = [text_key(text) for text in texts]
        self._put_keys(specification, keys, log_prob, label_mass)

    def _put_keys(
        self,
        specification: str,
        keys: Sequence[bytes],
        log_prob: Any,
        label_mass: Any,
    ) -> None:
        """Store answers for texts known by their digests."""
        now = int(time.time())
        rows = []
        for key, values, mass in zip(keys, log_prob, label_mass, strict=True):
            blob = np.asarray(values, dtype="<f8").tobytes()
            known_mass = None if mass is None or np.isnan(mass) else float(mass)
            rows.append(
                (specification, key, blob, known_mass, now, _checksum(key, blob))
            )
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)", rows
            )

    def refused(self, specification: str, texts: Iterable[str]) -> dict[str, str]:
        """Return why the model gave no usable answer, for the texts it gave none for.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        texts : iterable of str
            The texts.

        Returns
        -------
        dict
            A reason for each text that has one.
        """
        rows = self._rows(
            "SELECT text, reason FROM refusals WHERE specification = ?", specification
        )
        if not rows:
            return {}
        reason_of = dict(rows)
        keys = ((text, text_key(text)) for text in texts)
        return {text: reason_of[key] for text, key in keys if key in reason_of}

    def refuse(self, specification: str, reasons: Mapping[str, str]) -> None:
        """Store that the model has no usable answer for some texts.

        It was asked and paid, and would say the same again, so it is not asked again
        until `prune(refused_only=True)`. Failures on the way to the model are nothing
        of the kind, and are not stored.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        reasons : mapping of str to str
            A reason for each text.
        """
        self._refuse_keys(
            specification, {text_key(text): why for text, why in reasons.items()}
        )

    def _refuse_keys(self, specification: str, reasons: Mapping[bytes, str]) -> None:
        """Store refusals for texts known by their digests."""
        now = int(time.time())
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO refusals VALUES (?, ?, ?, ?)",
                [(specification, key, why, now) for key, why in reasons.items()],
            )

    def usage(self, specification: str) -> Usage:
        """Return what the answers of a specification have taken so far.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.

        Returns
        -------
        Usage
            Over all processes and runs that used this file.
        """
        rows = self._rows(
            "SELECT n_calls, input_tokens, output_tokens, seconds FROM specifications "
            "WHERE specification = ?",
            specification,
        )
        return Usage(*rows[0]) if rows else Usage()

    def spend(
        self,
        specification: str,
        usage: Usage,
        description: dict[str, Any] | None = None,
    ) -> None:
        """Add to what the answers of a specification have taken.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        usage : Usage
            What is added.
        description : dict, optional
            What the specification stands for, as JSON values, for `contents`.
        """
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO specifications VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET n_calls = n_calls + excluded.n_calls, "
                "input_tokens = input_tokens + excluded.input_tokens, "
                "output_tokens = output_tokens + excluded.output_tokens, "
                "seconds = seconds + excluded.seconds",
                [specification, json.dumps(description or {}), *usage],
            )

    def fact(self, name: str) -> str | None:
        """Return what was found out once and remembered.

        Parameters
        ----------
        name : str
            What it is about.

        Returns
        -------
        str or None
            The value, None if there is none.
        """
        rows = self._rows("SELECT value FROM facts WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def remember(self, name: str, value: str) -> None:
        """Remember what was found out, for later processes.

        Parameters
        ----------
        name : str
            What it is about.
        value : str
            What was found out. It replaces an earlier value.
        """
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value]
            )

    def file_digest(self, path: Path) -> str:
        """Return the SHA-256 of a file, remembered until the file changes.

        Parameters
        ----------
        path : Path
            The file.

        Returns
        -------
        str
            The digest in hexadecimal.
        """
        stat = path.stat()
        name = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"
        key = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
        digest = self.fact(f"sha256 of {key}")
        if digest is None:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self.remember(f"sha256 of {key}", digest)
        return digest

    @contextmanager
    def asking(self, specification: str, verbose: int = 0) -> Iterator[None]:
        """Hold the right to ask for a specification's answers, among all processes.

        The right is a lock of the operating system on a file beside the store, which
        ends with the process that holds it. One that holds it and stores nothing for
        ten minutes is waited for no longer.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        verbose : int, default=0
            Whether to say so when another process holds it.

        Yields
        ------
        None
            While the right is held.

        Warns
        -----
        StalledClaimWarning
            If the process that holds it makes no progress.
        """
        from filelock import FileLock, Timeout

        name = f"{self.path.name}.{specification[:16]}.lock"
        lock = FileLock(self.path.with_name(name))
        wait_s, progress, since = _SILENT_WAIT_S, self.usage(specification), 0.0
        while not lock.is_locked:
            try:
                lock.acquire(timeout=wait_s)
            except Timeout:
                if verbose and wait_s == _SILENT_WAIT_S:
                    print(
                        "waiting for another process that asks the same",
                        file=sys.stderr,
                    )
                since, before, progress = (
                    since + wait_s,
                    progress,
                    self.usage(specification),
                )
                wait_s = _POLL_S
                if before != progress:
                    since = 0.0
                elif since > _CLAIM_S:
                    warnings.warn(
                        "another process that asks the same has stored no answer for "
                        f"{since / 60:.0f} minutes. This one goes ahead without it.",
                        StalledClaimWarning,
                        stacklevel=2,
                    )
                    break
        try:
            yield
        finally:
            lock.release()

    def contents(self) -> list[StoredAnswers]:
        """Return what the store holds, by specification.

        Returns
        -------
        list of StoredAnswers
            The most answers first.
        """
        keys = self._rows(
            "SELECT specification FROM answers UNION SELECT specification FROM refusals "
            "UNION SELECT specification FROM specifications"
        )
        entries = [self._entry(key) for (key,) in keys]
        return sorted(entries, key=lambda entry: -entry.n_answers)

    def _entry(self, specification: str) -> StoredAnswers:
        """Return what the store holds under a specification."""
        (n_answers, last), *_ = self._rows(
            "SELECT count(*), max(answered_at) FROM answers WHERE specification = ?",
            specification,
        )
        (n_refusals,), *_ = self._rows(
            "SELECT count(*) FROM refusals WHERE specification = ?", specification
        )
        described = self._rows(
            "SELECT description FROM specifications WHERE specification = ?",
            specification,
        )
        return StoredAnswers(
            specification,
            json.loads(described[0][0]) if described else {},
            n_answers,
            n_refusals,
            self.usage(specification),
            float("nan") if last is None else float(last),
        )

    def export(
        self, path: str | os.PathLike[str], specification: str | None = None
    ) -> int:
        """Write answers to a JSON Lines file, which `merge` reads.

        Each line holds the specification, the text's digest in hexadecimal, the raw
        log-probabilities and the label mass. No text is in it, so it can be published
        beside a benchmark whose texts others have.

        Parameters
        ----------
        path : str or Path
            The file. It is replaced when all is written.
        specification : str, optional
            Which answers; all of them by default.

        Returns
        -------
        int
            How many answers were written.
        """
        wanted = [
            entry
            for entry in self.contents()
            if specification in (None, entry.specification)
        ]
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        n_written = 0
        with partial.open("w", encoding="utf-8") as file:
            for entry in wanted:
                head = {"specification": entry.specification, **entry.usage._asdict()}
                file.write(
                    json.dumps({**head, "description": entry.description}) + "\n"
                )
                rows = self._rows(
                    "SELECT text, log_prob, label_mass, checksum FROM answers "
                    "WHERE specification = ? ORDER BY text",
                    entry.specification,
                )
                for key, blob, mass, checksum in rows:
                    if checksum != _checksum(key, blob):
                        raise self._unusable(
                            sqlite3.DatabaseError(f"the answer {key.hex()} is damaged")
                        )
                    values = np.frombuffer(blob, dtype="<f8").tolist()
                    line = {"text": key.hex(), "log_prob": values, "label_mass": mass}
                    file.write(json.dumps(line) + "\n")
                    n_written += 1
        partial.replace(target)
        return n_written

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
            How many answers are new.

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
        """Take in the lines of an exported file."""
        by_specification: dict[str, list[Any]] = {}
        heads: list[tuple[str, Usage, dict[str, Any]]] = []
        try:
            with exported.open(encoding="utf-8") as file:
                for line in file:
                    entry = json.loads(line)
                    if "specification" in entry:
                        used = Usage(*(entry[name] for name in Usage._fields))
                        heads.append(
                            (entry["specification"], used, entry["description"])
                        )
                        rows = by_specification.setdefault(entry["specification"], [])
                    else:
                        values = np.asarray(entry["log_prob"], dtype=np.float64)
                        key = bytes.fromhex(entry["text"])
                        rows.append((key, values, entry["label_mass"]))
        except (ValueError, KeyError, TypeError, UnboundLocalError) as error:
            raise StoreError(
                f"{str(source)!r} is no label store and no file written by `export`: "
                f"{error!r}."
            ) from error
        before = len(self)
        for specification, usage, description in heads:
            if not self._rows(
                "SELECT 1 FROM specifications WHERE specification = ?", specification
            ):
                self.spend(specification, usage, description)
        for specification, found in by_specification.items():
            keys, log_prob, mass = zip(*found, strict=True) if found else ((), (), ())
            self._put_keys(specification, keys, log_prob, mass)
        return len(self) - before

    def prune(
        self,
        specification: str | None = None,
        *,
        older_than_days: float | None = None,
        refused_only: bool = False,
    ) -> int:
        """Forget answers, and give their space back.

        Parameters
        ----------
        specification : str, optional
            Which; all of them by default.
        older_than_days : float, optional
            Only those stored longer ago than this.
        refused_only : bool, default=False
            Forget only for which texts the model gave no usable answer, so that it is
            asked about them again.

        Returns
        -------
        int
            How many were forgotten.
        """
        before = time.time() + 1 - 86400 * (older_than_days or 0)
        where = "WHERE ? IN ('', specification) AND {} < ?"
        which = [specification or "", before]
        with self._writing() as connection:
            removed = connection.execute(
                f"DELETE FROM refusals {where.format('refused_at')}", which
            ).rowcount
            if not refused_only:
                removed += connection.execute(
                    f"DELETE FROM answers {where.format('answered_at')}", which
                ).rowcount
                connection.execute(
                    "DELETE FROM specifications WHERE ? IN ('', specification) AND "
                    "specification NOT IN (SELECT specification FROM answers) AND "
                    "specification NOT IN (SELECT specification FROM refusals)",
                    which[:1],
                )
        self._connection.execute("VACUUM")
        return int(removed)

    def check(self) -> None:
        """Read the whole file and raise if any of it is damaged.

        Raises
        ------
        StoreError
            If the database is inconsistent, or an answer is not what was stored.
        """
        (verdict,), *_ = self._rows("PRAGMA integrity_check")
        (n_damaged,), *_ = self._rows(
            "SELECT count(*) FROM answers WHERE checksum IS NOT "
            "row_checksum(text, log_prob)"
        )
        if verdict != "ok" or n_damaged:
            found = verdict if verdict != "ok" else f"{n_damaged} answers are damaged"
            raise self._unusable(sqlite3.DatabaseError(found))

    def _rows(self, query: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Commit what is written inside, or all of it is undone."""
        try:
            with self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def __len__(self) -> int:
        """Return the number of answers stored."""
        return int(self._rows("SELECT count(*) FROM answers")[0][0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> LabelStore:
        """Return the store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def _unusable(self, error: Exception) -> StoreError:
        """Return the error that says what is wrong with the file."""
        return StoreError(
            f"the label store {self.path} cannot be used: {error}. Move the file away "
            "(its answers will be asked for again), or name another with `store=` or "
            "the environment variable SKLLKD_CACHE."
        )


def _checksum(key: bytes, log_prob: bytes) -> int:
    """Return what tells that an answer is what was stored."""
    return zlib.crc32(log_prob, zlib.crc32(key))
