"""Digests of files."""

import hashlib
import os

from skllkd._core.digest import file_digest


def test_a_digest_is_that_of_the_file_as_it_is_now(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert file_digest(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert file_digest(path) == hashlib.sha256(b"two").hexdigest()


def test_a_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"three")
    first = file_digest(path)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert file_digest(path) == first
