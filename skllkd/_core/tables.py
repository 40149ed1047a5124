"""Rows of text files and tables, read and written as they come."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from skllkd._core.params import optional_import
from skllkd.exceptions import InvalidParameterError

Row = dict[str, Any]
FORMATS = ("csv", "jsonl", "parquet", "txt")
_SUFFIXES = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".txt": "txt",
}


def format_of(path: str, given: str | None) -> str:
    """Return the format of a file, from its name unless it is given.

    Parameters
    ----------
    path : str
        The file; "-" for standard input or output.
    given : str or None
        The format, if the user said it.

    Returns
    -------
    str
        One of `FORMATS`; "txt" for "-" if nothing else is said.

    Raises
    ------
    InvalidParameterError
        If the name does not say.
    """
    if given is not None:
        return given
    if path == "-":
        return "txt"
    found = _SUFFIXES.get(Path(path).suffix.lower())
    if found is None:
        raise InvalidParameterError(
            f"`{path}`: the name does not say what format the file has. Say "
            f"--format, one of {', '.join(FORMATS)}."
        )
    return found


def read_rows(path: str, kind: str, column: str) -> Iterator[Row]:
    """Generate the rows of a file, in memory that does not grow.

    Parameters
    ----------
    path : str
        The file; "-" for standard input.
    kind : {"csv", "jsonl", "parquet", "txt"}
        Its format; "txt" has a text a line.
    column : str
        The column of the texts.

    Yields
    ------
    dict
        A row by column.

    Raises
    ------
    InvalidParameterError
        If the file is not there, or a row cannot be read or has no such column; the row
        is named.
    """
    if path != "-" and not Path(path).is_file():
        raise InvalidParameterError(f"there is no file {path!r}.")
    for number, row in enumerate(_rows(path, kind, column), start=1):
        if None in row:
            raise InvalidParameterError(
                f"{path}, row {number}: there are more cells than columns. Is a text "
                "with a comma or a line end without quotation marks?"
            )
        if not isinstance(row.get(column), str):
            raise InvalidParameterError(
                f"{path}, row {number}: there is no text in column {column!r}; the "
                f"columns are {[str(name) for name in row]}. Say --column."
            )
        yield row


def _rows(path: str, kind: str, column: str) -> Iterator[Row]:
    """Generate rows as the format gives them."""
    if kind == "parquet":
        if path == "-":
            raise InvalidParameterError("parquet cannot be read from standard input.")
        parquet = optional_import("pyarrow.parquet", "table")
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096):
                yield from batch.to_pylist()
        return
    with _opened(path, "r") as file:
        if kind == "txt":
            for line in file:
                yield {column: line.rstrip("\r\n")}
        elif kind == "csv":
            try:
                yield from csv.DictReader(file)
            except csv.Error as error:
                raise InvalidParameterError(f"{path} is no CSV: {error}.") from error
        else:
            yield from _objects(file, path)


def _objects(lines: Iterable[str], path: str) -> Iterator[Row]:
    """Generate the objects of JSON Lines."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InvalidParameterError(
                f"{path}, line {number} is no JSON: {error}."
            ) from error
        if not isinstance(row, dict):
            raise InvalidParameterError(f"{path}, line {number} is no JSON object.")
        yield row


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
    """Write rows as they come; what was written stays if a later row fails.

    Parameters
    ----------
    rows : iterable of dict
        The rows, all with the columns of the first.
    path : str
        The file, replaced if it is there; "-" for standard output.
    kind : {"csv", "jsonl", "parquet", "txt"}
        Its format; "txt" writes the column "predicted" alone.

    Returns
    -------
    int
        How many were written.
    """
    if kind == "parquet":
        return _write_parquet(rows, path)
    n_written = 0
    with _opened(path, "w") as file:
        writer = None
        for row in rows:
            if kind == "jsonl":
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
            elif kind == "txt":
                file.write(f"{row['predicted']}\n")
            else:
                if writer is None:
                    writer = csv.DictWriter(file, list(row), lineterminator="\n")
                    writer.writeheader()
                if list(row) != list(writer.fieldnames):
                    raise InvalidParameterError(
                        f"row {n_written + 1} has the columns {list(row)}, the first "
                        f"{list(writer.fieldnames)}: as CSV they do not go together. "
                        "Write .jsonl."
                    )
                writer.writerow(row)
            n_written += 1
            if n_written % 4096 == 0:
                file.flush()
        file.flush()
    return n_written


def _write_parquet(rows: Iterable[Row], path: str) -> int:
    """Write rows to a parquet file, some thousand at a time."""
    if path == "-":
        raise InvalidParameterError("parquet cannot be written to standard output.")
    arrow = optional_import("pyarrow", "table")
    parquet = optional_import("pyarrow.parquet", "table")
    writer, n_written, waiting = None, 0, []
    try:
        for row in rows:
            waiting.append(row)
            n_written += 1
            if len(waiting) == 4096:
                writer = _write_batch(arrow, parquet, writer, waiting, path)
                waiting = []
        if waiting:
            writer = _write_batch(arrow, parquet, writer, waiting, path)
    finally:
        if writer is not None:
            writer.close()
    return n_written


def _write_batch(
    arrow: Any, parquet: Any, writer: Any, rows: list[Row], path: str
) -> Any:
    """Write some rows, and return the writer, which the first of them make."""
    schema = None if writer is None else writer.schema
    table = arrow.Table.from_pylist(rows, schema=schema)
    writer = parquet.ParquetWriter(path, table.schema) if writer is None else writer
    writer.write_table(table)
    return writer
