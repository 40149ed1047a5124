"""Class names and descriptions, in the user's order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from skllkd._core.params import shown
from skllkd.exceptions import InvalidParameterError


@dataclass(frozen=True)
class Classes:
    """The classes to tell apart, in the order the user gave them."""

    names: tuple[Any, ...]
    descriptions: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.names)

    @property
    def words(self) -> tuple[str, ...]:
        """The class names as a language model reads and writes them."""
        return tuple(str(name) for name in self.names)


def as_classes(classes: Any) -> Classes:
    """Return the classes of a list of names or of a `{name: description}`, checked."""
    if isinstance(classes, Classes):
        return classes
    if classes is None or isinstance(classes, (str, bytes)):
        raise InvalidParameterError(
            "`classes` must list the labels to tell apart, or map each to its "
            f"description; got {shown(classes)}. E.g. classes=['spam', 'ham']."
        )
    if isinstance(classes, (Set, Iterator)) or not isinstance(classes, Iterable):
        raise InvalidParameterError(
            "`classes` must be a list of names, whose order is the order of a teacher's "
            f"columns, or a mapping; got {type(classes).__name__}. Make it a list: "
            "sorted(classes)."
        )
    names = [_plain(name) for name in classes]
    _check_names(names)
    descriptions = [""] * len(names)
    if isinstance(classes, Mapping):
        descriptions = [str(text or "").strip() for text in classes.values()]
    return Classes(tuple(names), tuple(descriptions))


def _check_names(names: list[Any]) -> None:
    """Raise if class names are too few, of mixed types, empty or repeated."""
    if len(names) < 2:
        raise InvalidParameterError(
            f"`classes` must name at least 2 labels; got {len(names)}: {names!r}. Add "
            "the label for 'none of these', e.g. 'other'."
        )
    kinds = sorted({type(name).__name__ for name in names})
    if kinds not in (["str"], ["int"], ["bool"]):
        raise InvalidParameterError(
            "`classes` must be all strings, all integers or all booleans; got "
            f"{', '.join(kinds)} in {names!r}. Convert them to strings."
        )
    words = [str(name).strip() for name in names]
    empty = [place for place, word in enumerate(words) if not word]
    if empty:
        raise InvalidParameterError(
            f"`classes` must not hold an empty name; got {names[empty[0]]!r} at place "
            f"{empty[0]}. Name it or drop it."
        )
    cut = [name for name in names if isinstance(name, str) and name.endswith("\0")]
    if cut:
        raise InvalidParameterError(
            f"`classes` must not hold a name that ends in a null character, which NumPy "
            f"drops; got {cut[0]!r}. Strip it."
        )
    repeated = sorted({word for word in words if words.count(word) > 1})
    if repeated:
        raise InvalidParameterError(
            f"`classes` must not repeat a name; got {repeated[0]!r} "
            f"{words.count(repeated[0])} times. Drop the repeats."
        )


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as the Python object it stands for."""
    return value.item() if isinstance(value, np.generic) else value
