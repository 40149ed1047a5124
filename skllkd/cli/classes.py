"""The classes of the command line: names, names with descriptions, or a file of them."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skllkd._core.arrays import is_missing
from skllkd._core.classes import Classes, Multilabel, as_classes
from skllkd._core.near import near
from skllkd.cli.tables import whole_table
from skllkd.exceptions import InvalidParameterError

#: Columns of a table of classes.
_NAMES, _DESCRIPTION = ("class", "label", "name"), "description"
CLASSES_HELP = (
    "the labels: a name each, or name=description (a name with = in it as a\\=b), or "
    "a,b,c; or a file: .txt, a name a line, a table with the columns `class` and "
    "`description`, or .toml or .json with a mapping, nested for a tree"
)


def classes_of(options: argparse.Namespace) -> Any:
    """Return class names, or names with descriptions, checked."""
    classes = _given(options.classes)
    if getattr(options, "multilabel", False):
        return Multilabel(classes)
    as_classes(classes)
    return classes


def tags_of(cell: Any, classes: Classes) -> list[Any] | None:
    """Return the classes in a cell of a table, several to a text; None for none given."""
    from skllkd.teachers.tag_outputs import tags_in_cell

    tags = tags_in_cell(cell, classes)
    return None if is_missing(tags) else list(tags)


def _given(given: Any) -> Any:
    """Return the classes of arguments, of a setting, or of a file that is named."""
    if isinstance(given, Mapping):  # a table of the configuration file
        return dict(given) if any(given.values()) else list(given)
    words = [given] if isinstance(given, str) else list(given)
    if len(words) == 1 and Path(words[0]).is_file():
        return _from_file(words[0])
    if len(words) == 1 and "," in words[0]:
        return _from_list(words[0])
    pairs = [_pair(word) for word in words]
    if any(about is not None for _, about in pairs):
        return {name: about or "" for name, about in pairs}
    return [name for name, _ in pairs]


def _pair(word: str) -> tuple[str, str | None]:
    """Return a name, with = in it after a backslash, and its description or None."""
    name, *about = re.split(r"(?<!\\)=", word, maxsplit=1)
    return name.replace("\\=", "="), about[0] if about else None


def _from_list(word: str) -> list[str]:
    """Return the names of a list with commas, or refuse one with descriptions."""
    names = [name.strip() for name in word.split(",")]
    if "=" in word.replace("\\=", ""):
        raise InvalidParameterError(
            f"--classes {word!r} is one class, with a description that has a comma. Give "
            'each class as an argument of its own: --classes "a=one, two" "b=three".'
        )
    return [name.replace("\\=", "=") for name in names if name]


def _from_file(path: str) -> Any:
    """Return the classes in a file."""
    if (nested := _mapping_in(path)) is not None:
        return nested
    table = whole_table(path, _NAMES[0])
    column = next((name for name in _NAMES if name in table), None)
    if column is None:
        question = next(filter(None, (near(name, table) for name in _NAMES)), "")
        raise InvalidParameterError(
            f"--classes {path}: the table needs a column `class`, and may have one "
            f"`description`; its columns are {list(table)}.{question}"
        )
    names = [str(name).strip() for name in table[column]]
    if _DESCRIPTION not in table:
        return names
    return dict(zip(names, (str(d or "") for d in table[_DESCRIPTION]), strict=True))


def _mapping_in(path: str) -> dict[str, Any] | None:
    """Return the mapping in a TOML or JSON file, None if that holds a table."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".toml", ".json"):
        return None
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = tomllib.loads(text) if suffix == ".toml" else json.loads(text)
    except ValueError as error:
        if suffix == ".json":  # it may be JSON Lines, or in another encoding
            return None
        raise InvalidParameterError(
            f"--classes {path} cannot be read: {error}. Write a line for each class, as "
            'name = "description", and [group] before the classes of a group.'
        ) from error
    is_table = not isinstance(content, dict) or any(name in content for name in _NAMES)
    return None if is_table else content
