"""Tables written as they come: complete, or not at all where a file is named."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from skllkd._core.tables.arrow_writer import ArrowWriter
from skllkd._core.tables.blocks import Block
from skllkd._core.tables.formats import OUTPUT_FORMATS
from skllkd._core.tables.text_writers import DelimitedWriter, JSONWriter, LineWriter
from skllkd.exceptions import InvalidParameterError


class Writer(Protocol):
    """A writer of one format."""

    def write(self, block: Block) -> None:
        """Write rows."""

    def finish(self) -> None:
        """Write the rows that are left."""

    def close(self) -> None:
        """Release the rows that wait on disk."""


@contextmanager
def open_output(path: str, kind: str, column: str) -> Iterator[Writer]:
    """Open a table to be written, whose plain lines are the values of a column.

    A file is written beside its place and put there at the end; "-" is standard output.
    """
    if kind not in OUTPUT_FORMATS:
        raise InvalidParameterError(
            f"{path!r}: {kind} is not written. Write one of {', '.join(OUTPUT_FORMATS)}."
        )
    with _place(path) as stream:
        is_pipe = path == "-" or not stream.seekable()
        writer = writer_of(stream, kind, column, is_pipe=is_pipe)
        try:
            yield writer
            writer.finish()
            stream.flush()
        finally:
            writer.close()


def try_writing(blocks: Iterable[Block], path: str, kind: str, column: str) -> None:
    """Raise if blocks could not be written to a place; nothing is written there."""
    with tempfile.TemporaryFile() as stream:
        writer = writer_of(stream, kind, column, is_pipe=path == "-")
        try:
            for block in blocks:
                writer.write(block)
            writer.finish()
        finally:
            writer.close()


def writer_of(stream: BinaryIO, kind: str, column: str, *, is_pipe: bool) -> Any:
    """Return the writer of a format."""
    if kind in ("parquet", "arrow"):
        return ArrowWriter(stream, kind)
    if kind in ("json", "jsonl"):
        return JSONWriter(stream, is_array=kind == "json")
    if kind == "txt":
        return LineWriter(stream, column)
    return DelimitedWriter(stream, "\t" if kind == "tsv" else ",", is_pipe=is_pipe)


@contextmanager
def _place(path: str) -> Iterator[BinaryIO]:
    """Open standard output, or a file beside the one named, which it replaces."""
    if path == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
        return
    target = Path(path).expanduser().resolve()
    if target.is_dir():
        raise InvalidParameterError(f"{path!r} is a folder. Name a file to write.")
    if target.exists() and not target.is_file():  # a device or a named pipe
        with open(target, "wb") as stream:
            yield stream
        return
    with _file_beside(target) as stream:
        yield stream


@contextmanager
def _file_beside(target: Path) -> Iterator[BinaryIO]:
    """Open a file in the folder of another, which it replaces unless an error is raised."""
    if target.exists() and not os.access(target, os.W_OK):
        raise InvalidParameterError(f"'{target}' is not writable.")
    try:
        handle, partial = tempfile.mkstemp(
            prefix=f".{target.name[:40]}.", suffix=".partial", dir=target.parent
        )
    except OSError as error:
        raise InvalidParameterError(
            f"'{target}' cannot be written: {error.strerror}. Name another place."
        ) from error
    try:
        with open(handle, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(partial, _mode(target))
        os.replace(partial, target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    """Return the permissions of a file, or those that a new one gets."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
