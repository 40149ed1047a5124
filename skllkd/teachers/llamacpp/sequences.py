"""Prompts that begin alike, evaluated together by llama.cpp up to the ends of the labels.

There are two ways to keep what attention needs of each prompt. In one cache for all, the
common beginning is kept once, and a decode may hold whole trees of labels, whose branches
are sequences that share a prompt; attention then has to skip the cells of other prompts,
as flash attention does. With a cache for each prompt nothing is skipped, and attention in
32 bits is as fast; branches are evaluated one after the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd.teachers.llamacpp.model import LlamaModel, new_context
from skllkd.teachers.prompting.label_trie import LabelTrie

Logits = npt.NDArray[np.float32]
Prompt = list[int]
#: Which prompt, which place of the tree of labels, and the logits there.
TreeLogits = Iterator[tuple[int, int, Logits]]


class PromptCache(ABC):
    """A context of the library whose sequences have all read the same beginning.

    Parameters
    ----------
    model : LlamaModel
        The model.
    beginning : sequence of int
        The tokens every prompt begins with; evaluated once.
    trie : LabelTrie
        The labels.
    n_sequences : int
        How many sequences there are.
    n_batch : int
        The most tokens evaluated at once.
    **context : Any
        The rest of the parameters of `new_context`.
    """

    def __init__(
        self,
        model: LlamaModel,
        beginning: Sequence[int],
        trie: LabelTrie,
        *,
        n_sequences: int,
        n_batch: int,
        **context: Any,
    ) -> None:
        self._lib, self._n_vocabulary = model.lib, model.n_vocabulary
        self._trie, self._start, self._n_batch = trie, len(beginning), n_batch
        self.n_sequences = n_sequences
        most = max(n_batch, len(beginning))
        self._context = new_context(
            model, n_sequences=n_sequences, n_batch=most, **context
        )
        self._memory = self._lib.llama_get_memory(self._context)
        self._batch = self._lib.llama_batch_init(most, 0, trie.n_branches)
        self._n_put = 0
        if beginning:
            for position, token in enumerate(beginning):
                self._put(token, position, [0])
            self._decode()
            for sequence in range(1, n_sequences):
                self._lib.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)

    def has_room(self, prompts: Sequence[Prompt], prompt: Prompt) -> bool:
        """Return whether a prompt can be evaluated with others.

        Parameters
        ----------
        prompts : sequence of list of int
            The others, without the beginning.
        prompt : list of int
            The prompt, without the beginning.

        Returns
        -------
        bool
            Whether it can.
        """
        return self._fit([len(each) for each in (*prompts, prompt)])

    @abstractmethod
    def _fit(self, sizes: Sequence[int]) -> bool:
        """Return whether prompts of some sizes can be evaluated together."""

    def tree_logits(self, prompts: Sequence[Prompt]) -> TreeLogits:
        """Evaluate the tree of labels behind prompts for which there is room.

        Parameters
        ----------
        prompts : sequence of list of int
            The prompts, without the beginning.

        Yields
        ------
        which : int
            The place of the prompt among these.
        place : int
            The place in the tree, as in `LabelTrie.steps`.
        logits : ndarray of shape (n_vocabulary,), float32
            The logits there; valid until the next is asked for.
        """
        yield from self._walk(prompts)
        for sequence in range(self.n_sequences):
            self._forget(sequence, self._start)

    @abstractmethod
    def _walk(self, prompts: Sequence[Prompt]) -> TreeLogits:
        """Evaluate prompts and trees; yield as `tree_logits` does."""

    def _put(self, token: int, position: int, sequences: Sequence[int]) -> int:
        """Write one token into the batch and return where."""
        batch, index = self._batch, self._n_put
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = len(sequences)
        for slot, sequence in enumerate(sequences):
            batch.seq_id[index][slot] = sequence
        batch.logits[index] = 0
        self._n_put += 1
        return index

    def _decode(self, read_at: Sequence[int] = ()) -> None:
        """Evaluate the batch, with the logits of some of its tokens."""
        for index in read_at:
            self._batch.logits[index] = 1
        self._batch.n_tokens, self._n_put = self._n_put, 0
        status = self._lib.llama_decode(self._context, self._batch)
        if status != 0:
            raise RuntimeError(
                f"llama_decode failed with status {status} on "
                f"{self._batch.n_tokens} tokens."
            )

    def _logits(self, index: int) -> Logits:
        """Return the logits after a token of the batch."""
        pointer = self._lib.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(pointer, (self._n_vocabulary,))

    def _forget(self, sequence: int, position: int) -> None:
        """Take a sequence back to a place."""
        self._lib.llama_memory_seq_rm(self._memory, sequence, position, -1)

    def close(self) -> None:
        """Free the context."""
        if self._context:
            self._lib.llama_batch_free(self._batch)
            self._lib.llama_free(self._context)
            self._context = None


class SharedCache(PromptCache):
    """One cache for all prompts; each branch of a tree is a sequence of its own.

    Parameters
    ----------
    model : LlamaModel
        The model.
    beginning : sequence of int
        The tokens every prompt begins with.
    trie : LabelTrie
        The labels.
    n_prompts : int
        The most prompts evaluated together.
    n_batch : int
        The most tokens evaluated at once, those of the trees included.
    n_threads : int
        Threads for evaluation.
    """

    def __init__(
        self,
        model: LlamaModel,
        beginning: Sequence[int],
        trie: LabelTrie,
        *,
        n_prompts: int,
        n_batch: int,
        n_threads: int,
    ) -> None:
        self._n_prompts = n_prompts
        super().__init__(
            model,
            beginning,
            trie,
            n_sequences=1 + n_prompts * trie.n_branches,
            n_batch=n_batch,
            n_tokens=len(beginning) + n_batch,
            n_threads=n_threads,
            exact=False,
        )

    def _fit(self, sizes: Sequence[int]) -> bool:
        """Return whether one decode holds prompts and trees."""
        n_tokens = sum(sizes) + len(sizes) * len(self._trie.node_tokens)
        return len(sizes) <= self._n_prompts and n_tokens <= self._n_batch

    def _walk(self, prompts: Sequence[Prompt]) -> TreeLogits:
        """Evaluate prompts and trees in one decode."""
        trie = self._trie
        nodes = list(
            zip(trie.node_tokens, trie.node_depths, trie.node_branches, strict=True)
        )
        read_at = []
        for which, prompt in enumerate(prompts):
            first = 1 + which * trie.n_branches
            branches = range(first, first + trie.n_branches)
            for position, token in enumerate(prompt, start=self._start):
                last = self._put(token, position, branches)
            read_at.append([last])
            for token, depth, on in nodes:
                sequences = [first + branch for branch in on]
                read_at[-1].append(self._put(token, position + depth, sequences))
        self._decode([index for indices in read_at for index in indices])
        for which, indices in enumerate(read_at):
            for place, index in enumerate(indices):
                yield which, place, self._logits(index)


class OwnCaches(PromptCache):
    """A cache for each prompt, and attention in 32 bits.

    Prompts are evaluated together as far as they are as long: so they are filled up at
    their ends, which changes nothing before. Branches of the tree are evaluated one
    after the other behind all prompts.

    Parameters
    ----------
    model : LlamaModel
        The model.
    beginning : sequence of int
        The tokens every prompt begins with.
    trie : LabelTrie
        The labels.
    n_prompts : int
        The most prompts evaluated together.
    n_cells : int
        The most tokens of a prompt with beginning and tree.
    n_batch : int
        The most tokens evaluated at once.
    n_threads : int
        Threads for evaluation.
    """

    def __init__(
        self,
        model: LlamaModel,
        beginning: Sequence[int],
        trie: LabelTrie,
        *,
        n_prompts: int,
        n_cells: int,
        n_batch: int,
        n_threads: int,
    ) -> None:
        self._branches = list(new_nodes_by_branch(trie))
        super().__init__(
            model,
            beginning,
            trie,
            n_sequences=n_prompts,
            n_batch=n_batch,
            n_tokens=n_cells,
            n_threads=n_threads,
            exact=True,
        )

    def _fit(self, sizes: Sequence[int]) -> bool:
        """Return whether there are caches enough and, without a tree, one decode."""
        in_one = len(sizes) * max(sizes) <= self._n_batch
        return len(sizes) <= self.n_sequences and (in_one or bool(self._branches))

    def _walk(self, prompts: Sequence[Prompt]) -> TreeLogits:
        """Evaluate the prompts, then branch after branch."""
        trie = self._trie
        yield from self._evaluate(prompts, [self._start] * len(prompts), [0])
        for nodes in self._branches:
            above = trie.node_depths[nodes[0]] - 1
            begins = [self._start + len(prompt) + above for prompt in prompts]
            for sequence, begin in enumerate(begins):
                self._forget(sequence, begin)  # what fills up, or another branch
            tokens = [trie.node_tokens[node] for node in nodes]
            places = [node + 1 for node in nodes]
            yield from self._evaluate([tokens] * len(prompts), begins, places)

    def _evaluate(
        self, runs: Sequence[Prompt], begins: Sequence[int], places: Sequence[int]
    ) -> TreeLogits:
        """Evaluate tokens of each sequence; yield the logits of the last as places."""
        at_once = self._n_batch // max(map(len, runs))
        n_decodes = -(-len(runs) // at_once)
        for part in np.array_split(np.arange(len(runs)), n_decodes):
            width = max(len(runs[which]) for which in part)
            read_at: list[tuple[int, int, int]] = []
            for which in map(int, part):
                tokens, begin = runs[which], begins[which]
                filled = [*tokens, *tokens[-1:] * (width - len(tokens))]
                indices = [
                    self._put(token, position, [which])
                    for position, token in enumerate(filled, start=begin)
                ]
                read = indices[: len(tokens)][-len(places) :]
                read_at.extend((which, *at) for at in zip(places, read, strict=True))
            self._decode([index for _, _, index in read_at])
            for which, place, index in read_at:
                yield which, place, self._logits(index)


def new_nodes_by_branch(trie: LabelTrie) -> Iterator[list[int]]:
    """Yield the nodes of each branch of a tree of labels that the one before lacks.

    Parameters
    ----------
    trie : LabelTrie
        The tree.

    Yields
    ------
    list of int
        Nodes, each the parent of the next. Every node is in one of these lists.
    """
    for branch in range(trie.n_branches):
        nodes = [
            node
            for node, on in enumerate(trie.node_branches)
            if branch in on and branch - 1 not in on
        ]
        if nodes:
            yield nodes
