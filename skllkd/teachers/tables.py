"""Answers in a table: a file or a data frame."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skllkd._core.arrays import is_missing
from skllkd._core.params import shown
from skllkd._core.tables.formats import SUFFIXES, Source, suffix_of
from skllkd._core.tables.reading import WholeTable
from skllkd._core.texts import as_texts, column_entries
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.containers import column_names

_PREFIX = "proba_"
#: Words in columns that say whether a text has a class.
_TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
_SUFFIXES = [suffix for suffix, kind in SUFFIXES.items() if kind != "txt"]


def answers_in_table(
    table: Any,
    text: str,
    label: str | None,
    confidence: str | None,
    proba: Mapping[Any, str] | None,
) -> tuple[list[str], Any]:
    """Return the texts of a table and their answers, as `PrecomputedTeacher` takes them.

    The table is a path, or a data frame of pandas or polars; `text`, `label`,
    `confidence` and the values of `proba` name its columns.
    """
    columns = _columns(table, text)

    def entries(name: Any, parameter: str) -> list[Any]:
        if name not in columns:
            raise InvalidParameterError(
                f"`{parameter}` must name a column of the table; got {name!r}, the "
                f"columns are {list(columns)}."
            )
        return column_entries(columns[name], str(name))

    _check_ways(label, confidence, proba)
    texts = as_texts(entries(text, "text"), text)
    if label is None and confidence is None and proba is None:
        proba = _written_columns(columns)
        others = [name for name in columns if name != text]
        if not proba and others and "label" not in others:
            return texts, {
                name: _numbers_if_all(columns[name], name) for name in others
            }
    if proba:
        named = {k: entries(name, "proba") for k, name in proba.items()}
        return texts, {k: _numbers(named[k], name) for k, name in proba.items()}
    labels = _labels(entries("label" if label is None else label, "label"))
    if confidence is None:
        return texts, labels
    return texts, (labels, _numbers(entries(confidence, "confidence"), confidence))


def _columns(table: Any, text: str) -> Mapping[Any, Any]:
    """Return the columns of a file or a data frame by name."""
    if isinstance(table, WholeTable):
        return table
    if isinstance(table, (str, os.PathLike)):
        path = str(Path(table).expanduser())
        if SUFFIXES.get(suffix_of(path), "txt") == "txt":
            raise InvalidParameterError(
                f"`table` must be a file that ends in one of {', '.join(_SUFFIXES)}; got "
                f"{Path(path).name!r}. Read it yourself, and give the data frame."
            )
        return WholeTable(Source(path, text))
    names = column_names(table)
    if names is None:
        raise InvalidParameterError(
            "`table` must be a file's path, a data frame of pandas or polars, or an Arrow "
            f"table; got {type(table).__name__}."
        )
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InvalidParameterError(
            f"`table` must have a name for each column; {repeated[0]!r} is there "
            f"{len(repeated)} times."
        )
    return {name: table[name] for name in names}


def _check_ways(label: Any, confidence: Any, proba: Any) -> None:
    """Raise if the answers are named in two ways, or in none that can be read."""
    if proba is not None and (label is not None or confidence is not None):
        raise InvalidParameterError(
            "`proba` and `label` are two ways to say the same; got both. Leave one out."
        )
    if proba is not None and not isinstance(proba, Mapping):
        raise InvalidParameterError(
            "`proba` must map each class to the column of its probability; got "
            f"{type(proba).__name__}. E.g. {{'spam': 'p_spam', 'ham': 'p_ham'}}."
        )


def _written_columns(columns: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the columns of probabilities as `TeacherLabels` writes them, by class."""
    names = {str(name): name for name in columns}
    return {
        word.removeprefix(_PREFIX): name
        for word, name in names.items()
        if word.startswith(_PREFIX)
    }


def _labels(entries: list[Any]) -> list[Any]:
    """Return labels; None for an empty cell, and 1 for the 1.0 a gap makes of it."""
    return [
        int(label)
        if isinstance(label, float) and label.is_integer()
        else (None if is_missing(label) or label == "" else label)
        for label in entries
    ]


def _numbers_if_all(column: Any, name: Any) -> list[Any]:
    """Return a column's numbers, or its entries where some are none."""
    entries = column_entries(column, str(name))
    try:
        return _numbers(entries, name)
    except InvalidParameterError:
        return entries


def _numbers(entries: list[Any], column: Any) -> list[float]:
    """Return a column's numbers, NaN for an empty cell."""
    return [_number(entry, column, row) for row, entry in enumerate(entries, start=1)]


def _number(entry: Any, column: Any, row: int) -> float:
    """Return the number in a cell."""
    if is_missing(entry) or (isinstance(entry, str) and not entry):
        return float("nan")
    if isinstance(entry, str) and entry.strip().casefold() in _TRUTH:
        return _TRUTH[entry.strip().casefold()]
    try:
        return float(entry)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidParameterError(
            f"column {column!r} of the table must hold numbers, with a decimal point; "
            f"got {shown(entry)} in row {row}."
        ) from error
