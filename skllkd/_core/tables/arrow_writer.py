"""The writer of parquet and Arrow files."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any, BinaryIO

from skllkd._core.params import optional_import, shown
from skllkd._core.tables.arrow import ArrowBlock, arrow_array
from skllkd._core.tables.blocks import Block
from skllkd.exceptions import InvalidParameterError


class ArrowWriter:
    """A writer of parquet or Arrow.

    The type of a column that begins with missing values, and columns that come late, are
    known at the end only: until then the rows wait on disk.
    """

    def __init__(self, stream: BinaryIO, kind: str) -> None:
        self._arrow = optional_import("pyarrow", "table")
        self._stream, self._kind = stream, kind
        self._schema = self._arrow.schema([])
        self._waiting = tempfile.TemporaryFile()  # noqa: SIM115 closed at the end

    def write(self, block: Block) -> None:
        """Write rows to where they wait."""
        table = self._table(block)
        try:
            self._schema = self._arrow.unify_schemas(
                [self._schema, table.schema], promote_options="permissive"
            )
        except self._arrow.ArrowException as error:
            raise self._no_table(error) from None
        self._schema = self._schema.with_metadata(table.schema.metadata)
        with self._arrow.ipc.new_stream(self._waiting, table.schema) as waiting:
            waiting.write_table(table)

    def _table(self, block: Block) -> Any:
        """Return rows as an Arrow table."""
        if isinstance(block, ArrowBlock):
            return block.table
        columns = [arrow_array(block.column(name), name) for name in block.names]
        return self._arrow.table(columns, names=block.names)

    def finish(self) -> None:
        """Write the file."""
        end = self._waiting.tell()
        self._waiting.seek(0)
        with tempfile.TemporaryFile() as file:
            try:
                with self._file_writer(file) as writer:
                    while self._waiting.tell() < end:
                        writer.write_table(self._next_table())
            except self._arrow.ArrowException as error:
                raise self._no_table(error) from None
            file.seek(0)
            shutil.copyfileobj(file, self._stream)

    def close(self) -> None:
        """Release the rows that wait on disk."""
        self._waiting.close()

    def _file_writer(self, file: Any) -> Any:
        """Return pyarrow's writer of the format."""
        if self._kind == "arrow":
            return self._arrow.ipc.new_file(file, self._schema)
        parquet = optional_import("pyarrow.parquet", "table")
        return parquet.ParquetWriter(file, self._schema)

    def _next_table(self) -> Any:
        """Return the next rows that wait, with all columns in the types they have now."""
        with self._arrow.ipc.open_stream(self._waiting) as stream:
            table = stream.read_all()
        columns = [
            table.column(field.name).cast(field.type)
            if field.name in table.column_names
            else self._arrow.nulls(len(table), field.type)
            for field in self._schema
        ]
        return self._arrow.table(columns, schema=self._schema)

    def _no_table(self, error: Exception) -> InvalidParameterError:
        """Return the error about rows that make no table with types."""
        return InvalidParameterError(
            f"the rows make no {self._kind} file: {shown(str(error), 200)} Write .jsonl."
        )
