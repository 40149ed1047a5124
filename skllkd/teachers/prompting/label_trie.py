"""Labels as a trie of tokens, so that they are scored through the prefixes they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from skllkd.exceptions import InvalidParameterError

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class LabelTrie:
    """Trie of the labels' tokens.

    The log-probability of a label is the sum, over its tokens, of the log-probability
    of the token after those before it. Labels that begin alike share the evaluation
    of that beginning, and the last token of a label needs no evaluation at all: so a
    set of single-token labels is scored from the prompt's last position alone.

    Position 0 is the end of the prompt, and position i + 1 is node i. The nodes are in
    depth-first order: a node's parent is the last before it that is one less deep.
    """

    node_tokens: Tokens  # the token of each evaluated node
    node_depths: Tokens  # distance of each node from the prompt's last token, from 1
    steps: tuple[tuple[tuple[int, int], ...], ...]  # (position, token) pairs by label

    @cached_property
    def labels_at(self) -> list[list[tuple[int, int]]]:
        """The (label, token) pairs to be read at each position."""
        pairs: list[list[tuple[int, int]]] = [[] for _ in (0, *self.node_tokens)]
        for label, steps in enumerate(self.steps):
            for position, token in steps:
                pairs[position].append((label, token))
        return pairs

    @classmethod
    def from_tokens(
        cls, labels: Sequence[str], tokens: Sequence[Sequence[int]], end: int
    ) -> LabelTrie:
        """Build the trie from the tokens of each label in context.

        `end`, the token that ends an answer, is appended to every label where one label
        begins another, since "sport" would else count "sports car" in.
        """
        paths = [tuple(path) for path in tokens]
        label_of: dict[Tokens, str] = {}
        for label, path in zip(labels, paths, strict=True):
            if not path or path in label_of:
                other = f"as {label_of[path]!r}" if path else "none at all"
                raise InvalidParameterError(
                    f"`classes`: the model reads the label {label!r} as the same tokens "
                    f"{other}, so it cannot tell them apart. Rename one."
                )
            label_of[path] = label
        prefixes = {path[:depth] for path in paths for depth in range(1, len(path))}
        if prefixes & set(paths):
            paths = [(*path, end) for path in paths]
            prefixes |= set(label_of)
        return cls._from_paths(paths, sorted(prefixes))

    def given_shared_beginnings(self) -> LabelTrie:
        """Return the trie that scores labels in pairs, given the beginning of a pair.

        The log-probability of "urgent: yes" is then that of "yes" after "urgent:". The
        beginnings are evaluated as before.
        """
        steps: list[tuple[tuple[int, int], ...]] = []
        for yes, no in zip(self.steps[::2], self.steps[1::2], strict=True):
            n_shared = sum(a == b for a, b in zip(yes, no, strict=False))
            steps += [yes[n_shared:], no[n_shared:]]
        return replace(self, steps=tuple(steps))

    @classmethod
    def _from_paths(cls, paths: Sequence[Tokens], nodes: Sequence[Tokens]) -> LabelTrie:
        """Build the trie from whole labels and their proper prefixes in order."""
        position_of = {(): 0} | {node: i for i, node in enumerate(nodes, start=1)}
        return cls(
            node_tokens=tuple(node[-1] for node in nodes),
            node_depths=tuple(len(node) for node in nodes),
            steps=tuple(
                tuple((position_of[path[:i]], path[i]) for i in range(len(path)))
                for path in paths
            ),
        )


def distinct_prefixes(tokens: Sequence[Sequence[int]]) -> list[Tokens]:
    """Return the shortest beginning of each label that no other label begins with.

    It is the whole label where another label begins with that.
    """
    every = [tuple(path) for path in tokens]

    def is_own(beginning: Tokens) -> bool:
        return sum(path[: len(beginning)] == beginning for path in every) == 1

    return [
        next((path[:n] for n in range(1, len(path)) if is_own(path[:n])), path)
        for path in every
    ]
