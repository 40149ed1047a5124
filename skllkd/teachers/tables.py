"""Answers in a table: a file or a data frame."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skllkd._core.params import optional_import
from skllkd._core.texts import as_texts, column_entries
from skllkd.exceptions import InvalidParameterError

_PREFIX = "proba_"
_LINES = (".jsonl", ".ndjson", ".json")
_SUFFIXES = (".parquet", ".csv", *_LINES)


def answers_in_table(
    table: Any,
    text: str,
    label: str | None,
    confidence: str | None,
    proba: Mapping[Any, str] | None,
) -> tuple[list[str], Any]:
    """Return the texts of a table and their answers.

    Parameters
    ----------
    table : str, Path, pandas.DataFrame or polars.DataFrame
        The table, or the file it is in.
    text : str
        The column of the texts.
    label, confidence : str or None
        The columns of the labels and their confidences.
    proba : mapping of class to str or None
        The column of each class's probability.

    Returns
    -------
    texts : list of str
        The texts.
    answers : dict, list or tuple
        Columns of probabilities by class, labels, or labels and confidences.

    Raises
    ------
    InvalidParameterError
        If it cannot be read, or a column is not there.
    """
    if isinstance(table, (str, os.PathLike)):
        table = _read(Path(table).expanduser(), text)
    if not hasattr(table, "columns") or not hasattr(table, "__getitem__"):
        raise InvalidParameterError(
            "`table` must be a file's path or a data frame of pandas or polars; got "
            f"{type(table).__name__}."
        )
    columns = list(table.columns)

    def entries(name: Any, parameter: str) -> list[Any]:
        if name not in columns:
            raise InvalidParameterError(
                f"`{parameter}` must name a column of the table; got {name!r}, the "
                f"columns are {columns}."
            )
        return column_entries(table[name], str(name))

    if proba is not None and (label is not None or confidence is not None):
        raise InvalidParameterError(
            "`proba` and `label` are two ways to say the same; got both. Leave one out."
        )
    if proba is not None and not isinstance(proba, Mapping):
        raise InvalidParameterError(
            "`proba` must map each class to the column of its probability; got "
            f"{type(proba).__name__}. E.g. {{'spam': 'p_spam', 'ham': 'p_ham'}}."
        )
    texts = as_texts(entries(text, "text"), text)
    written = {
        str(name).removeprefix(_PREFIX): name
        for name in columns
        if str(name).startswith(_PREFIX)
    }
    if proba is None and label is None and confidence is None and written:
        proba = written
    if proba is not None:
        return texts, {k: entries(name, "proba") for k, name in proba.items()}
    labels = _whole(entries("label" if label is None else label, "label"))
    if confidence is None:
        return texts, labels
    return texts, (labels, entries(confidence, "confidence"))


def _whole(labels: list[Any]) -> list[Any]:
    """Return labels with 1.0 as 1: a gap turns a column of integers into floats."""
    return [
        int(label) if isinstance(label, float) and label.is_integer() else label
        for label in labels
    ]


def _read(path: Path, text: str) -> Any:
    """Return the data frame in a file."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InvalidParameterError(
            f"`table` must be a file that ends in one of {', '.join(_SUFFIXES)}; got "
            f"{path.name!r}. Read it yourself, and give the data frame."
        )
    if not path.is_file():
        raise InvalidParameterError(f"`table`: there is no file {str(path)!r}.")
    pandas = optional_import("pandas", "table")
    try:
        if suffix == ".parquet":
            optional_import("pyarrow", "table")
            return pandas.read_parquet(path)
        if suffix in _LINES:
            lines = path.read_text(encoding="utf-8-sig").split("\n")
            return pandas.DataFrame([json.loads(x) for x in lines if x.strip()])
        # A text, or a class, may be "N/A", "None" or "nan": only nothing is nothing,
        # and in the column of texts not even that.
        columns = pandas.read_csv(path, nrows=0).columns
        return pandas.read_csv(
            path,
            keep_default_na=False,
            na_values={name: [""] for name in columns if name != text},
            dtype={text: str},
        )
    except (ValueError, OSError) as error:
        mend = " It must hold one JSON object a line." if suffix in _LINES else ""
        raise InvalidParameterError(
            f"`table`: {path.name!r} cannot be read: {error}.{mend}"
        ) from error
