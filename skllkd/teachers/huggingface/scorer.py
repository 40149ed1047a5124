"""Label log-probabilities from a Hugging Face model, many prompts in a forward pass.

The prompts' common beginning is evaluated once, and every batch attends to its keys and
values. The rest is laid out in one row a text: padding, the text, the prompt's end, and
then the trie of the labels' tokens, whose branches do not see each other. So labels of
many tokens need no further pass.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.device import any_shape_attention, named_memory_errors
from skllkd.teachers.huggingface.model import HFModel
from skllkd.teachers.prompting.tokens import PromptTokens


class HFScorer:
    """Scores the labels behind many texts in one prompt."""

    def __init__(
        self, model: HFModel, prompt: PromptTokens, *, batch_size: int
    ) -> None:
        self._torch = model.torch
        self._model, self._trie, self._batch_size = model, prompt.trie, batch_size
        self._n_prefix = len(prompt.prefix)
        self._tail = [*prompt.suffix, *prompt.trie.node_tokens]
        self._prefix_cache = self._evaluate(prompt.prefix)
        self._tree = self._on_device(_seen_in_trie(prompt.trie.node_depths))

    def _evaluate(self, prefix: Sequence[int]) -> Any:
        """Return the keys and values of the prompts' common beginning."""
        from transformers import DynamicCache

        # Without the configuration no layer forgets: which keys a layer with a window
        # sees is said by the mask.
        cache = DynamicCache()
        ids = self._torch.tensor([list(prefix)], device=self._model.device)
        positions = self._torch.arange(len(prefix), device=self._model.device)[None]
        seen = self._torch.ones(
            1, len(prefix), len(prefix), dtype=self._torch.bool
        ).tril()
        masks = self._masks(seen.to(self._model.device), positions, positions)
        self._forward(ids, positions, masks, cache, n_last=1)
        return cache

    def _forward(
        self, ids: Any, positions: Any, masks: Any, cache: Any, n_last: int
    ) -> Any:
        """Return the logits of the last tokens."""
        last = {"logits_to_keep": n_last} if self._model.keeps_last_logits else {}
        attention = any_shape_attention(self._torch.device(self._model.device).type)
        with self._torch.inference_mode(), attention:
            output = self._model.network(
                input_ids=ids,
                position_ids=positions,
                attention_mask=masks,
                past_key_values=cache,
                use_cache=True,
                **last,
            )
        return output.logits[:, -n_last:]

    def score(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities in nats, of shape (n_bodies, n_labels)."""
        order = np.argsort([-len(body) for body in bodies], kind="stable")
        log_prob = np.zeros((len(bodies), len(self._trie.steps)))
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            log_prob[rows] = self._score_group([bodies[row] for row in rows])
        return log_prob

    def _score_group(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities, in halves where memory is short."""
        if len(bodies) == 1:
            hint = "Lower the teacher's `max_text_tokens`, or use fewer `examples`."
            with named_memory_errors("scoring a text", hint):
                return self.score_together(bodies)
        try:
            return self.score_together(bodies)
        except self._torch.OutOfMemoryError:
            self._torch.cuda.empty_cache()
        middle = len(bodies) // 2
        halves = self._score_group(bodies[:middle]), self._score_group(bodies[middle:])
        return np.concatenate(halves)

    def score_together(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities of bodies evaluated together."""
        ids, real, positions = self._layout(bodies)
        at, seen = self._on_device(positions), self._seen(self._on_device(real))
        before = self._torch.arange(self._n_prefix, device=self._model.device)
        keys = self._torch.cat([before.expand(len(bodies), -1), at], dim=1)
        masks = self._masks(seen, at, keys)
        cache = self._shared_cache(len(bodies))
        n_read = 1 + len(self._trie.node_tokens)
        return self._read(
            self._forward(self._on_device(ids), at, masks, cache, n_last=n_read)
        )

    def _layout(
        self, bodies: Sequence[Sequence[int]]
    ) -> tuple[IntArray, Any, IntArray]:
        """Return token ids, which of them are no padding, and their positions."""
        width, n_nodes = max(map(len, bodies)), len(self._trie.node_tokens)
        ids = np.zeros((len(bodies), width + len(self._tail)), dtype=np.int64)
        ids[:, width:] = self._tail
        n_padding = np.array([width - len(body) for body in bodies])[:, None]
        for row, body in enumerate(bodies):
            ids[row, width - len(body) : width] = body
        columns = np.arange(ids.shape[1])
        positions = self._n_prefix + np.maximum(columns - n_padding, 0)
        if n_nodes:
            ends = positions[:, -n_nodes - 1, None]
            positions[:, -n_nodes:] = ends + self._trie.node_depths
        return ids, columns >= n_padding, positions

    def _on_device(self, array: Any) -> Any:
        """Move an array to where the model is."""
        return self._torch.from_numpy(array).to(self._model.device)

    def _seen(self, real: Any) -> Any:
        """Return which keys each query sees, of shape (n_texts, n_queries, n_keys)."""
        n_texts, n_queries = real.shape
        n_nodes = len(self._trie.node_tokens)
        own = real.new_ones(n_queries, n_queries).tril()
        if n_nodes:
            own[-n_nodes:, -n_nodes:] = self._tree
        prefix = real.new_ones(n_texts, n_queries, self._n_prefix)
        return self._torch.cat([prefix, own[None] & real[:, None, :]], dim=-1)

    def _masks(self, seen: Any, queries: Any, keys: Any) -> Any:
        """Return the masks the network's layers take, added to their scores."""
        window = self._model.window
        if window is None or int(keys.max()) < window:
            return self._added(seen)  # no layer's window ends before the prompt does
        near = queries[:, :, None] - keys[:, None, :] < window
        if not self._model.layer_types:
            return self._added(seen & near)
        masks = {"full_attention": seen, "sliding_attention": seen & near}
        return {name: self._added(masks[name]) for name in self._model.layer_types}

    def _added(self, visible: Any) -> Any:
        """Return a mask: zero where a key is visible, the lowest number elsewhere."""
        dtype = self._model.dtype
        mask = self._torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill(~visible, self._torch.finfo(dtype).min)[:, None]

    def _shared_cache(self, n_texts: int) -> Any:
        """Return the prefix's keys and values for a batch, without a copy of them."""
        shared = copy.copy(self._prefix_cache)
        shared.layers = []
        for layer in self._prefix_cache.layers:
            twin = copy.copy(layer)
            twin.keys = layer.keys.expand(n_texts, -1, -1, -1)
            twin.values = layer.values.expand(n_texts, -1, -1, -1)
            shared.layers.append(twin)
        return shared

    def _read(self, logits: Any) -> FloatArray:
        """Return the labels' log-probabilities from logits by text and position."""
        log_prob = np.zeros((len(logits), len(self._trie.steps)))
        for position, pairs in enumerate(self._trie.labels_at):
            if not pairs:
                continue
            row = logits[:, position].float()
            labels, tokens = (list(part) for part in zip(*pairs, strict=True))
            found = row[:, tokens] - row.logsumexp(dim=-1, keepdim=True)
            log_prob[:, labels] += found.double().cpu().numpy()
        return log_prob


def _seen_in_trie(depths: Sequence[int]) -> Any:
    """Return which nodes a node sees: those on its way from the prompt's end, itself."""
    seen = np.zeros((len(depths), len(depths)), dtype=bool)
    path: list[int] = []
    for node, depth in enumerate(depths):
        path[depth - 1 :] = [node]
        seen[node, path] = True
    return seen
