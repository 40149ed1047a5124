"""Rows that are read, and written, together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from skllkd._core.tables.formats import Row


class Block(ABC):
    """Rows that are read, and written, together.

    Attributes
    ----------
    names : list of str
        The columns, in the order of their first appearance.
    """

    names: list[str]

    @property
    def first_names(self) -> list[str]:
        """The columns of the first row."""
        return self.names

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def column(self, name: str) -> list[Any]:
        """Return the values of a column as Python objects, None where there is none."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """Return the rows as Python objects."""

    @abstractmethod
    def with_columns(self, columns: Mapping[str, list[Any]]) -> Block:
        """Return a block with columns added at its end."""

    def values(self, path: str) -> list[Any]:
        """Return the values of a column, or of a field `column.field` of objects."""
        if path in self.names:
            return self.column(path)
        name, *fields = _split(path, self.names)
        return [_field(value, fields) for value in self.column(name)]

    def has(self, path: str) -> bool:
        """Return whether there is a column, or one that may have such a field."""
        return has_column(path, self.names)


class RowBlock(Block):
    """Rows of Python objects, which need not have the same columns."""

    def __init__(self, rows: list[Row], names: list[str] | None = None) -> None:
        self._rows = rows
        self.names = names or list(dict.fromkeys(name for row in rows for name in row))

    @property
    @override
    def first_names(self) -> list[str]:
        return list(self._rows[0]) if self._rows else self.names

    @override
    def __len__(self) -> int:
        return len(self._rows)

    @override
    def column(self, name: str) -> list[Any]:
        return [row.get(name) for row in self._rows]

    @override
    def rows(self) -> list[Row]:
        return self._rows

    @override
    def with_columns(self, columns: Mapping[str, list[Any]]) -> RowBlock:
        added = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        rows = [row | more for row, more in zip(self._rows, added, strict=True)]
        return RowBlock(rows, [*self.names, *columns])


def has_column(path: str, names: list[str]) -> bool:
    """Return whether there is a column, or one that may have such a field."""
    return path in names or _split(path, names)[0] in names


def _split(path: str, names: list[str]) -> list[str]:
    """Return the column in a path, which may have dots in its name, and the fields."""
    parts = path.split(".")
    for n_parts in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:n_parts])
        if name in names:
            return [name, *parts[n_parts:]]
    return parts


def _field(value: Any, fields: list[str]) -> Any:
    """Return a field of nested objects and lists, None where it is not there."""
    for field in fields:
        if isinstance(value, Mapping):
            value = value.get(field)
        elif isinstance(value, list) and field.isdecimal() and int(field) < len(value):
            value = value[int(field)]
        else:
            return None
    return value
