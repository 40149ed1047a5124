"""Tables read as they come: delimited files, JSON, parquet, Arrow, workbooks and lines.

Nothing is converted: a cell of a delimited file is the string that stands there, and the
other formats keep their types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from skllkd._core.tables.arrow import ArrowBlocks
from skllkd._core.tables.blocks import Block, RowBlock
from skllkd._core.tables.delimited import (
    DelimitedRows,
    cells_of,
    header_lines,
    told_delimiter,
)
from skllkd._core.tables.excel import ExcelRows
from skllkd._core.tables.formats import (
    BATCH,
    Row,
    Source,
    format_of_bytes,
    format_of_name,
)
from skllkd._core.tables.json_objects import JSONRows
from skllkd._core.tables.streams import Lines, OpenedBytes, opened

_JSON = re.compile(r'\s*(\[\s*)?\{\s*"|\s*\[\s*$')
_HEADER_WORD = re.compile(r"\s*[^\W\d][\w.\-]*\s*")


class Table:
    """A table that is being read: its format, its columns as far as known, its rows.

    Attributes
    ----------
    names : list of str or None
        The columns; None where each row has its own.
    """

    def __init__(
        self, kind: str, names: list[str] | None, blocks: Iterator[Block]
    ) -> None:
        self.format, self.names, self._blocks = kind, names, blocks

    def __iter__(self) -> Iterator[Block]:
        """Generate the rows, those together that come together."""
        return self._blocks


@contextmanager
def read_table(source: Source) -> Iterator[Table]:
    """Open a table; its rows are read once."""
    kind = source.format
    if kind is None and source.path != "-":
        kind = format_of_name(source.path)
    with opened(source) as bytes_:
        yield _table(bytes_, kind or format_of_bytes(bytes_.head), source)


def _table(bytes_: OpenedBytes, kind: str | None, source: Source) -> Table:
    """Return a table of a format, or of the format that its first line tells."""
    if kind in ("parquet", "arrow"):
        blocks = ArrowBlocks(bytes_, kind, source)
        return Table(kind, blocks.names, iter(blocks))
    if kind == "excel":
        sheet = ExcelRows(bytes_, source)
        return Table(kind, sheet.names, _in_blocks(sheet, sheet.names))
    _refuse_bytes(bytes_.head, kind, source)
    lines = Lines(bytes_, source)
    kind = kind or _format_of_lines(lines, source)

    def at_hand() -> bool:
        return bytes_.path is not None or lines.at_hand

    if kind == "txt":
        rows = ({source.column: line.rstrip("\r\n")} for line in lines)
        return Table(kind, [source.column], _in_blocks(rows, [source.column], at_hand))
    if kind in ("json", "jsonl"):
        return Table(kind, None, _in_blocks(JSONRows(lines, source), None, at_hand))
    cells = DelimitedRows(lines, kind, source)
    return Table(kind, cells.names, _in_blocks(cells, cells.names, at_hand))


def _in_blocks(
    rows: Iterable[Row],
    names: list[str] | None,
    at_hand: Callable[[], bool] = lambda: True,
) -> Iterator[Block]:
    """Generate blocks of rows; rows that came together are not kept waiting for more."""
    waiting: list[Row] = []
    is_empty = True
    for row in rows:
        waiting.append(row)
        if len(waiting) == BATCH or not at_hand():
            yield RowBlock(waiting, names)
            waiting, is_empty = [], False
    if waiting or is_empty:
        yield RowBlock(waiting, names)


def _refuse_bytes(head: bytes, kind: str | None, source: Source) -> None:
    """Raise if a file that should be text begins as one that is none."""
    found = format_of_bytes(head)
    if found is not None and source.encoding is None:
        raise source.error(
            f" should be {kind}, and begins as a file of the format {found} does.",
            f"Say --format {found}, if it is one.",
        )


def _format_of_lines(lines: Lines, source: Source) -> str:
    """Tell the format of a pipe from its first line; say so unless it is lines."""
    first = lines.first() or ""
    if source.delimiter is not None:
        return "csv"
    if _JSON.match(first):
        kind = "jsonl"
    else:
        has_quotes = first.lstrip().startswith('"')
        header = header_lines(lines) if has_quotes else [first]
        kind = _delimited_format(header, source)
    if kind != "txt":
        source.notice(f"{source.name} is read as {kind}; --format says another.")
    return kind


def _delimited_format(header: list[str], source: Source) -> str:
    """Return "csv" where the header names the column of the texts, or else "txt"."""
    cells = cells_of(header, told_delimiter(header, "csv", source))
    if source.column in cells:
        return "csv"
    if len(cells) > 1 and all(map(_HEADER_WORD.fullmatch, cells)):
        raise source.error(
            f" begins with {header[0].strip()!r}, as a table does that has no column "
            f"{source.column!r}.",
            "Say --column and --format csv, or --format txt if every line is a text.",
        )
    return "txt"


class WholeTable(Mapping[str, list[Any]]):
    """A table in memory, as the values of each column; only those asked for are made."""

    def __init__(self, source: Source) -> None:
        with read_table(source) as table:
            self._blocks = list(table)
        self._names = list(dict.fromkeys(n for b in self._blocks for n in b.names))

    def __getitem__(self, name: str) -> list[Any]:
        """Return the values of a column, None in rows that lack it."""
        if name not in self:
            raise KeyError(name)
        parts = [
            block.values(name) if block.has(name) else [None] * len(block)
            for block in self._blocks
        ]
        return [value for part in parts for value in part]

    def __contains__(self, name: object) -> bool:
        """Return whether there is a column, or one that may have such a field."""
        return isinstance(name, str) and any(b.has(name) for b in self._blocks)

    def __iter__(self) -> Iterator[str]:
        """Return the names of the columns."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self._names)
