"""Cache of text features, in memory and on disk."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skllkd._core.cache_dir import cache_folder
from skllkd.exceptions import SkllkdWarning

Rows = npt.NDArray[np.float32]
#: Upper bounds; the least recently used features go first.
MEMORY_BYTES, DISK_BYTES = 2**28, 2**30
_ROW_OVERHEAD = 200  # bytes a row takes beside its features, about
_SCHEMA = """
CREATE TABLE IF NOT EXISTS features (
    key BLOB PRIMARY KEY,
    is_cut INTEGER NOT NULL,
    used_at REAL NOT NULL,
    features BLOB NOT NULL
) WITHOUT ROWID
"""
_AT_ONCE = 500  # keys in a statement


class Encoded(NamedTuple):
    """Texts as an encoder read them."""

    features: Rows  # of shape (n_texts, n_features)
    is_cut: npt.NDArray[np.bool_]


Encode = Callable[[list[str]], Encoded]


class Known(NamedTuple):
    """Features of a text."""

    features: Rows  # of shape (n_features,)
    is_cut: bool


class _Memory:
    """Features this process computed or read lately."""

    def __init__(self) -> None:
        self._rows: OrderedDict[bytes, Known] = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()

    def get(self, keys: list[bytes]) -> dict[bytes, Known]:
        """Return the features known."""
        with self._lock:
            found = {key: self._rows[key] for key in keys if key in self._rows}
            for key in found:
                self._rows.move_to_end(key)
        return found

    def put(self, new: dict[bytes, Known]) -> None:
        """Add features, and drop the least recently used."""
        with self._lock:
            for key, known in new.items():
                if key not in self._rows:
                    self._rows[key] = known
                    self._n_bytes += known.features.nbytes + _ROW_OVERHEAD
            while self._n_bytes > MEMORY_BYTES:
                _, gone = self._rows.popitem(last=False)
                self._n_bytes -= gone.features.nbytes + _ROW_OVERHEAD

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._rows.clear()
            self._n_bytes = 0


memory = _Memory()


class _Disk:
    """A file that processes share; one at a time reads and encodes."""

    def __init__(self) -> None:
        self.path = cache_folder() / "features.sqlite"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process computes features."""
        from filelock import FileLock

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock")):
            yield

    def _connect(self) -> sqlite3.Connection:
        """Open the file."""
        connection = sqlite3.connect(self.path, timeout=60)
        connection.execute(_SCHEMA)
        return connection

    def get(self, keys: list[bytes]) -> dict[bytes, Known]:
        """Return the features known."""
        found: dict[bytes, Known] = {}
        with closing(self._connect()) as connection, connection:
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                for key, is_cut, blob in connection.execute(
                    "SELECT key, is_cut, features FROM features "
                    f"WHERE key IN ({marks})",
                    some,
                ):
                    features = np.frombuffer(blob, dtype="<f4").astype(np.float32)
                    found[key] = Known(features, bool(is_cut))
                connection.execute(
                    f"UPDATE features SET used_at = ? WHERE key IN ({marks})",
                    [time.time(), *some],
                )
        return found

    def put(self, new: dict[bytes, Known]) -> None:
        """Write all of it or nothing, and drop the least recently used."""
        rows = [
            (key, known.is_cut, time.time(), known.features.astype("<f4").tobytes())
            for key, known in new.items()
        ]
        with closing(self._connect()) as connection, connection:
            connection.executemany(
                "INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", rows
            )
            (total,) = connection.execute(
                "SELECT SUM(LENGTH(features) + 64) FROM features"
            ).fetchone()
            if total > DISK_BYTES:
                connection.execute(
                    "DELETE FROM features WHERE used_at <= (SELECT used_at FROM "
                    "features ORDER BY used_at LIMIT 1 OFFSET ?)",
                    [self._n_to_drop(connection, total)],
                )

    @staticmethod
    def _n_to_drop(connection: sqlite3.Connection, total: int) -> int:
        """Return how many rows to drop so that a tenth of the space is free again."""
        (count,) = connection.execute("SELECT COUNT(*) FROM features").fetchone()
        return int(count * (1 - 0.9 * DISK_BYTES / total))


def features_of(
    texts: list[str], identity: str, encode: Encode, where: str | None
) -> tuple[Rows, int]:
    """Return features, (n_texts, n_features), and how many of at least one text are cut.

    Only unknown texts are encoded, once each. `identity` names all that features depend
    on beside the text; `where` is "memory", "disk" or None.
    """
    prefix = identity.encode()
    keys = [
        hashlib.blake2b(prefix + t.encode("utf-8", "surrogatepass"), digest_size=16)
        for t in texts
    ]
    text_of = {k.digest(): text for k, text in zip(keys, texts, strict=True)}
    known = memory.get(list(text_of)) if where else {}
    if len(known) < len(text_of):
        unknown = {key: text for key, text in text_of.items() if key not in known}
        known |= _found_or_encoded(unknown, encode, where)
    digests = [key.digest() for key in keys]
    n_cut = sum(known[key].is_cut for key in digests)
    return np.stack([known[key].features for key in digests]), n_cut


def _found_or_encoded(
    text_of: dict[bytes, str], encode: Encode, where: str | None
) -> dict[bytes, Known]:
    """Return features this process does not know, from disk or encoded."""
    if where == "disk":
        try:
            found = _through_disk(text_of, encode)
        except (sqlite3.Error, OSError) as error:
            warnings.warn(
                f"features cannot be kept in {str(_Disk().path)!r}: {error}. They are "
                "computed anew; delete the file, or set the student's cache='memory'.",
                SkllkdWarning,
                stacklevel=2,
            )
            found = _encoded(text_of, encode)
    else:
        found = _encoded(text_of, encode)
    if where:
        memory.put(found)
    return found


def _through_disk(text_of: dict[bytes, str], encode: Encode) -> dict[bytes, Known]:
    """Return the features on disk, and encode and write the rest."""
    disk = _Disk()
    with disk.turn():
        found = disk.get(list(text_of))
        rest = {key: text for key, text in text_of.items() if key not in found}
        if rest:
            new = _encoded(rest, encode)
            disk.put(new)
            found |= new
    return found


def _encoded(text_of: dict[bytes, str], encode: Encode) -> dict[bytes, Known]:
    """Encode texts."""
    features, is_cut = encode(list(text_of.values()))
    return {
        key: Known(row.copy(), bool(cut))  # a view would keep all the others alive
        for key, row, cut in zip(text_of, features, is_cut, strict=True)
    }
