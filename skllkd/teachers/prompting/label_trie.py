"""Labels as token sequences, scored through the prefixes they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skllkd.exceptions import InvalidClassesError


@dataclass(frozen=True)
class LabelTrie:
    """The tree of the labels' tokens.

    The log-probability of a label is the sum, over its tokens, of the log-probability
    of the token after those before it. Labels that begin alike share the evaluation
    of what they share, and the last token of a label needs no evaluation at all: so a
    set of single-token labels is scored from the prompt's last position alone.

    Parameters
    ----------
    node_tokens : tuple of int
        The token of each evaluated node; node i here is place i + 1 below, place 0
        being the end of the prompt.
    node_depths : tuple of int
        How many tokens after the prompt's last each node stands, from 1.
    node_branches : tuple of tuple of int
        The branches each node lies on: a branch is a path from the prompt to a node
        without evaluated children.
    steps : tuple of tuple of (int, int)
        For each label its (place, token) pairs: the token's log-probability is to be
        read at that place.
    n_branches : int
        The number of branches, at least 1.
    """

    node_tokens: tuple[int, ...]
    node_depths: tuple[int, ...]
    node_branches: tuple[tuple[int, ...], ...]
    steps: tuple[tuple[tuple[int, int], ...], ...]
    n_branches: int

    @property
    def places(self) -> range:
        """The places where log-probabilities are read: the prompt's end, and the nodes."""
        return range(1 + len(self.node_tokens))

    @classmethod
    def from_tokens(
        cls, labels: Sequence[str], tokens: Sequence[Sequence[int]], end: int
    ) -> LabelTrie:
        """Build the tree.

        Parameters
        ----------
        labels : sequence of str
            The labels, for the error.
        tokens : sequence of sequence of int
            The tokens of each label in context.
        end : int
            The token that ends an answer. It is appended to every label where one
            label begins another, since "sport" would else count "sports car" in.

        Returns
        -------
        LabelTrie
            The tree.

        Raises
        ------
        InvalidClassesError
            If a label has no token, or two labels have the same tokens.
        """
        paths = [tuple(path) for path in tokens]
        label_of: dict[tuple[int, ...], str] = {}
        for label, path in zip(labels, paths, strict=True):
            if not path or path in label_of:
                other = f"as {label_of[path]!r}" if path else "none at all"
                raise InvalidClassesError(
                    f"`classes`: the model reads the label {label!r} as the same tokens "
                    f"{other}, so it cannot tell them apart. Rename one."
                )
            label_of[path] = label
        prefixes = {path[:depth] for path in paths for depth in range(1, len(path))}
        if prefixes & set(paths):
            paths = [(*path, end) for path in paths]
            prefixes |= set(label_of)

        nodes = sorted(prefixes)  # a node follows its parent
        place_of = {(): 0} | {node: place for place, node in enumerate(nodes, start=1)}
        parents = {node[:-1] for node in nodes}
        leaves = [node for node in nodes if node not in parents]
        return cls(
            node_tokens=tuple(node[-1] for node in nodes),
            node_depths=tuple(len(node) for node in nodes),
            node_branches=tuple(
                tuple(b for b, leaf in enumerate(leaves) if leaf[: len(node)] == node)
                for node in nodes
            ),
            steps=tuple(
                tuple((place_of[path[:i]], path[i]) for i in range(len(path)))
                for path in paths
            ),
            n_branches=max(1, len(leaves)),
        )


def until_they_differ(tokens: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return the beginning of each label that no other label begins with.

    Parameters
    ----------
    tokens : sequence of sequence of int
        The tokens of each label.

    Returns
    -------
    list of tuple of int
        The shortest such beginnings; a whole label where another begins with it.
    """
    every = [tuple(path) for path in tokens]

    def is_own(beginning: tuple[int, ...]) -> bool:
        return sum(path[: len(beginning)] == beginning for path in every) == 1

    return [
        next((path[:n] for n in range(1, len(path)) if is_own(path[:n])), path)
        for path in every
    ]
