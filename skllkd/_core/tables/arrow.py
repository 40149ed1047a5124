"""Parquet, Arrow and Feather files: tables whose columns have types, which they keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from typing_extensions import override

from skllkd._core.params import optional_import, shown
from skllkd._core.tables.blocks import Block
from skllkd._core.tables.formats import BATCH, Row, Source
from skllkd._core.tables.streams import OpenedBytes
from skllkd.exceptions import InvalidParameterError, SkllkdError

_POINTER = b"version https://git-lfs"


class ArrowBlock(Block):
    """Rows of an Arrow table."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.names = table.column_names

    @override
    def __len__(self) -> int:
        return int(self.table.num_rows)

    @override
    def column(self, name: str) -> list[Any]:
        return _python_values(self.table.column(name))

    @override
    def rows(self) -> list[Row]:
        columns = [self.column(name) for name in self.names]
        return [
            dict(zip(self.names, values, strict=True))
            for values in zip(*columns, strict=True)
        ]

    @override
    def with_columns(self, columns: Mapping[str, list[Any]]) -> ArrowBlock:
        table = self.table
        for name, values in columns.items():
            table = table.append_column(name, arrow_array(values, name))
        return ArrowBlock(table)


class ArrowBlocks:
    """The blocks of a parquet, Arrow or Feather file, whose columns are known at once."""

    def __init__(self, opened: OpenedBytes, kind: str, source: Source) -> None:
        self._kind, self._source = kind, source
        optional_import("pyarrow", "table")
        if opened.head.startswith(_POINTER):
            raise source.error(
                " is a pointer of Git LFS, not the file. Fetch it: git lfs pull."
            )
        with self._damage_named():
            self._schema, self._batches = _FILES[kind](opened)
            self.names = list(self._schema.names)
        repeated = [name for name in self.names if self.names.count(name) > 1]
        if repeated:
            raise source.error(
                f": {len(repeated)} columns are named {repeated[0]!r}. Give every column "
                "a name of its own."
            )

    def __iter__(self) -> Iterator[Block]:
        """Generate the rows, some thousand at a time; without any, an empty block."""
        arrow, n_rows = optional_import("pyarrow", "table"), 0
        with self._damage_named():
            for batch in self._batches:
                if self._kind == "arrow":  # where damage would end the process
                    batch.validate(full=True)
                for start in range(0, batch.num_rows, BATCH):
                    part = batch.slice(start, BATCH)
                    yield ArrowBlock(arrow.Table.from_batches([part]))
                n_rows += batch.num_rows
            if not n_rows:
                yield ArrowBlock(self._schema.empty_table())

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Raise a named error for whatever a damaged file makes the library raise."""
        try:
            yield
        except (SkllkdError, MemoryError):
            raise
        except Exception as error:
            raise self._source.error(
                f" cannot be read as {self._kind}: {shown(str(error), 200)}"
            ) from error


def _parquet_file(opened: OpenedBytes) -> tuple[Any, Iterator[Any]]:
    """Open a parquet file, which ends with its index: a stream is read as a whole."""
    parquet = optional_import("pyarrow.parquet", "table")
    file = parquet.ParquetFile(opened.path or _whole(opened))
    return file.schema_arrow, file.iter_batches(batch_size=BATCH)


def _arrow_file(opened: OpenedBytes) -> tuple[Any, Iterator[Any]]:
    """Open an Arrow file, which a Feather file is, or an Arrow stream."""
    arrow = optional_import("pyarrow", "table")
    if opened.head.startswith(b"FEA1"):
        raise ValueError("it is of version 1 of Feather. Write it anew, as parquet.")
    if not opened.head.startswith(b"ARROW1"):
        stream = arrow.ipc.open_stream(opened.stream)
        return stream.schema, iter(stream)
    mapped = arrow.memory_map(opened.path) if opened.path else _whole(opened)
    file = arrow.ipc.open_file(mapped)
    return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))


_FILES = {"parquet": _parquet_file, "arrow": _arrow_file}


def _whole(opened: OpenedBytes) -> Any:
    """Return all bytes of a stream, to be read in any order."""
    return optional_import("pyarrow", "table").BufferReader(opened.stream.read())


def _python_values(column: Any) -> list[Any]:
    """Return the values of a column; dates, times and decimals as text, in full.

    Python's dates end in the year 9999 and at microseconds.
    """
    arrow = optional_import("pyarrow", "table")
    kind = column.type
    if arrow.types.is_dictionary(kind):
        kind = kind.value_type
    is_text = arrow.types.is_decimal(kind) or (
        arrow.types.is_temporal(kind) and not arrow.types.is_interval(kind)
    )
    try:
        return list((column.cast(arrow.string()) if is_text else column).to_pylist())
    except Exception:  # whatever a value has that Python has not
        return [_python_value(value) for value in column]


def _python_value(value: Any) -> Any:
    """Return a value as a Python object, or else as text."""
    try:
        return value.as_py()
    except Exception:
        return str(value)


def arrow_array(values: list[Any], name: str) -> Any:
    """Return values as an Arrow array, or raise that they have no type in common."""
    arrow = optional_import("pyarrow", "table")
    try:
        return arrow.array(values)
    except OverflowError:
        pass  # integers from 2**63 on
    except (arrow.ArrowException, TypeError, ValueError) as error:
        raise _no_type(name, error) from None
    try:
        return arrow.array(values, arrow.uint64())
    except (arrow.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise _no_type(name, error) from None


def _no_type(name: str, error: Exception) -> InvalidParameterError:
    """Return the error about a column that no type of Arrow fits."""
    return InvalidParameterError(
        f"column {name!r}: {shown(str(error), 200)} Its values have no type in common, "
        "which parquet and Arrow need. Write .jsonl."
    )
