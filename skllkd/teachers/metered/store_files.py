"""File of a label store: a SQLite database that many processes share."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from skllkd._core.cache_dir import cache_folder
from skllkd.exceptions import InvalidParameterError, StoreError

_SCHEMA_VERSION = 4
#: `reason` is that of having no usable answer, "" where there is one; `notes` hold the
#: batches that were bought.
_SCHEMA = """
CREATE TABLE answers (
    fingerprint TEXT NOT NULL,
    text BLOB NOT NULL,
    log_prob BLOB NOT NULL,
    label_mass REAL,
    reason TEXT NOT NULL,
    answered_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (fingerprint, text)
) WITHOUT ROWID;
CREATE TABLE usage (
    fingerprint TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    n_calls INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE notes (
    fingerprint TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (fingerprint, name)
) WITHOUT ROWID
"""
_WAIT_S = 60.0
_NO_ACCESS = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


class StoreFile:
    """A SQLite file in write-ahead mode, laid out as a label store."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise InvalidParameterError(
                f"`store` must be a file's path, None for the default or False for none; "
                f"got {path!r}."
            )
        path = cache_folder() / "labels.sqlite" if path is None else Path(path)
        self.path = path.expanduser()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, timeout=_WAIT_S)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._set_up()
            on_failure.pop_all()

    def _set_up(self) -> None:
        """Make the connection that of a label store."""
        with self._guarded() as connection:
            connection.create_function("row_checksum", 2, answer_checksum)
            self._create()
            self._use_write_ahead_log()

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
        # Each commit is on the disk before the next text is paid for.
        self._connection.execute("PRAGMA synchronous = FULL")

    def _create(self) -> None:
        """Create the tables in an empty file; refuse a file of another version or kind."""
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
        if version not in (0, _SCHEMA_VERSION):
            raise StoreError(
                f"the label store {self.path} was written by another version of skllkd "
                f"(schema {version}, this one reads {_SCHEMA_VERSION}). Use that version, "
                "or name another file with `store=`."
            )

    def check(self) -> None:
        """Read the whole file, and raise if any of it is damaged.

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
            raise self._unusable(found)

    def _rows(self, query: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        with self._guarded() as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Commit the writes inside together, or undo them."""
        with self._guarded() as connection, connection:
            yield connection

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        """Turn errors of SQLite into StoreError."""
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def _unusable(self, error: Exception | str) -> StoreError:
        """Build the error about a file that cannot be used."""
        return StoreError(
            f"the label store {self.path} cannot be used: {error}. {_advice(error)}"
        )


def _advice(error: Exception | str) -> str:
    """Say how a store can be used again, without paying twice where that can be."""
    code = getattr(error, "sqlite_errorcode", None)
    kind = None if code is None else code & 0xFF  # without its details
    if kind in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) or _is_disk_full(error):
        return (
            "Is the disk full? Free space and run again: the answers stored so far "
            "are kept, and are not asked for again."
        )
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return (
            f"Another program has held it for {_WAIT_S:.0f} s. Run again when that has "
            "ended: the answers stored are kept."
        )
    if kind in _NO_ACCESS or isinstance(error, OSError):
        return (
            "Make the file and its folder readable and writable, or name another with "
            "`store=` or the environment variable SKLLKD_CACHE."
        )
    return (
        "Put a copy of before in its place. Without one, move the file away, or name "
        "another with `store=` or the environment variable SKLLKD_CACHE: texts will then "
        "be labelled again."
    )


def _is_disk_full(error: Exception | str) -> bool:
    """Return whether the operating system had no space."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def answer_checksum(key: bytes, log_prob: bytes) -> int:
    """Compute the CRC-32 of an answer."""
    return zlib.crc32(log_prob, zlib.crc32(key))
