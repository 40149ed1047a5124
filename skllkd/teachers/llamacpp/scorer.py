"""Label log-probabilities from llama.cpp, many prompts in a decode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd.teachers.llamacpp.context import CACHE_STEP, PromptContext, up_to_step
from skllkd.teachers.llamacpp.model import LlamaModel
from skllkd.teachers.prompting.tokens import PromptTokens

#: A context has as many sequences as prompts of this length fill a decode, and takes at
#: most so much memory: that of 32 prompts takes 380 MB for SmolLM2-135M.
_SHORTEST, _CACHE_BYTES = 16, 2**29


class LlamaScorer:
    """Scores the labels behind many texts in one prompt."""

    def __init__(
        self,
        model: LlamaModel,
        prompt: PromptTokens,
        *,
        batch_tokens: int,
        n_threads: int,
    ) -> None:
        self._model, self._prompt, self._n_threads = model, prompt, n_threads
        self._batch_tokens = batch_tokens
        self._contexts: dict[int, PromptContext] = {}  # by the cells of a sequence
        self._read_at: list[list[tuple[int, int]]] = [
            [] for _ in range(1 + len(prompt.trie.node_tokens))
        ]
        for label, steps in enumerate(prompt.trie.steps):
            for position, token in steps:
                self._read_at[position].append((label, token))

    def score(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities in nats, of shape (n_bodies, n_labels)."""
        prompts = [[*body, *self._prompt.suffix] for body in bodies]
        log_prob = np.zeros((len(bodies), len(self._prompt.trie.steps)))
        for context, rows in self._groups([len(prompt) for prompt in prompts]):
            together = [prompts[row] for row in rows]
            for which, position, logits in context.trie_logits(together):
                highest = float(logits.max())
                total = float(np.exp(logits - highest).sum(dtype=np.float64))
                log_total = highest + float(np.log(total))
                for label, token in self._read_at[position]:
                    log_prob[rows[which], label] += float(logits[token]) - log_total
        return log_prob

    def _groups(
        self, sizes: Sequence[int]
    ) -> Iterator[tuple[PromptContext, list[int]]]:
        """Yield rows of prompts that are evaluated together, the short ones first."""
        context: PromptContext | None = None
        rows: list[int] = []
        for row in map(int, np.argsort(sizes, kind="stable")):
            wanted = self._context_for(sizes[row])
            together = [sizes[other] for other in (*rows, row)]
            if context and (wanted is not context or not wanted.fits(together)):
                yield context, rows
                rows = []
            context = wanted
            rows.append(row)
        if context:
            yield context, rows

    def _context_for(self, size: int) -> PromptContext:
        """Return the context for prompts of so many tokens behind the prefix."""
        trie, n_prefix = self._prompt.trie, len(self._prompt.prefix)
        n_cells = up_to_step(n_prefix + size + max(trie.node_depths, default=0))
        if n_cells not in self._contexts:
            # A prompt that takes fewer tokens is in a smaller context; behind a trie's
            # branches, which are short, there are never too many.
            least = n_cells - CACHE_STEP - n_prefix
            shortest = _SHORTEST if trie.node_tokens else max(_SHORTEST, least)
            n_sequences = min(
                self._model.max_sequences,
                self._batch_tokens // shortest,
                _CACHE_BYTES // (n_cells * self._model.cell_bytes),
            )
            self._contexts[n_cells] = PromptContext(
                self._model,
                self._prompt,
                n_sequences=max(1, n_sequences),
                n_cells=n_cells,
                n_batch=self._batch_tokens,
                n_threads=self._n_threads,
            )
        return self._contexts[n_cells]
