"""Formats of tables, and the names and first bytes that tell them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from skllkd.exceptions import InvalidParameterError

#: A row maps the names of columns to values.
Row = dict[str, Any]

FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "arrow", "excel", "txt")
#: Those that are written too.
OUTPUT_FORMATS = tuple(kind for kind in FORMATS if kind != "excel")
#: The format of a file, by the end of its name.
SUFFIXES = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".xlsx": "excel",
    ".xls": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
    ".txt": "txt",
}
#: First bytes of files that are no text.
MAGIC = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"FEA1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"PK\x03\x04": "excel",
    b"\xd0\xcf\x11\xe0": "excel",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
}
COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
#: Rows read, or written, together.
BATCH = 4096


def suffix_of(path: str) -> str:
    """Return the suffix that names the format: that before .gz and .zst."""
    name = PurePath(path)
    if name.suffix.lower() in COMPRESSED:
        name = name.with_suffix("")
    return name.suffix.lower()


def format_of_name(path: str) -> str:
    """Return the format that a file's name tells."""
    found = SUFFIXES.get(suffix_of(path))
    if found is None:
        raise InvalidParameterError(
            f"{path!r}: the name does not say which format the file has. End it in one "
            f"of {', '.join(SUFFIXES)}, or say --format, of {', '.join(FORMATS)}."
        )
    return found


def format_of_bytes(head: bytes) -> str | None:
    """Return the format, or the compression, of a file that begins so."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    return None


def _nothing(message: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Source:
    """A table to be read, and the properties of it that the user has named."""

    path: str  # "-" for standard input
    column: str = "text"
    format: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    quotes: bool = True  # whether quotation marks enclose cells
    notice: Callable[[str], None] = _nothing
    has_options: bool = False  # of the command line

    @property
    def name(self) -> str:
        """The table as messages call it."""
        return "standard input" if self.path == "-" else self.path

    def error(self, message: str, option: str = "") -> InvalidParameterError:
        """Return an error about this table, which an option may mend."""
        if option and not self.has_options:
            option = "Or read it with pandas, and give the data frame."
        return InvalidParameterError(f"{self.name}{message} {option}".rstrip())
