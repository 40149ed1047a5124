"""Label log-probabilities from llama.cpp, many prompts in a decode."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd._core.registry import Registry
from skllkd.teachers.llamacpp.context import PromptContext, up_to_step
from skllkd.teachers.llamacpp.model import LlamaModel
from skllkd.teachers.prompting.tokens import PromptTokens

#: Bytes that a context's caches take at most: those of 32 prompts that take 256 cells
#: each are 380 MB for SmolLM2-135M.
_CACHE_BYTES = 2**29


class LlamaScorer:
    """Scores the labels behind many texts in one prompt."""

    def __init__(
        self,
        model: LlamaModel,
        prompt: PromptTokens,
        batch_tokens: int,
        n_threads: int,
    ) -> None:
        self._model, self._prompt, self._n_threads = model, prompt, n_threads
        self._batch_tokens = batch_tokens
        self._context: PromptContext | None = None
        self._lock = threading.Lock()

    def score(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities in nats, of shape (n_bodies, n_labels)."""
        trie = self._prompt.trie
        prompts = [[*body, *self._prompt.suffix] for body in bodies]
        log_prob = np.zeros((len(bodies), len(trie.steps)))
        with self._lock:  # a scorer is shared by the threads of a process
            context = self._context_for([len(prompt) for prompt in prompts])
            for rows in _groups(context, prompts):
                together = [prompts[row] for row in rows]
                for which, position, logits in context.trie_logits(together):
                    if not trie.labels_at[position]:
                        continue
                    highest = float(logits.max())
                    total = float(np.exp(logits - highest).sum(dtype=np.float64))
                    log_total = highest + float(np.log(total))
                    for label, token in trie.labels_at[position]:
                        step = float(logits[token]) - log_total
                        log_prob[rows[which], label] += step
        return log_prob

    def _context_for(self, sizes: Sequence[int]) -> PromptContext:
        """Return a context for prompts of these sizes, the open one if it is enough.

        It has as many sequences as can be of use. The prefix is read when it is opened.
        """
        trie, context = self._prompt.trie, self._context
        longest = max(sizes) + max(trie.node_depths, default=0)
        n_cells = up_to_step(len(self._prompt.prefix) + longest)
        # Behind a trie's branches, which are short, more prompts fit than in one decode.
        fit = len(sizes) if trie.node_tokens else self._batch_tokens // min(sizes)
        n_most = _CACHE_BYTES // (n_cells * self._model.cell_bytes)
        n_sequences = max(1, min(self._model.max_sequences, len(sizes), fit, n_most))
        if (
            context
            and context.n_cells >= n_cells
            and context.n_sequences >= n_sequences
        ):
            return context
        context = self._context = None  # its memory is free before more is taken
        self._context = PromptContext(
            self._model,
            self._prompt,
            n_sequences=n_sequences,
            n_cells=n_cells,
            n_batch=self._batch_tokens,
            n_threads=self._n_threads,
        )
        return self._context


def _groups(
    context: PromptContext, prompts: Sequence[Sequence[int]]
) -> Iterator[list[int]]:
    """Yield rows of prompts that are evaluated together, the short ones first."""
    rows: list[int] = []
    for row in sorted(range(len(prompts)), key=lambda row: len(prompts[row])):
        if rows and not context.fits([len(prompts[other]) for other in (*rows, row)]):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


#: The last prompt's scorer of each model: a further call opens and reads nothing anew.
scorers: Registry[LlamaScorer] = Registry()
