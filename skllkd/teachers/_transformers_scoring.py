"""Label log-probabilities from a causal language model, many prompts in a pass.

The prompts' common beginning is evaluated once, and every batch attends to its keys and
values. What follows is laid out in one row a text: padding, the text, the prompt's end,
and then the tree of the labels' tokens, whose branches do not see each other. So labels
of many tokens need no further pass.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from skllkd._attention import attention_of_any_shape
from skllkd._device_memory import device_memory_named
from skllkd._validation import FloatArray, IntArray
from skllkd.exceptions import ModelFileError
from skllkd.teachers._label_trie import LabelTrie
from skllkd.teachers._transformers_runtime import Network

#: How far, in nats, a label scored in a batch may be from the same one scored alone.
_TOLERANCE = {"float32": 0.01}
_TOLERANCE_OF_HALF = 1.0


class PromptScorer:
    """Label log-probabilities of many prompts that share a prefix and a suffix.

    Parameters
    ----------
    network : Network
        The weights.
    prefix : sequence of int
        The tokens every prompt begins with, at least one.
    suffix : sequence of int
        The tokens every prompt ends with, at least one.
    trie : LabelTrie
        The labels.
    batch_size : int
        How many prompts are evaluated together.
    """

    def __init__(
        self,
        network: Network,
        prefix: Sequence[int],
        suffix: Sequence[int],
        trie: LabelTrie,
        *,
        batch_size: int,
    ) -> None:
        import torch

        self._network, self._trie, self._batch_size = network, trie, batch_size
        self._n_prefix, self._n_suffix = len(prefix), len(suffix)
        self._tail = [*suffix, *trie.node_tokens]
        self._prefix_cache = self._evaluate(prefix)
        on = [set(branches) for branches in trie.node_branches]
        n_nodes = len(on)
        # A node sees those on its way from the prompt's end, and itself.
        ways = [
            [
                on[i] <= on[j] and trie.node_depths[j] <= trie.node_depths[i]
                for j in rest
            ]
            for i, rest in enumerate([range(n_nodes)] * n_nodes)
        ]
        shape = (n_nodes, n_nodes)
        self._tree = torch.tensor(ways, dtype=torch.bool).reshape(shape)
        self._tree = self._tree.to(network.device)

    def _evaluate(self, prefix: Sequence[int]) -> Any:
        """Return the keys and values of the prompts' common beginning."""
        import torch
        from transformers import DynamicCache

        # Without the configuration no layer forgets: which keys a layer with a window
        # sees is said by the mask.
        cache = DynamicCache()
        ids = torch.tensor([list(prefix)], device=self._network.device)
        positions = torch.arange(len(prefix), device=self._network.device)[None]
        last = {"logits_to_keep": 1} if self._network.keeps_last_logits else {}
        with torch.inference_mode():
            self._network.model(
                input_ids=ids,
                position_ids=positions,
                attention_mask=self._masks(
                    torch.ones(
                        1, len(prefix), len(prefix), dtype=torch.bool, device=ids.device
                    ).tril(),
                    positions,
                    positions,
                ),
                past_key_values=cache,
                use_cache=True,
                **last,
            )
        return cache

    def score(
        self, bodies: Sequence[Sequence[int]]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield the log-probabilities of the labels, batch by batch.

        Parameters
        ----------
        bodies : sequence of sequence of int
            The tokens of each prompt's body.

        Yields
        ------
        places : ndarray of shape (n,), int
            Which bodies these are: those of like length go together, the long first.
        log_prob : ndarray of shape (n, n_labels)
            Their labels' log-probabilities in nats.
        """
        order = np.argsort([-len(body) for body in bodies], kind="stable")
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            yield places, self._score_group([bodies[place] for place in places])

    def _score_group(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities, in halves where memory is short."""
        import torch

        if len(bodies) == 1:
            advice = "Lower the teacher's `max_text_tokens`, or use fewer `examples`."
            with device_memory_named("scoring a text", advice):
                return self._score_batch(bodies)
        try:
            return self._score_batch(bodies)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        middle = len(bodies) // 2
        halves = self._score_group(bodies[:middle]), self._score_group(bodies[middle:])
        return np.concatenate(halves)

    def _score_batch(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities of bodies evaluated together."""
        import torch

        network, n_nodes = self._network, len(self._trie.node_tokens)
        width = max(map(len, bodies))
        ids = np.zeros((len(bodies), width + len(self._tail)), dtype=np.int64)
        ids[:, width:] = self._tail
        places = np.arange(ids.shape[1])
        lengths = np.array([len(body) for body in bodies])
        for row, body in enumerate(bodies):
            ids[row, width - len(body) : width] = body
        real = places >= (width - lengths)[:, None]
        positions = np.maximum(
            self._n_prefix + places - (width - lengths)[:, None], self._n_prefix
        )
        if n_nodes:
            ends = positions[:, -n_nodes - 1]
            positions[:, -n_nodes:] = ends[:, None] + self._trie.node_depths
        at, seen = self._on_device(positions), self._seen(self._on_device(real))
        before = torch.arange(self._n_prefix, device=network.device)
        keys = torch.cat([before.expand(len(bodies), -1), at], dim=1)
        last = {"logits_to_keep": n_nodes + 1} if network.keeps_last_logits else {}
        kernels = attention_of_any_shape(torch.device(network.device).type)
        with torch.inference_mode(), kernels:
            logits = network.model(
                input_ids=self._on_device(ids),
                position_ids=at,
                attention_mask=self._masks(seen, at, keys),
                past_key_values=self._shared_cache(len(bodies)),
                use_cache=True,
                **last,
            ).logits[:, -(n_nodes + 1) :]
            return self._read(logits)

    def _on_device(self, array: Any) -> Any:
        """Return an array as a tensor where the network is."""
        import torch

        return torch.from_numpy(array).to(self._network.device)

    def _seen(self, real: Any) -> Any:
        """Return which keys each query sees, of shape (n_texts, n_queries, n_keys)."""
        n_texts, n_queries = real.shape
        n_nodes = len(self._trie.node_tokens)
        own = real.new_ones(n_queries, n_queries).tril()
        if n_nodes:
            own[-n_nodes:, -n_nodes:] = self._tree
        prefix = real.new_ones(n_texts, n_queries, self._n_prefix)
        return _join(prefix, own[None] & real[:, None, :])

    def _masks(self, seen: Any, queries: Any, keys: Any) -> Any:
        """Return the masks the network's layers take, added to their scores."""
        import torch

        def added(visible: Any) -> Any:
            hidden = torch.finfo(self._network.dtype).min
            mask = torch.zeros(
                visible.shape, dtype=self._network.dtype, device=visible.device
            )
            return mask.masked_fill(~visible, hidden)[:, None]

        window = self._network.window
        if window is None or int(keys.max()) < window:
            return added(seen)  # no layer's window ends before the prompt does
        near = queries[:, :, None] - keys[:, None, :] < window
        if not self._network.layer_types:
            return added(seen & near)
        masks = {"full_attention": seen, "sliding_attention": seen & near}
        return {name: added(masks[name]) for name in self._network.layer_types}

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
        """Return the labels' log-probabilities from logits by text and place."""
        steps = self._trie.steps
        log_prob = np.zeros((len(logits), len(steps)))
        for place in range(logits.shape[1]):
            row = logits[:, place].float()
            wanted = [
                (k, t) for k, path in enumerate(steps) for p, t in path if p == place
            ]
            labels, tokens = (list(part) for part in zip(*wanted, strict=True))
            found = row[:, tokens] - row.logsumexp(dim=-1, keepdim=True)
            log_prob[:, labels] += found.double().cpu().numpy()
        return log_prob


def _join(left: Any, right: Any) -> Any:
    """Return two tensors side by side."""
    import torch

    return torch.cat([left, right], dim=-1)


def check_scoring(network: Network, name: str) -> None:
    """Raise unless a network scores prompts together as it scores them alone.

    Architectures differ in what they make of masks, positions and keys kept. A few
    tokens through both ways tell, whatever the architecture.

    Parameters
    ----------
    network : Network
        The weights.
    name : str
        The model's name, for the error.

    Raises
    ------
    ModelFileError
        If it does not.
    """
    import torch

    rng = np.random.RandomState(0)
    some = [int(i) for i in rng.choice(network.n_vocabulary, 24, replace=False)]
    prefix, suffix, bodies = some[:8], some[8:10], [some[10:13], some[13:19]]
    labels = [[some[19]], [some[20], some[21]], [some[20], some[22]], [some[23]] * 3]
    trie = LabelTrie.from_tokens(["a", "b", "c", "d"], labels, end=0)
    dtype = str(network.dtype).removeprefix("torch.")
    try:
        scorer = PromptScorer(network, prefix, suffix, trie, batch_size=2)
        together = scorer._score_batch(bodies)
        alone = np.zeros_like(together)
        for row, body in enumerate(bodies):
            for column, label in enumerate(labels):
                ids = torch.tensor([[*prefix, *body, *suffix, *label]])
                with torch.inference_mode():
                    logits = network.model(
                        input_ids=ids.to(network.device), use_cache=False
                    ).logits[0, -len(label) - 1 : -1]
                steps = logits.float().log_softmax(dim=-1).cpu().numpy()
                alone[row, column] = steps[range(len(label)), label].sum()
        apart = float(np.abs(together - alone).max())
        why = f"their log-probabilities are {apart:.2g} nats apart"
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        apart, why = np.nan, f"{type(error).__name__}: {error}"
    if not apart <= _TOLERANCE.get(dtype, _TOLERANCE_OF_HALF):
        raise ModelFileError(
            f"`model`: {name!r} ({type(network.model).__name__}, {dtype}) does not score "
            f"prompts together as it scores them alone: {why}. Use another model, "
            'or dtype="float32".'
        )
