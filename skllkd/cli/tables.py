"""Tables of the command line: its input, the texts in it, and its output."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skllkd._core.arrays import is_missing
from skllkd._core.near import near
from skllkd._core.tables.blocks import Block, has_column
from skllkd._core.tables.formats import (
    FORMATS,
    OUTPUT_FORMATS,
    Source,
    format_of_name,
)
from skllkd._core.tables.reading import Table, WholeTable, read_table
from skllkd._core.tables.writing import Writer, open_output
from skllkd.cli.console import say
from skllkd.exceptions import InvalidParameterError


def add_input(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the file of texts, and its properties."""
    parser.add_argument(
        "input",
        nargs="?",
        default=default,
        help="file of texts: .csv, .tsv, .jsonl, .json, .parquet, .arrow, .feather, "
        ".xlsx, or .txt (a text a line), compressed or not (.gz, .zst); - for standard "
        "input",
    )
    add = parser.add_argument
    add(
        "--column",
        default="text",
        help="column of the texts, or a field in it: data.text",
    )
    add("--format", choices=FORMATS, help="format of the input")
    add("--delimiter", help="what separates the cells, if the header does not tell it")
    add("--encoding", help="encoding of the input, if it is not UTF-8, as cp1252")
    add(
        "--no-quotes",
        action="store_true",
        help="quotation marks are part of the text, and enclose no cells",
    )


def add_output(parser: argparse.ArgumentParser, column: str) -> None:
    """Add the file to write, and the name of the column that is added."""
    add = parser.add_argument
    add("--output", "-o", default="-", help="file to write; - for standard output")
    add("--output-format", choices=OUTPUT_FORMATS, help="format of the output")
    add(
        "--output-column",
        help=f"name of the column of labels, {column!r} by default, with which those "
        "of the other columns that are added then begin",
    )


def source_of(options: argparse.Namespace) -> Source:
    """Return the input with all that is said about it."""
    return Source(
        options.input,
        options.column,
        format=options.format,
        delimiter=options.delimiter,
        encoding=options.encoding,
        quotes=not options.no_quotes,
        notice=say,
        has_options=True,
    )


def whole_table(path: str, column: str) -> WholeTable:
    """Read a table that goes with the input."""
    return WholeTable(Source(path, column, notice=say))


class TextReader:
    """The texts in the blocks of a table, None in rows without one, which are counted."""

    def __init__(self, source: Source) -> None:
        self._source, self._column = source, source.column
        self._n_rows = 0
        self._without: list[int] = []

    def texts(self, block: Block) -> list[str | None]:
        """Return the texts in a block."""
        if not self._n_rows and block.first_names:
            self.check_names(block.first_names)
        if not block.has(self._column):
            values: list[Any] = [None] * len(block)
        else:
            values = block.values(self._column)
        texts = [self._text(value, row) for row, value in enumerate(values, 1)]
        self._n_rows += len(block)
        return texts

    def check_names(self, names: list[str]) -> None:
        """Raise if there is no column of the texts."""
        if not has_column(self._column, names):
            raise self._source.error(
                f": there is no column {self._column!r}; the columns are {names}."
                f"{near(self._column, names)} Name the column of the texts with "
                "--column. If the first line is no header, put one before it."
            )

    def _text(self, value: Any, row: int) -> str | None:
        """Return a text, None where it is missing."""
        row += self._n_rows
        if isinstance(value, bytes):  # as parquet files without a logical type have it
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            return value
        if is_missing(value):
            self._without.append(row)
            return None
        raise self._source.error(
            f", row {row}: column {self._column!r} holds {value!r:.60} "
            f"({type(value).__name__}), which is no text. Name another column with "
            "--column, or make it text."
        )

    def tell(self, consequence: str) -> None:
        """Say how many rows have no text."""
        if self._without:
            say(
                f"{self._source.name}: {len(self._without):,} of {self._n_rows:,} rows "
                f"have no text (the first is row {self._without[0]}). {consequence}"
            )


def texts_of(options: argparse.Namespace) -> list[str]:
    """Return the texts of the input."""
    source = source_of(options)
    reader = TextReader(source)
    with read_table(source) as table:
        texts = [text for block in table for text in reader.texts(block)]
    reader.tell("They are left out.")
    return [text for text in texts if text is not None]


class AddedColumns:
    """The columns that a command adds, none of which may be the user's."""

    def __init__(
        self, options: argparse.Namespace, label: str, others: list[str]
    ) -> None:
        self.label, begin = label, ""
        if options.output_column is not None:
            self.label = options.output_column
            begin = f"{self.label}_"
        self.names = [self.label, *(f"{begin}{name}" for name in others)]

    def add(self, block: Block, columns: list[list[Any]]) -> Block:
        """Add columns to a block."""
        self.check(block.names)
        return block.with_columns(dict(zip(self.names, columns, strict=True)))

    def check(self, names: list[str]) -> None:
        """Raise if the input has a column of a name that would be added."""
        taken = [name for name in self.names if name in names]
        if taken:
            raise InvalidParameterError(
                f"the input has a column {taken[0]!r} already, which would be lost. Name "
                "the columns that are added with --output-column, or rename yours."
            )


def check_output(options: argparse.Namespace) -> None:
    """Raise if the output is the input."""
    names = (options.input, options.output)
    if "-" not in names and len({Path(name).resolve() for name in names}) == 1:
        raise InvalidParameterError(
            f"--output {options.output!r} is the input, which would be lost. Name "
            "another file."
        )


@contextmanager
def output_of(
    options: argparse.Namespace, table: Table, label: str, *, lines: bool = True
) -> Iterator[Writer]:
    """Open the output of a table."""
    kind = output_format(options, table, lines=lines)
    with open_output(options.output, kind, label) as writer:
        yield writer


def output_format(
    options: argparse.Namespace, table: Table, *, lines: bool = True
) -> str:
    """Return the format of the output: the table's unless a file or option says another."""
    kind: str | None = options.output_format
    if options.output == "-":
        kept = ("csv", "tsv", "jsonl", "txt" if lines else "csv")
        kind = kind or (table.format if table.format in kept else "csv")
    return kind or format_of_name(options.output)
