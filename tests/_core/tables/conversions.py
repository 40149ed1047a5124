"""Tables read and written whole, by name and through a pipe."""

import io
import sys
from types import SimpleNamespace
from unittest import mock

from skllkd._core.tables.blocks import RowBlock
from skllkd._core.tables.formats import Source
from skllkd._core.tables.reading import read_table
from skllkd._core.tables.writing import open_output, writer_of


class Dripping(io.RawIOBase):
    """A stream that gives what it has in pieces, as a pipe does."""

    def __init__(self, data, size):
        self.data, self.size = io.BytesIO(data), size

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self.data.read(min(self.size, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def pipe(data, size=7):
    """Stand in for standard input."""
    stream = io.BufferedReader(Dripping(data, size))
    return mock.patch.object(sys, "stdin", SimpleNamespace(buffer=stream))


def read(path, **given):
    """Return the rows of a file."""
    with read_table(Source(str(path), **given)) as table:
        return [row for block in table for row in block.rows()]


def read_piped(data, size=7, **given):
    """Return the rows of bytes that come through a pipe."""
    with pipe(data, size):
        return read("-", **given)


def write(path, rows, kind, block_size=2, column="text"):
    """Write rows in small blocks."""
    with open_output(str(path), kind, column) as output:
        for start in range(0, max(len(rows), 1), block_size):
            output.write(RowBlock(rows[start : start + block_size]))
    return path


def written(rows, kind, block_size=2):
    """Return the bytes of a table that is written in small blocks."""
    stream = io.BytesIO()
    writer = writer_of(stream, kind, "text", is_pipe=False)
    try:
        for start in range(0, max(len(rows), 1), block_size):
            writer.write(RowBlock(rows[start : start + block_size]))
        writer.finish()
    finally:
        writer.close()
    return stream.getvalue()
