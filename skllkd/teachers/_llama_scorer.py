"""Many prompts that begin alike, scored by llama.cpp in few decodes.

The high-level `llama_cpp.Llama` keeps the logits of every position (context length
times vocabulary) to give log-probabilities. What is needed here is the last position
of each prompt, so this speaks to the library's C interface directly.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from skllkd._validation import FloatArray, IntArray
from skllkd.teachers._label_trie import LabelTrie
from skllkd.teachers._llama_runtime import CACHE_STEP, LlamaModel, new_context

#: Bodies are taken this many at a time and ordered by length among themselves: decodes
#: are then filled to the brim, and progress is as even as the pool is.
_WINDOW = 1024


class PromptScorer:
    """Label log-probabilities of many prompts that share a prefix.

    The prefix is evaluated once and its cache shared by every sequence. Each prompt
    is the prefix, a body and a suffix; the label tree hangs from its end as further
    sequences that share the prompt. As many prompts as fit go into one decode.

    Parameters
    ----------
    model : LlamaModel
        The model.
    prefix : sequence of int
        The tokens every prompt begins with.
    suffix : sequence of int
        The tokens every prompt ends with.
    trie : LabelTrie
        The labels.
    batch_tokens : int
        The most tokens in a decode.
    max_body_tokens : int
        The most tokens a body may have; with the suffix and the labels they must fit
        into a decode.
    n_threads : int
        Threads for evaluation.
    reuse_prefix : bool, default=True
        Whether the prefix is evaluated once. Otherwise each prompt is evaluated
        whole, and alone: slow, and what the fast way is compared with.
    exact : bool, default=True
        Whether attention computes in 32 bits: see `new_context`.
    """

    def __init__(
        self,
        model: LlamaModel,
        prefix: Sequence[int],
        suffix: Sequence[int],
        trie: LabelTrie,
        *,
        batch_tokens: int,
        max_body_tokens: int,
        n_threads: int,
        reuse_prefix: bool = True,
        exact: bool = True,
    ) -> None:
        self._model, self._lib = model, model.lib
        self._suffix, self._trie = list(suffix), trie
        self._shared = list(prefix) if reuse_prefix else []
        self._lead = [] if reuse_prefix else list(prefix)
        self.max_body_tokens = max_body_tokens
        self._extra_tokens = len(self._lead) + len(suffix) + len(trie.node_tokens)
        self._batch_tokens = batch_tokens + len(self._lead)
        self._fill = self._batch_tokens
        if exact:
            # Attention that skips nothing goes over the cache in steps of so many
            # cells: a batch that just begins another step pays for it whole.
            whole = (len(self._shared) + self._fill) // CACHE_STEP * CACHE_STEP
            if whole - len(self._shared) >= self._fill // 2:
                self._fill = whole - len(self._shared)
        # More sequences than a decode can use would cost cache bookkeeping only.
        most = min(
            (model.max_sequences - 1) // trie.n_branches,
            self._fill // (self._extra_tokens + 1),
        )
        self._texts_at_once = max(1, most) if reuse_prefix else 1
        n_sequences = 1 + self._texts_at_once * trie.n_branches

        n_batch = max(self._batch_tokens, len(self._shared))
        self._context = new_context(
            model,
            n_tokens=len(self._shared) + self._batch_tokens,
            n_batch=n_batch,
            n_sequences=n_sequences,
            n_threads=n_threads,
            exact=exact,
        )
        self._memory = self._lib.llama_get_memory(self._context)
        self._batch = self._lib.llama_batch_init(n_batch, 0, trie.n_branches)
        if self._shared:
            for position, token in enumerate(self._shared):
                self._put(position, token, position, [0])
            self._decode(len(self._shared))
            for sequence in range(1, n_sequences):
                self._lib.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)

    def n_tokens(self, body: Sequence[int]) -> int:
        """Return how many tokens are evaluated for a prompt.

        Parameters
        ----------
        body : sequence of int
            The tokens of its body.

        Returns
        -------
        int
            Those of the body, the suffix and the label tree.
        """
        return min(len(body), self.max_body_tokens) + self._extra_tokens

    def score(
        self, bodies: Iterable[Sequence[int]]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield the log-probabilities of the labels, decode by decode.

        Parameters
        ----------
        bodies : iterable of sequence of int
            The tokens of each prompt's body, at most `max_body_tokens`. They are
            drawn a window at a time.

        Yields
        ------
        places : ndarray of shape (n,), int
            Which bodies these are.
        log_prob : ndarray of shape (n, n_labels)
            Their labels' log-probabilities in nats.
        """
        group: list[Sequence[int]] = []
        places: list[int] = []
        used = 0
        for place, body in in_length_order(bodies):
            size = len(body) + self._extra_tokens
            if group and (
                used + size > self._fill or len(group) == self._texts_at_once
            ):
                yield np.array(places), self._score_group(group)
                group, places, used = [], [], 0
            group.append(body)
            places.append(place)
            used += size
        if group:
            yield np.array(places), self._score_group(group)

    def _score_group(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities for bodies that fit into one decode."""
        trie, n_tokens = self._trie, 0
        read_at: list[list[int]] = []  # for each body, the batch index of each place
        for place, body in enumerate(bodies):
            first = 1 + place * trie.n_branches
            branches = range(first, first + trie.n_branches)
            position = len(self._shared)
            for token in (*self._lead, *body, *self._suffix):
                self._put(n_tokens, token, position, branches)
                n_tokens, position = n_tokens + 1, position + 1
            indices = [n_tokens - 1]
            for token, depth, on in zip(
                trie.node_tokens, trie.node_depths, trie.node_branches, strict=True
            ):
                where = position - 1 + depth
                self._put(n_tokens, token, where, [first + branch for branch in on])
                indices.append(n_tokens)
                n_tokens += 1
            for index in indices:
                self._batch.logits[index] = 1
            read_at.append(indices)
        self._decode(n_tokens)
        log_prob = np.array([self._read(indices) for indices in read_at])
        for sequence in range(1, 1 + len(bodies) * trie.n_branches):
            self._lib.llama_memory_seq_rm(self._memory, sequence, len(self._shared), -1)
        return log_prob

    def _read(self, indices: Sequence[int]) -> list[float]:
        """Return the log-probability of each label from the logits of one prompt."""
        rows: list[tuple[FloatArray, float]] = []
        for index in indices:
            pointer = self._lib.llama_get_logits_ith(self._context, index)
            logits = np.ctypeslib.as_array(pointer, (self._model.n_vocabulary,))
            highest = float(logits.max())
            total = float(np.exp(logits - highest).sum(dtype=np.float64))
            rows.append((logits, highest + float(np.log(total))))
        return [
            sum(float(rows[place][0][token]) - rows[place][1] for place, token in steps)
            for steps in self._trie.steps
        ]

    def _put(
        self, index: int, token: int, position: int, sequences: Sequence[int]
    ) -> None:
        """Write one token into the batch."""
        batch = self._batch
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = len(sequences)
        for slot, sequence in enumerate(sequences):
            batch.seq_id[index][slot] = sequence
        batch.logits[index] = 0

    def _decode(self, n_tokens: int) -> None:
        """Evaluate the batch."""
        self._batch.n_tokens = n_tokens
        status = self._lib.llama_decode(self._context, self._batch)
        if status != 0:
            raise RuntimeError(
                f"llama_decode failed with status {status} on {n_tokens} tokens."
            )

    def close(self) -> None:
        """Free the context."""
        if self._context:
            self._lib.llama_batch_free(self._batch)
            self._lib.llama_free(self._context)
            self._context = None


def in_length_order(
    bodies: Iterable[Sequence[int]], window: int = _WINDOW
) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield bodies with their places, the short ones of each window first.

    Parameters
    ----------
    bodies : iterable of sequence of int
        The bodies.
    window : int
        How many are drawn and ordered at a time.

    Yields
    ------
    place : int
        Which body it is.
    body : sequence of int
        The body.
    """
    numbered = enumerate(bodies)
    while some := list(itertools.islice(numbered, window)):
        yield from sorted(some, key=lambda pair: len(pair[1]))
