"""The objects of JSON Lines and of a JSON array."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from skllkd._core.params import shown
from skllkd._core.tables.formats import Row, Source
from skllkd._core.tables.streams import Lines
from skllkd._core.texts import without_half_pairs


class JSONRows:
    """The objects of JSON Lines or of an array, which is read as a whole."""

    def __init__(self, lines: Lines, source: Source) -> None:
        self._lines, self._source = lines, source
        self._n_replaced = 0

    def __iter__(self) -> Iterator[Row]:
        """Generate the objects."""
        if _opening(self._lines) == "[":
            yield from self._array()
        else:
            yield from self._objects()
        if self._n_replaced:
            self._source.notice(
                f"{self._source.name}: {self._n_replaced:,} half surrogate pair(s), "
                "which no file can hold, replaced by U+FFFD."
            )

    def _objects(self) -> Iterator[Row]:
        """Generate an object a line."""
        for line in self._lines:
            if line.strip():
                where = f", line {self._lines.n_given}"
                yield self._row(self._parsed(line, where), where)

    def _array(self) -> Iterator[Row]:
        """Generate the objects of an array."""
        for number, value in enumerate(self._parsed("".join(self._lines), ""), start=1):
            yield self._row(value, f", entry {number} of the array")

    def _parsed(self, text: str, where: str) -> Any:
        """Return the value of a JSON text."""
        try:
            value = json.loads(text, object_pairs_hook=_object, parse_float=_float)
        except OverflowError as error:
            raise self._source.error(
                f"{where} has the number {error}, which no double-precision number can "
                "hold and which would be lost. Put it into quotation marks."
            ) from None
        except (ValueError, RecursionError) as error:
            raise self._source.error(
                f"{where} is no JSON: {_reason(error)}. The file must hold one JSON object "
                "a line, or an array of objects."
            ) from None
        if re.search(r"\\u[dD][89a-fA-F]", text):
            value, n_replaced = without_half_pairs(value)
            self._n_replaced += n_replaced
        return value

    def _row(self, value: Any, where: str) -> Row:
        """Return an object, or raise that something else is there."""
        if not isinstance(value, dict):
            raise self._source.error(
                f"{where} is no JSON object: {json.dumps(value)[:60]}. The file must hold "
                "one JSON object a line, or an array of objects."
            )
        return value


def _opening(lines: Lines) -> str:
    """Return the first character that is no white space."""
    blank = []
    while (line := lines.first()) is not None and not line.strip():
        blank.append(next(lines))
    lines.put_back(blank)
    return "" if line is None else line.lstrip()[0]


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """Return an object, whose names must differ: of two values one would be lost."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the name {repeated!r} twice")
    return row


def _float(literal: str) -> float:
    """Return a number, or raise that it is too large for one."""
    value = float(literal)
    if math.isinf(value):
        raise OverflowError(shown(literal))
    return value


def _reason(error: Exception) -> str:
    """Return why a text is no JSON."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)
