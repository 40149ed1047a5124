"""Digests of files and of encoders."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import Weights


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read once a process unless the file changes."""
    stat = path.stat()
    return _digest(path.resolve(), stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encoder_digest(config: dict[str, Any], tokenizer: str, weights: Weights) -> str:
    """Digest an encoder, to know its features by."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(config, sort_keys=True).encode())
    digest.update(tokenizer.encode())
    for name, array in sorted(weights.items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def text_keys(texts: Any) -> npt.NDArray[np.uint32]:
    """Return a digest of 32 bits of each text, or row of numbers.

    Enough to tell texts that were learned from others: by chance, one new text in 43,000
    has the digest of one of 100,000.
    """
    if isinstance(texts, np.ndarray):
        rows = (row.tobytes() for row in np.ascontiguousarray(texts))
    else:
        rows = (text.encode("utf-8", "surrogatepass") for text in texts)
    digests = b"".join(hashlib.blake2b(row, digest_size=4).digest() for row in rows)
    return np.frombuffer(digests, dtype="<u4").astype(np.uint32)
