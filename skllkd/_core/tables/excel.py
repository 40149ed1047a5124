"""The rows of the first sheet of a workbook."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from skllkd._core.params import optional_import
from skllkd._core.tables.formats import Row, Source
from skllkd._core.tables.streams import OpenedBytes


class ExcelRows:
    """The rows of the first sheet of a workbook; its first row is the header."""

    def __init__(self, opened: OpenedBytes, source: Source) -> None:
        self._source = source
        calamine = optional_import("python_calamine", "excel")
        try:
            book = calamine.load_workbook(io.BytesIO(opened.stream.read()))
            sheets = book.sheet_names
            self._rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
        except Exception as error:  # the package has several of its own
            raise source.error(f" cannot be read as a workbook: {error}.") from error
        if len(sheets) > 1:
            source.notice(
                f"{source.name}: the first of {len(sheets)} sheets is read, {sheets[0]!r}."
            )
        if not self._rows:
            raise source.error(f": the sheet {sheets[0]!r} is empty.")
        self.names = [str(_plain(cell) or "") for cell in self._rows[0]]
        self._check_names()

    def _check_names(self) -> None:
        """Raise if a column has no name of its own."""
        repeated = next((n for n in self.names if self.names.count(n) > 1), None)
        if repeated is not None:
            raise self._source.error(
                f": {self.names.count(repeated)} columns are named {repeated!r} in the "
                "first row. Give every column a name of its own."
            )

    def __iter__(self) -> Iterator[Row]:
        """Generate the rows that are not empty."""
        for cells in self._rows[1:]:
            if any(cell != "" for cell in cells):
                yield dict(zip(self.names, map(_plain, cells), strict=True))


def _plain(cell: Any) -> Any:
    """Return the value of a cell, whose numbers are all floats; None of an empty one."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return None if cell == "" else cell
