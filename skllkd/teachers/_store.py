"""The label store: every answer a teacher gave, on disk, so none is bought twice."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from skllkd._validation import FloatArray
from skllkd.exceptions import InvalidParameterError, StoreError

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE answers (
    specification TEXT NOT NULL,
    text BLOB NOT NULL,
    log_prob BLOB NOT NULL,
    label_mass REAL,
    answered_at INTEGER NOT NULL,
    PRIMARY KEY (specification, text)
) WITHOUT ROWID;
CREATE TABLE file_digests (file TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
"""
_KEYS_PER_QUERY = 500
_WAIT_S = 60.0
_SILENT_WAIT_S = 2.0


class Answer(NamedTuple):
    """A teacher's answer for one text."""

    log_prob: FloatArray
    label_mass: float


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
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
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
                    "SELECT text, log_prob, label_mass FROM answers WHERE "
                    f"specification = ? AND text IN ({places})",
                    [specification, *some],
                )
                for key, log_prob, label_mass in rows:
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
        now = int(time.time())
        rows = [
            (
                specification,
                text_key(text),
                np.asarray(values, dtype="<f8").tobytes(),
                None if np.isnan(mass) else float(mass),
                now,
            )
            for text, values, mass in zip(texts, log_prob, label_mass, strict=True)
        ]
        try:
            with self._connection:
                self._connection.executemany(
                    "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)", rows
                )
        except sqlite3.Error as error:
            raise self._unusable(error) from error

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
        try:
            row = self._connection.execute(
                "SELECT digest FROM file_digests WHERE file = ?", [key]
            ).fetchone()
            if row is None:
                with path.open("rb") as file:
                    row = (hashlib.file_digest(file, "sha256").hexdigest(),)
                with self._connection:
                    self._connection.execute(
                        "INSERT OR REPLACE INTO file_digests VALUES (?, ?)", [key, *row]
                    )
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return str(row[0])

    @contextmanager
    def asking(self, specification: str, verbose: int = 0) -> Iterator[None]:
        """Hold the right to ask for a specification's answers, among all processes.

        The right is a lock of the operating system on a file beside the store, which
        ends with the process that holds it.

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
        """
        from filelock import FileLock, Timeout

        name = f"{self.path.name}.{specification[:16]}.lock"
        lock = FileLock(self.path.with_name(name))
        try:
            lock.acquire(timeout=_SILENT_WAIT_S)
        except Timeout:
            if verbose:
                print("waiting for another process that asks the same", file=sys.stderr)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def __len__(self) -> int:
        """Return the number of answers stored."""
        row = self._connection.execute("SELECT count(*) FROM answers").fetchone()
        return int(row[0])

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
