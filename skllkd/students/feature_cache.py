"""Cache of text features, in memory and on disk."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skllkd._core.arrays import BoolArray, Float32Array
from skllkd._core.cache_dir import cache_folder
from skllkd.exceptions import SkllkdWarning

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


#: From texts to features, (n_texts, n_features), and whether each text was cut.
Encode = Callable[[list[str]], tuple[Float32Array, BoolArray]]


class Known(NamedTuple):
    """Features of a text."""

    features: Float32Array  # of shape (n_features,)
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


memory = _Memory()


@contextmanager
def _disk() -> Iterator[sqlite3.Connection]:
    """Open the file that processes share; one at a time reads, encodes and writes."""
    from filelock import FileLock

    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(path.with_suffix(".lock")),
        closing(sqlite3.connect(path, timeout=60)) as connection,
        connection,  # all of it or nothing
    ):
        connection.execute(_SCHEMA)
        yield connection


def _path() -> Path:
    """Return the file's path."""
    return cache_folder() / "features.sqlite"


def _read(connection: sqlite3.Connection, keys: list[bytes]) -> dict[bytes, Known]:
    """Return the features on disk."""
    found: dict[bytes, Known] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        for key, is_cut, blob in connection.execute(
            f"SELECT key, is_cut, features FROM features WHERE key IN ({marks})", some
        ):
            features = _unpacked(blob)
            if features is not None:
                found[key] = Known(features, bool(is_cut))
        connection.execute(
            f"UPDATE features SET used_at = ? WHERE key IN ({marks})",
            [time.time(), *some],
        )
    return found


def _packed(features: Float32Array) -> bytes:
    """Return features as bytes, after their checksum."""
    content = features.astype("<f4").tobytes()
    return zlib.crc32(content).to_bytes(4, "little") + content


def _unpacked(blob: bytes) -> Float32Array | None:
    """Return features of bytes, None if they are damaged."""
    if zlib.crc32(blob[4:]) != int.from_bytes(blob[:4], "little"):
        return None
    return np.frombuffer(blob, dtype="<f4", offset=4).astype(np.float32)


def _write(connection: sqlite3.Connection, new: dict[bytes, Known]) -> None:
    """Write features; beyond the limit drop the least recently used, and a tenth more."""
    connection.executemany(
        "INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)",
        [
            (key, known.is_cut, time.time(), _packed(known.features))
            for key, known in new.items()
        ],
    )
    count, total = connection.execute(
        "SELECT COUNT(*), SUM(LENGTH(features) + 64) FROM features"
    ).fetchone()
    if total > DISK_BYTES:
        connection.execute(
            "DELETE FROM features WHERE used_at <= (SELECT used_at FROM "
            "features ORDER BY used_at LIMIT 1 OFFSET ?)",
            [int(count * (1 - 0.9 * DISK_BYTES / total))],
        )


def features_of(
    texts: list[str], identity: str, encode: Encode, where: str | None
) -> tuple[Float32Array, int]:
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
    unknown = {key: text for key, text in text_of.items() if key not in known}
    if unknown:
        compute = _through_disk if where == "disk" else _encoded
        new = compute(unknown, encode)
        known |= new
        if where:
            memory.put(new)
    digests = [key.digest() for key in keys]
    n_cut = sum(known[key].is_cut for key in digests)
    return np.stack([known[key].features for key in digests]), n_cut


def _through_disk(text_of: dict[bytes, str], encode: Encode) -> dict[bytes, Known]:
    """Return the features on disk, and encode and write the rest."""
    try:
        try:
            return _read_or_encoded(text_of, encode)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # damaged, and all in it can be computed again
            _path().unlink()
            return _read_or_encoded(text_of, encode)
    except (sqlite3.Error, OSError) as error:
        warnings.warn(
            f"features cannot be kept in {str(_path())!r}: {error}. They are computed "
            "anew; free space on the disk, or set the student's cache='memory'.",
            SkllkdWarning,
            stacklevel=2,
        )
        return _encoded(text_of, encode)


def _read_or_encoded(text_of: dict[bytes, str], encode: Encode) -> dict[bytes, Known]:
    """Read the features on disk; encode the rest and write them."""
    with _disk() as connection:
        known = _read(connection, list(text_of))
        rest = {key: text for key, text in text_of.items() if key not in known}
        if rest:
            new = _encoded(rest, encode)
            _write(connection, new)
            known |= new
    return known


def _encoded(text_of: dict[bytes, str], encode: Encode) -> dict[bytes, Known]:
    """Encode texts."""
    features, is_cut = encode(list(text_of.values()))
    return {
        key: Known(row.copy(), bool(cut))  # a view would keep all the others alive
        for key, row, cut in zip(text_of, features, is_cut, strict=True)
    }
