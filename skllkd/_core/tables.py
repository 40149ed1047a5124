"""The one reader and writer of tables: csv, tsv, JSON Lines, parquet and plain lines.

No value is converted: a cell of a csv or tsv file is the string that stands there, and
JSON and parquet keep their types. csv and json are the standard library's: pyarrow's
own readers turn strings that look like dates, numbers or flags into such, and read a
pipe in blocks.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from skllkd._core.params import optional_import
from skllkd.exceptions import InvalidParameterError

Row = dict[str, Any]
FORMATS = ("csv", "tsv", "jsonl", "parquet", "txt")
#: The format of a file, by the end of its name.
SUFFIXES = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".txt": "txt",
}
#: Rows read, or written, together.
_BATCH = 4096


def format_of(path: str, given: str | None) -> str:
    """Return the format given, or else that of a file's name; "txt" for "-"."""
    if given is not None:
        return given
    if path == "-":
        return "txt"
    found = SUFFIXES.get(Path(path).suffix.lower())
    if found is None:
        raise InvalidParameterError(
            f"`{path}`: the name does not say what format the file has. Say "
            f"--format, one of {', '.join(FORMATS)}."
        )
    return found


def read_rows(path: str, kind: str, text_column: str = "text") -> Iterator[Row]:
    """Generate the rows of a file, or of standard input for "-", as they come.

    A row maps columns to values; a plain line is the value of `text_column`.
    """
    if path != "-" and not Path(path).is_file():
        raise InvalidParameterError(f"there is no file {path!r}.")
    if kind == "parquet":
        yield from _parquet_rows(path)
        return
    with _opened(path, "r") as file:
        if kind == "txt":
            yield from ({text_column: line.rstrip("\r\n")} for line in file)
        elif kind == "jsonl":
            yield from _objects(file, path)
        else:
            yield from _cells(file, path, "\t" if kind == "tsv" else ",")


def read_columns(path: str) -> dict[str, list[Any]]:
    """Return a whole file by column; None where a row has no such column."""
    rows = list(read_rows(path, format_of(path, None)))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _cells(file: Iterable[str], path: str, delimiter: str) -> Iterator[Row]:
    """Generate the rows of a csv or tsv file."""
    try:
        for number, row in enumerate(csv.DictReader(file, delimiter=delimiter), 1):
            if None in row:
                raise InvalidParameterError(
                    f"{path}, row {number}: there are more cells than columns. Is a text "
                    "with a comma or a line end without quotation marks?"
                )
            yield row
    except csv.Error as error:
        raise InvalidParameterError(f"{path} is no CSV: {error}.") from error


def _objects(file: Iterable[str], path: str) -> Iterator[Row]:
    """Generate the objects of JSON Lines."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            fault = "" if isinstance(row, dict) else " object"
        except ValueError as error:
            fault = f": {error}"
        if fault:
            raise InvalidParameterError(
                f"{path}, line {number} is no JSON{fault}. The file must hold one JSON "
                "object a line."
            )
        yield row


def _parquet_rows(path: str) -> Iterator[Row]:
    """Generate the rows of a parquet file."""
    if path == "-":
        raise InvalidParameterError("parquet cannot be read from standard input.")
    arrow = optional_import("pyarrow", "table")
    parquet = optional_import("pyarrow.parquet", "table")
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from batch.to_pylist()
    except arrow.ArrowException as error:
        raise InvalidParameterError(
            f"{path!r} cannot be read as parquet: {error}."
        ) from error


@contextmanager
def _opened(path: str, mode: str) -> Iterator[IO[str]]:
    """Open a file, or one of the standard streams, which stays open."""
    if path == "-":
        yield sys.stdin if mode == "r" else sys.stdout
        return
    encoding = "utf-8-sig" if mode == "r" else "utf-8"
    with open(path, mode, encoding=encoding, newline="") as file:
        yield file


def write_rows(rows: Iterable[Row], path: str, kind: str) -> int:
    """Write rows as they come, and return their number; "-" is standard output.

    Rows written stay if a later one fails. Plain lines hold the column "predicted".
    """
    if kind == "parquet":
        return _write_parquet(rows, path)
    n_written = 0
    with _opened(path, "w") as file:
        write = _row_writer(file, kind)
        for n_written, row in enumerate(rows, start=1):
            write(n_written, row)
            if n_written % _BATCH == 0:
                file.flush()
        file.flush()
    return n_written


def _row_writer(file: IO[str], kind: str) -> Callable[[int, Row], Any]:
    """Return a function that writes a row, given with its number."""
    if kind == "jsonl":
        return lambda number, row: file.write(
            json.dumps(row, ensure_ascii=False, default=str) + "\n"
        )
    if kind == "txt":
        return lambda number, row: file.write(f"{row['predicted']}\n")
    delimiter = "\t" if kind == "tsv" else ","
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    columns: list[str] = []

    def write_cells(number: int, row: Row) -> None:
        if number == 1:
            columns.extend(row)
            writer.writerow(columns)
        if list(row) != columns:
            raise InvalidParameterError(
                f"row {number} has the columns {list(row)}, the first {columns}: as CSV "
                "they do not go together. Write .jsonl."
            )
        writer.writerow(row.values())

    return write_cells


def _write_parquet(rows: Iterable[Row], path: str) -> int:
    """Write rows to a parquet file, some thousand at a time."""
    if path == "-":
        raise InvalidParameterError("parquet cannot be written to standard output.")
    arrow = optional_import("pyarrow", "table")
    parquet = optional_import("pyarrow.parquet", "table")
    writer, n_written, waiting = None, 0, iter(rows)
    try:
        while batch := list(islice(waiting, _BATCH)):
            schema = None if writer is None else writer.schema
            table = arrow.Table.from_pylist(batch, schema=schema)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
            n_written += len(batch)
    finally:
        if writer is not None:
            writer.close()
    return n_written
