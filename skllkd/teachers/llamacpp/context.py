"""Prompts that begin alike, evaluated together by llama.cpp up to the ends of the labels.

The high-level `llama_cpp.Llama` keeps the logits of every position (context length times
vocabulary) to give log-probabilities. Needed here is the last position of each prompt, so
this speaks to the library's C interface directly.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd.teachers.llamacpp.model import LlamaModel
from skllkd.teachers.prompting.label_trie import LabelTrie
from skllkd.teachers.prompting.tokens import PromptTokens

#: The library rounds a cache, and the part of it in use, up to a multiple of this.
CACHE_STEP = 256

Logits = npt.NDArray[np.float32]
#: Which prompt, which position of the trie, and the logits there.
TrieLogits = Iterator[tuple[int, int, Logits]]


def up_to_step(n_cells: int) -> int:
    """Round a number of cells as the library does."""
    return -(-n_cells // CACHE_STEP) * CACHE_STEP


def new_context(
    model: LlamaModel, *, n_cells: int, n_batch: int, n_sequences: int, n_threads: int
) -> Any:
    """Return a context of the library, with a cache of its own for each sequence.

    Attention keeps keys and values in 32 bits, which makes an answer independent of the
    texts it is evaluated with, to 1e-5 in log-probability with F32 weights. It goes over
    all cells of a cache, so that sequences do not share one. (Flash attention, the
    library's default, rounds keys and values to 16 bits.)
    """
    lib = model.lib
    parameters = lib.llama_context_default_params()
    parameters.n_ctx = up_to_step(n_cells) * n_sequences
    parameters.n_batch = parameters.n_ubatch = n_batch
    parameters.n_seq_max = n_sequences
    parameters.kv_unified = False
    parameters.n_threads = parameters.n_threads_batch = n_threads
    parameters.no_perf = True
    parameters.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.type_k = parameters.type_v = lib.GGML_TYPE_F32
    context = lib.llama_init_from_model(model.handle, parameters)
    if not context:
        raise MemoryError(
            f"llama.cpp could not allocate a context of {parameters.n_ctx} tokens."
        )
    return context


class PromptContext:
    """Context of the library whose sequences have all read a prompt's prefix.

    Prompts are evaluated together as far as they are as long: so they are filled up at
    their ends, which changes nothing before. Branches of the trie are evaluated one
    after the other behind all prompts.
    """

    def __init__(
        self,
        model: LlamaModel,
        prompt: PromptTokens,
        *,
        n_sequences: int,
        n_cells: int,
        n_batch: int,
        n_threads: int,
    ) -> None:
        self._model, self._lib = model, model.lib  # the model must outlive its contexts
        self._trie, self._start = prompt.trie, len(prompt.prefix)
        self._n_batch = n_batch
        self._branches = list(new_nodes_by_branch(prompt.trie))
        self.n_sequences, self.n_cells = n_sequences, n_cells
        most = max(n_batch, len(prompt.prefix))
        self._context = new_context(
            model,
            n_cells=n_cells,
            n_batch=most,
            n_sequences=n_sequences,
            n_threads=n_threads,
        )
        weakref.finalize(self, self._lib.llama_free, self._context).atexit = False
        self._batch = self._lib.llama_batch_init(most, 0, 1)
        weakref.finalize(self, self._lib.llama_batch_free, self._batch).atexit = False
        self._memory = self._lib.llama_get_memory(self._context)
        self._n_put = 0
        self._read_prefix(prompt.prefix)

    def _read_prefix(self, prefix: Sequence[int]) -> None:
        """Evaluate the prefix once, for all sequences."""
        if not prefix:
            return
        for position, token in enumerate(prefix):
            self._put(token, position, 0)
        self._decode()
        for sequence in range(1, self.n_sequences):
            self._lib.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)

    def fits(self, sizes: Sequence[int]) -> bool:
        """Return whether prompts of these sizes, without the prefix, fit together.

        There must be sequences enough and, without a trie behind them, one decode.
        """
        in_one = len(sizes) * max(sizes) <= self._n_batch
        return len(sizes) <= self.n_sequences and (in_one or bool(self._branches))

    def trie_logits(self, prompts: Sequence[list[int]]) -> TrieLogits:
        """Yield the logits at each position of the trie behind prompts that fit.

        The prompts are without the prefix; the logits valid until the next are asked for.
        """
        trie = self._trie
        yield from self._evaluate(prompts, [self._start] * len(prompts), [0])
        for nodes in self._branches:
            above = trie.node_depths[nodes[0]] - 1
            begins = [self._start + len(prompt) + above for prompt in prompts]
            for sequence, begin in enumerate(begins):
                self._forget(sequence, begin)  # the filling, or another branch
            tokens = [trie.node_tokens[node] for node in nodes]
            positions = [node + 1 for node in nodes]
            yield from self._evaluate([tokens] * len(prompts), begins, positions)
        for sequence in range(self.n_sequences):
            self._forget(sequence, self._start)

    def _evaluate(
        self,
        runs: Sequence[list[int]],
        begins: Sequence[int],
        positions: Sequence[int],
    ) -> TrieLogits:
        """Evaluate tokens of each sequence; yield the logits of the last of them."""
        at_once = self._n_batch // max(map(len, runs))
        n_decodes = -(-len(runs) // at_once)
        for part in np.array_split(np.arange(len(runs)), n_decodes):
            width = max(len(runs[which]) for which in part)
            read_at: list[tuple[int, int, int]] = []
            for which in map(int, part):
                tokens, begin = runs[which], begins[which]
                filled = [*tokens, *tokens[-1:] * (width - len(tokens))]
                indices = [
                    self._put(token, at, which)
                    for at, token in enumerate(filled, start=begin)
                ]
                read = indices[: len(tokens)][-len(positions) :]
                read_at += [(which, *at) for at in zip(positions, read, strict=True)]
            self._decode([index for _, _, index in read_at])
            for which, position, index in read_at:
                yield which, position, self._logits(index)

    def _put(self, token: int, position: int, sequence: int) -> int:
        """Write one token into the batch and return its index."""
        batch, index = self._batch, self._n_put
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = sequence
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
        return np.ctypeslib.as_array(pointer, (self._model.n_vocabulary,))

    def _forget(self, sequence: int, position: int) -> None:
        """Cut a sequence off at a position."""
        self._lib.llama_memory_seq_rm(self._memory, sequence, position, -1)


def new_nodes_by_branch(trie: LabelTrie) -> Iterator[list[int]]:
    """Yield the nodes of each branch that the branch before lacks, parents first."""
    nodes: list[int] = []
    for node, depth in enumerate(trie.node_depths):
        if nodes and depth <= trie.node_depths[nodes[-1]]:
            yield nodes
            nodes = []
        nodes.append(node)
    if nodes:
        yield nodes
