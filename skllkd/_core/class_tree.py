"""Classes in a tree: the groups above each class, and probabilities of whole groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skllkd._core.params import check_number, shown
from skllkd.exceptions import InvalidParameterError

#: Key of a group's own description, among its members.
ABOUT = ""
#: Groups within groups, at most: a mapping that holds itself has no end.
_DEEPEST = 20


class _Leaf(NamedTuple):
    """A class with the groups it is in, from the top."""

    name: Any
    description: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class ClassTree:
    """The groups that classes are in."""

    paths: tuple[tuple[str, ...], ...]  # of each class, its groups from the top
    about: tuple[tuple[str, str], ...]  # groups with a description of their own

    @property
    def depth(self) -> int:
        """The number of levels, that of the classes included."""
        return 1 + max(map(len, self.paths))


def is_tree(classes: Any) -> bool:
    """Return whether classes are given as a nested mapping."""
    return isinstance(classes, Mapping) and any(map(_is_group, classes.values()))


def read_tree(classes: Mapping[Any, Any]) -> tuple[list[Any], list[str], ClassTree]:
    """Return names and descriptions of the classes in a nested mapping, and the tree."""
    groups: list[tuple[Any, str]] = []
    leaves = list(_leaves(classes, (), groups))
    names = [leaf.name for leaf in leaves]
    _check_names([*(name for name, _ in groups), *names])
    about = tuple((name, text) for name, text in groups if text)
    tree = ClassTree(tuple(leaf.path for leaf in leaves), about)
    return names, [leaf.description for leaf in leaves], tree


def _is_group(value: Any) -> bool:
    """Return whether the value of a name is a group of classes, not a description."""
    return isinstance(value, (Mapping, list, tuple))


def _leaves(
    group: Any, path: tuple[Any, ...], groups: list[tuple[Any, str]]
) -> Iterator[_Leaf]:
    """Generate the classes of a group, and add each group in it with its description."""
    if len(path) > _DEEPEST:
        raise InvalidParameterError(
            f"`classes` must not be nested in more than {_DEEPEST} groups; got "
            f"{' > '.join(map(str, path[:4]))} > ..."
        )
    members = _members(group, path)
    if not members:
        raise InvalidParameterError(
            f"a group in `classes` must hold at least one class; got none in "
            f"{path[-1]!r}. Give it classes, or a description if it is one itself."
        )
    for name, value in members:
        if _is_group(value):
            own = value.get(ABOUT) if isinstance(value, Mapping) else ""
            groups.append((name, str(own or "").strip()))
            yield from _leaves(value, (*path, name), groups)
        else:
            yield _Leaf(name, str(value or "").strip(), path)


def _members(group: Any, path: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """Return the names in a group, with the description or the members of each."""
    if isinstance(group, Mapping):
        return [(n, value) for n, value in group.items() if n != ABOUT or not path]
    nested = next((name for name in group if _is_group(name)), None)
    if nested is not None:
        raise InvalidParameterError(
            f"the list of a group in `classes` must hold names; got {shown(nested)} in "
            f"{path[-1]!r}. Make the group a mapping."
        )
    return [(name, "") for name in group]


def _check_names(names: list[Any]) -> None:
    """Raise unless the names of groups and classes are strings, and different ones."""
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise InvalidParameterError(
                "`classes` in a tree must have names that are strings and not empty; got "
                f"{shown(name)}. Convert or drop it."
            )
    words = [name.strip() for name in names]
    repeated = sorted({word for word in words if words.count(word) > 1})
    if repeated:
        raise InvalidParameterError(
            "`classes` in a tree must have different names, groups included; got "
            f"{repeated[0]!r} {words.count(repeated[0])} times. Rename one, e.g. 'other "
            f"{repeated[0]}'."
        )


def nested_mapping(
    names: Sequence[Any], descriptions: Sequence[str], tree: ClassTree
) -> dict[str, Any]:
    """Return the nested mapping that classes in a tree were given as."""
    about, nested = dict(tree.about), dict[str, Any]()
    for name, text, path in zip(names, descriptions, tree.paths, strict=True):
        group = nested
        for part in path:
            own = {ABOUT: about[part]} if part in about else {}
            group = group.setdefault(part, own)
        group[name] = text
    return nested


class Level(NamedTuple):
    """Groups at a level of a tree, sorted, and the group that each class is in."""

    names: npt.NDArray[Any]  # (n_groups,)
    classes: npt.NDArray[Any]  # (n_classes,)
    group: npt.NDArray[np.intp]  # (n_classes,), columns of `names`

    def sums(self, proba: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the probabilities of the groups, (n_texts, n_groups)."""
        is_in = np.eye(len(self.names))[self.group]
        total: npt.NDArray[np.float64] = proba @ is_in
        return total

    def of(self, labels: Sequence[Any]) -> list[Any]:
        """Return labels with the group in place of a class; others stay as they are."""
        groups = self.names[self.group].tolist()
        group_of = dict(zip(self.classes.tolist(), groups, strict=True))
        return [group_of.get(label, label) for label in labels]


def level_of(
    classes: npt.NDArray[Any], names: Sequence[Any], tree: ClassTree | None, level: Any
) -> Level:
    """Return a level of the tree, 1 at the top; a class with no group there is its own.

    `classes` holds the names in the order of columns, `names` in that of the tree.
    """
    if tree is None:
        raise InvalidParameterError(
            f"`level={level!r}` needs `classes` in a tree, a nested mapping, and these are "
            "none. Leave it out."
        )
    check_number(level, "level", 1, tree.depth, integer=True)
    path_of = dict(zip(names, tree.paths, strict=True))
    groups = [
        path_of[name][level - 1] if len(path_of[name]) >= level else name
        for name in classes.tolist()
    ]
    distinct, columns = np.unique(np.array(groups), return_inverse=True)
    return Level(distinct, classes, columns)
