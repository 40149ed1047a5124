"""The rows of delimited files.

They are read by the standard library's csv module in its strict mode. pandas, polars and
pyarrow fill short rows up without a word, read a pipe in blocks, and the latter two
accept an open quotation mark.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from skllkd._core.tables.formats import Row, Source
from skllkd._core.tables.streams import Lines

_USUAL = {"csv": ",", "tsv": "\t"}
_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_LONGEST_CELL = 2**31 - 1
_LONGEST_HEADER = 100  # lines


class DelimitedRows:
    """The rows of a delimited file; its header is read at once."""

    def __init__(self, lines: Lines, kind: str, source: Source) -> None:
        self._lines, self._source = lines, source
        given = source.delimiter or _said_delimiter(lines)
        self._delimiter = given or told_delimiter(header_lines(lines), kind, source)
        if not source.delimiter and self._delimiter != _USUAL[kind]:
            source.notice(f"{source.name}: {delimiter_in_words(self._delimiter)}.")
        self._reader = _reader(lines, self._delimiter, source)
        with long_cells():
            self.names = self._header()

    def _header(self) -> list[str]:
        """Read the names of the columns, each of which must be there once."""
        names = self._next_cells()
        if names is None:
            raise self._source.error(" is empty: it has no header.")
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            places = [i for i, name in enumerate(names, 1) if name == repeated]
            raise self._source.error(
                f": the header has the name {repeated!r} {len(places)} times (columns "
                f"{', '.join(map(str, places))}). Give every column a name of its own."
            )
        if any("\0" in name for name in names):
            raise self._source.error(
                ": the header holds NUL characters, as UTF-16 without a mark does when "
                "it is read as another encoding. Save it as UTF-8.",
                "Or say --encoding utf-16-le.",
            )
        return names

    def __iter__(self) -> Iterator[Row]:
        """Generate the rows, each as long as the header."""
        with long_cells():
            while (cells := self._next_cells()) is not None:
                if len(cells) != len(self.names):
                    raise self._wrong_length(cells)
                yield dict(zip(self.names, cells, strict=True))

    def _next_cells(self) -> list[str] | None:
        """Read the next row that is not an empty line; None at the end."""
        try:
            while True:
                self._line = self._lines.n_given + 1
                cells = next(self._reader, None)
                if cells != []:
                    return cells
        except csv.Error as error:
            raise self._source.error(
                f", line {self._line}: {_fault(str(error))} ({error}). Cells are "
                f"{delimiter_in_words(self._delimiter)}; quotation marks around a cell "
                "must be closed, and those inside be doubled, not escaped by a backslash. "
                "Write it so, or as JSON Lines or parquet.",
                "If they are part of the text, as in many .tsv files, say --no-quotes.",
            ) from None

    def _wrong_length(self, cells: list[str]) -> Exception:
        """Return the error about a row with too few or too many cells."""
        n_cells, n_names = len(cells), len(self.names)
        hint = "Is a line broken, or a cell left out?"
        if n_cells > n_names:
            hint = (
                f"Is a text with {_NAMES.get(self._delimiter, 'delimiters')} or a line "
                "end not in quotation marks?"
            )
        return self._source.error(
            f", line {self._line}: {n_cells} cell(s), and {n_names} column(s) in the "
            f"header. {hint}"
        )


def _fault(error: str) -> str:
    """Return in words why a row cannot be read."""
    if "end of data" in error:
        return "a quotation mark is opened and never closed"
    return "the quotation marks are not right"


@contextmanager
def long_cells() -> Iterator[None]:
    """Lift the csv module's limit of 131,072 characters a cell, which is global."""
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _reader(lines: Lines, delimiter: str, source: Source) -> Iterator[list[str]]:
    """Return the csv reader, or raise that the delimiter is none."""
    try:
        return csv.reader(
            lines,
            delimiter=delimiter,
            strict=True,
            quoting=csv.QUOTE_MINIMAL if source.quotes else csv.QUOTE_NONE,
        )
    except (TypeError, ValueError) as error:
        raise source.error(
            f" cannot be read: --delimiter {delimiter!r} must be one character, and "
            "neither a quotation mark nor a line end."
        ) from error


def header_lines(lines: Lines) -> list[str]:
    """Return the lines of the header, which stay: more than one if it has quotes."""
    taken: list[str] = []
    for line in islice(lines, _LONGEST_HEADER):
        taken.append(line)
        if line.strip() and sum(part.count('"') for part in taken) % 2 == 0:
            break
    lines.put_back(taken)
    return taken


def cells_of(header: list[str], delimiter: str) -> list[str]:
    """Return the names in the lines of a header, or none."""
    try:
        return next(filter(None, csv.reader(header, delimiter=delimiter)), [])
    except csv.Error:
        return []


def told_delimiter(header: list[str], kind: str, source: Source) -> str:
    """Return the delimiter with which the header has the column of the texts.

    Where none has, it is the usual one of the format if the header holds it, or that
    which the header holds most often.
    """
    usual = _USUAL[kind]
    candidates = sorted(_DELIMITERS, key=lambda mark: mark != usual)
    cells = {mark: cells_of(header, mark) for mark in candidates}
    with_column = [mark for mark in candidates if source.column in cells[mark]]
    if with_column:
        return max(with_column, key=lambda mark: len(cells[mark]))
    if len(cells[usual]) > 1:
        return usual
    return max(candidates, key=lambda mark: len(cells[mark]))


def _said_delimiter(lines: Lines) -> str | None:
    """Take the line `sep=;`, which Excel writes and reads, and return its delimiter."""
    said = (lines.first() or "").rstrip("\r\n")
    if len(said) == 5 and said.lower().startswith("sep="):
        next(lines)
        return said[-1]
    return None


def delimiter_in_words(delimiter: str) -> str:
    """Return the name of the delimiter, in words."""
    return f"separated by {_NAMES.get(delimiter, repr(delimiter))}"
