"""Class names and descriptions, in the user's order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skllkd._core.class_tree import ClassTree, is_tree, nested_mapping, read_tree
from skllkd._core.params import shown
from skllkd.exceptions import InvalidParameterError


@dataclass(frozen=True)
class Classes:
    """The classes to tell apart, in the order the user gave them."""

    names: tuple[Any, ...]
    descriptions: tuple[str, ...]
    #: Whether a text has none, one or several of the classes, rather than one.
    multilabel: bool = False
    #: The groups the classes are in, None without any.
    tree: ClassTree | None = None

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.names)

    def in_order_of(self, names: tuple[Any, ...]) -> Classes:
        """Return the same classes in another order."""
        order, tree = [self.names.index(name) for name in names], self.tree
        if tree is not None:
            tree = replace(tree, paths=tuple(tree.paths[i] for i in order))
        descriptions = tuple(self.descriptions[i] for i in order)
        return replace(self, names=names, descriptions=descriptions, tree=tree)

    def as_given(self) -> Any:
        """Return the list, the mapping or the tags that the classes can be given as."""
        if self.tree is not None:
            return nested_mapping(self.names, self.descriptions, self.tree)
        given: Any = list(self.names)
        if any(self.descriptions):
            given = dict(zip(self.names, self.descriptions, strict=True))
        return Multilabel(given) if self.multilabel else given

    def described(self) -> dict[str, Any]:
        """Return the classes as JSON values, for files; `described_classes` reads them."""
        return {
            "classes": list(self.names),
            "descriptions": list(self.descriptions),
            "multilabel": self.multilabel,
            "tree": None if self.tree is None else self.as_given(),
        }

    @property
    def words(self) -> tuple[str, ...]:
        """The class names as a language model reads and writes them."""
        return tuple(str(name) for name in self.names)


class Multilabel:
    """Classes of which a text has none, one or several: tags.

    Given as `classes`, it makes every class a question of its own, answered yes or no.

    Parameters
    ----------
    classes : sequence or mapping
        The class names, at least one, or names with descriptions.

    Raises
    ------
    InvalidParameterError
        If names are empty, repeated or of several types, or without an order.

    Examples
    --------
    >>> from skllkd import LLKDClassifier, Multilabel
    >>> tags = Multilabel({"billing": "invoices, refunds", "urgent": "cannot wait"})
    >>> clf = LLKDClassifier(lambda texts: [["billing"]] * len(texts), tags)
    >>> clf.classes
    Multilabel({'billing': 'invoices, refunds', 'urgent': 'cannot wait'})
    """

    def __init__(self, classes: Any) -> None:
        self.classes: Any = classes
        if isinstance(classes, Multilabel):
            self.classes = classes.classes
        self._checked = _checked(self.classes, multilabel=True)

    def __repr__(self) -> str:
        return f"Multilabel({self.classes!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Multilabel) and self._checked == other._checked

    def __hash__(self) -> int:
        return hash(self._checked)


def described_classes(description: Mapping[str, Any]) -> Classes:
    """Return the classes among the values of a file."""
    if description.get("tree") is not None:
        return as_classes(description["tree"])
    names, descriptions = description["classes"], description["descriptions"]
    is_multilabel = bool(description.get("multilabel"))
    return Classes(tuple(names), tuple(descriptions), is_multilabel)


def as_classes(classes: Any) -> Classes:
    """Return the classes of a list of names or of a `{name: description}`, checked.

    A mapping in which a value is itself a mapping, or a list of names, is a tree.
    """
    if isinstance(classes, Classes):
        return classes
    if isinstance(classes, Multilabel):
        return classes._checked
    return _checked(classes, multilabel=False)


def refuse_multilabel(classes: Classes, name: str) -> None:
    """Raise where several classes a text are asked of a part that gives one."""
    if classes.multilabel:
        raise InvalidParameterError(
            f"{name} cannot take `classes` of which a text has several; got "
            f"Multilabel({shown(list(classes.names))}). Give the list of names for one "
            "class a text."
        )


def _checked(classes: Any, *, multilabel: bool) -> Classes:
    """Return the classes of a list or mapping, or raise at a fault."""
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
    if is_tree(classes):
        return _checked_tree(classes, multilabel)
    names = [_plain(name) for name in classes]
    _check_names(names, n_least=1 if multilabel else 2)
    descriptions = [""] * len(names)
    if isinstance(classes, Mapping):
        descriptions = [str(text or "").strip() for text in classes.values()]
    return Classes(tuple(names), tuple(descriptions), multilabel)


def _checked_tree(classes: Any, multilabel: bool) -> Classes:
    """Return the classes of a nested mapping, or raise at a fault."""
    if multilabel:
        raise InvalidParameterError(
            "`Multilabel` takes a list of names or a mapping to descriptions; got groups "
            f"of names: {shown(dict(classes))}. Each class is a question of its own there, "
            "so list the classes without the groups."
        )
    names, descriptions, tree = read_tree(classes)
    _check_names(names, n_least=2)
    return Classes(tuple(names), tuple(descriptions), tree=tree)


def _check_names(names: list[Any], n_least: int) -> None:
    """Raise if class names are too few, of mixed types, empty or repeated."""
    if len(names) < n_least:
        mend = "Add the label for 'none of these', e.g. 'other'."
        raise InvalidParameterError(
            f"`classes` must name at least {n_least} label{'s' * (n_least > 1)}; got "
            f"{len(names)}: {names!r}. {mend if n_least > 1 else 'Name one.'}"
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
