"""Writers of delimited files, JSON and lines, in UTF-8."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import shutil
import tempfile
from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any, BinaryIO

from typing_extensions import override

from skllkd._core.tables.blocks import Block
from skllkd._core.tables.delimited import long_cells
from skllkd._core.tables.formats import Row
from skllkd.exceptions import InvalidParameterError


class TextWriter:
    """A writer of text, which is flushed after every block."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._n_written = 0
        self._are_words: dict[str, bool] = {}  # of the columns of bytes, by name

    def write(self, block: Block) -> None:
        """Write rows."""
        self._put(self._text(block))
        self._stream.flush()
        self._n_written += len(block)

    def finish(self) -> None:
        """Write the end."""

    def close(self) -> None:
        """Do nothing: the stream is whoever's that opened it."""

    def _put(self, text: str) -> None:
        """Write text."""
        self._stream.write(text.encode("utf-8", "replace"))

    def _text(self, block: Block) -> str:
        """Return rows as text."""
        raise NotImplementedError

    def _rows(self, block: Block) -> list[Row]:
        """Return rows, bytes as text: as UTF-8 if the first of a column are, or in base64.

        Parquet files of older programs have no other type for strings.
        """
        rows = block.rows()
        of_bytes: dict[str, list[tuple[int, bytes]]] = {}
        for number, row in enumerate(rows):
            for name, value in row.items():
                if isinstance(value, bytes):
                    of_bytes.setdefault(name, []).append((number, value))
        if of_bytes:
            rows = [dict(row) for row in rows]
        for name, values in of_bytes.items():
            words = [_word(value) for _, value in values]
            if self._are_words.setdefault(name, None not in words):
                if None in words:
                    number = values[words.index(None)][0] + self._n_written + 1
                    raise InvalidParameterError(
                        f"row {number}: column {name!r} holds bytes that are no text, "
                        "after others that are. Say --output-format parquet, which "
                        "keeps bytes."
                    )
                for (number, _), word in zip(values, words, strict=True):
                    rows[number][name] = word
        return rows


class JSONWriter(TextWriter):
    """A writer of an object a line, or of an array of them."""

    def __init__(self, stream: BinaryIO, *, is_array: bool) -> None:
        super().__init__(stream)
        self._is_array = is_array

    @override
    def _text(self, block: Block) -> str:
        rows = [_json(row) for row in self._rows(block)]
        if not self._is_array:
            return "".join(row + "\n" for row in rows)
        before = ",\n" if self._n_written else "[\n"
        return before + ",\n".join(rows) if rows else ""

    @override
    def finish(self) -> None:
        if self._is_array:
            self._put("\n]\n" if self._n_written else "[]\n")


class LineWriter(TextWriter):
    """A writer of the values of one column, a line each."""

    def __init__(self, stream: BinaryIO, column: str) -> None:
        super().__init__(stream)
        self._column = column

    @override
    def _text(self, block: Block) -> str:
        lines = list(map(_cell, block.column(self._column)))
        broken = next((line for line in lines if "\n" in line or "\r" in line), None)
        if broken is not None:
            raise InvalidParameterError(
                f"{broken!r} has a line end, and cannot be a line of its own. Say "
                "--output-format jsonl."
            )
        return "".join(line + "\n" for line in lines)


class DelimitedWriter(TextWriter):
    """A writer of delimited cells; columns that come late are put in all rows."""

    def __init__(self, stream: BinaryIO, delimiter: str, *, is_pipe: bool) -> None:
        super().__init__(stream)
        self._delimiter, self._is_pipe = delimiter, is_pipe
        self._names: list[str] = []
        self._n_in_header = 0

    @override
    def _text(self, block: Block) -> str:
        is_first = not self._n_in_header
        late = [name for name in block.names if name not in self._names]
        if is_first:
            self._n_in_header = len(late)
        elif late and self._is_pipe:
            raise InvalidParameterError(
                f"row {self._n_written + 1} or one soon after it has the column "
                f"{late[0]!r}, which the header that is written already has not. Say "
                "--output-format jsonl, or --output with a file."
            )
        self._names += late
        rows = ([_cell(row.get(n)) for n in self._names] for row in self._rows(block))
        header = [self._names] if is_first else []
        return self._delimited([*header, *rows])

    def _delimited(self, rows: Iterable[list[str]]) -> str:
        """Return rows of cells as text."""
        lines = _Lines()
        csv.writer(lines, delimiter=self._delimiter).writerows(rows)
        return "".join(lines)

    @override
    def finish(self) -> None:
        if len(self._names) == self._n_in_header:
            return
        with tempfile.TemporaryFile() as copy, long_cells():
            self._stream.seek(0)
            shutil.copyfileobj(self._stream, copy)
            copy.seek(0)
            self._stream.seek(0)
            lines = io.TextIOWrapper(copy, encoding="utf-8", newline="")
            rows = csv.reader(lines, delimiter=self._delimiter)
            next(rows)
            self._put(self._delimited([self._names]))
            for row in rows:
                row += [""] * (len(self._names) - len(row))
                self._put(self._delimited([row]))


class _Lines(list[str]):
    """The lines of a csv writer, with LF: cells with CR are quoted only if CRLF is said."""

    def write(self, line: str) -> None:
        """Add a line."""
        self.append(line.removesuffix("\r\n") + "\n")


def _json(row: Any) -> str:
    """Return a value as JSON, which has no NaN and no infinity."""
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(row), ensure_ascii=False, default=_plain)


def _finite(value: Any) -> Any:
    """Return a value with None in place of numbers that are none."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return value


def _word(value: bytes) -> str | None:
    """Return the text that bytes are in UTF-8, None if they are none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _plain(value: Any) -> str:
    """Return as text a value that JSON has no type for; bytes in base64."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def _cell(value: Any) -> str:
    """Return a value as the text of a cell, empty where there is none."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (dict, list, tuple)):
        return _json(value)
    return _plain(value)
