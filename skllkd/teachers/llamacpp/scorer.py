"""Many prompts that begin alike, scored by llama.cpp in few decodes.

The high-level `llama_cpp.Llama` keeps the logits of every position (context length
times vocabulary) to give log-probabilities. What is needed here is the last position
of each prompt, so this speaks to the library's C interface directly.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray
from skllkd.teachers.llamacpp.model import CACHE_STEP, LlamaModel, up_to_step
from skllkd.teachers.llamacpp.sequences import (
    OwnCaches,
    Prompt,
    PromptCache,
    SharedCache,
)
from skllkd.teachers.prompting.label_trie import LabelTrie

#: Bodies are taken this many at a time and ordered by length among themselves: decodes
#: are then filled to the brim, and progress is as even as the pool is.
_WINDOW = 1024
#: Caches of their own are for as many prompts as fill a decode if none is shorter, and
#: take at most so much memory: those of 32 prompts take 380 MB for SmolLM2-135M.
_SHORTEST, _CACHE_BYTES = 16, 2**29


class PromptScorer:
    """Label log-probabilities of many prompts that share a prefix.

    Each prompt is the prefix, a body and a suffix; the label tree hangs from its end.
    The prefix is evaluated once, and as many prompts as fit go into one decode.

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
        self._model, self._n_threads, self._exact = model, n_threads, exact
        self._shared = list(prefix) if reuse_prefix else []
        self._lead = [] if reuse_prefix else list(prefix)
        self._suffix, self._trie = list(suffix), trie
        self.max_body_tokens = max_body_tokens
        self._around = len(self._lead) + len(suffix)
        self._batch_tokens = batch_tokens + len(self._lead)
        self._alone = not reuse_prefix
        self._caches: dict[int, PromptCache] = {}  # by the cells a prompt may have
        self._read_at: list[list[tuple[int, int]]] = [[] for _ in trie.places]
        for label, steps in enumerate(trie.steps):
            for place, token in steps:
                self._read_at[place].append((label, token))

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
        n_body = min(len(body), self.max_body_tokens)
        return n_body + self._around + len(self._trie.node_tokens)

    def score(
        self, bodies: Iterable[Sequence[int]]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield the log-probabilities of the labels, some prompts at a time.

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
        cache: PromptCache | None = None
        places: list[int] = []
        prompts: list[Prompt] = []
        for place, body in in_length_order(bodies):
            prompt = [*self._lead, *body, *self._suffix]
            wanted = self._cache_for(len(prompt))
            is_full = wanted is not cache or not wanted.has_room(prompts, prompt)
            if cache and is_full:
                yield np.array(places), self._log_prob(cache, prompts)
                places, prompts = [], []
            cache = wanted
            places.append(place)
            prompts.append(prompt)
        if cache:
            yield np.array(places), self._log_prob(cache, prompts)

    def _cache_for(self, size: int) -> PromptCache:
        """Return the cache for prompts of so many tokens behind the prefix."""
        n_own = size + max(self._trie.node_depths, default=0)
        n_cells = up_to_step(len(self._shared) + n_own) if self._exact else 0
        if n_cells not in self._caches:
            self._caches[n_cells] = (
                self._own_caches(n_cells) if self._exact else self._shared_cache()
            )
        return self._caches[n_cells]

    def _shared_cache(self) -> PromptCache:
        """Return one cache for all prompts."""
        trie = self._trie
        # More sequences than a decode can use would cost cache bookkeeping only.
        n_prompts = min(
            (self._model.max_sequences - 1) // trie.n_branches,
            self._batch_tokens // (self._around + len(trie.node_tokens) + 1),
        )
        return SharedCache(
            self._model,
            self._shared,
            trie,
            n_prompts=1 if self._alone else max(1, n_prompts),
            n_batch=self._batch_tokens,
            n_threads=self._n_threads,
        )

    def _own_caches(self, n_cells: int) -> PromptCache:
        """Return caches of so many cells, for as many prompts as make full decodes."""
        # A prompt that takes fewer tokens has smaller caches; behind a tree's branches,
        # which are short, there are never too many.
        least = n_cells - CACHE_STEP - len(self._shared)
        shortest = _SHORTEST if self._trie.node_tokens else max(_SHORTEST, least)
        n_prompts = min(
            self._model.max_sequences,
            self._batch_tokens // shortest,
            _CACHE_BYTES // (n_cells * self._model.cell_bytes),
        )
        return OwnCaches(
            self._model,
            self._shared,
            self._trie,
            n_prompts=1 if self._alone else max(1, n_prompts),
            n_cells=n_cells,
            n_batch=self._batch_tokens,
            n_threads=self._n_threads,
        )

    def _log_prob(self, cache: PromptCache, prompts: Sequence[Prompt]) -> FloatArray:
        """Return the log-probabilities of the labels behind some prompts."""
        log_prob = np.zeros((len(prompts), len(self._trie.steps)))
        for which, place, logits in cache.tree_logits(prompts):
            highest = float(logits.max())
            total = float(np.exp(logits - highest).sum(dtype=np.float64))
            log_total = highest + float(np.log(total))
            for label, token in self._read_at[place]:
                log_prob[which, label] += float(logits[token]) - log_total
        return log_prob

    def close(self) -> None:
        """Free the caches."""
        while self._caches:
            self._caches.popitem()[1].close()


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
