"""Training steps and scoring passes of a network on the rows of a pool."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from skllkd._core.arrays import Float32Array, FloatArray, IntArray
from skllkd._core.device import any_shape_attention, cpu_threads
from skllkd._core.tokens import TokenizedTexts
from skllkd.students._torch.distributed import ProcessGroup
from skllkd.students._torch.dropout import LocalRandomness, use_fast_dropout
from skllkd.students._torch.encoder import (
    Classifier,
    EncoderClassifier,
    freeze_layers,
)
from skllkd.students._torch.heads import (
    Head,
    WeightedModel,
    head_kind,
    head_weights,
)
from skllkd.students._torch.inference import in_length_order
from skllkd.students._torch.objective import Objective
from skllkd.students._torch.pools import FeaturePool, Indices, Pool, TextPool
from skllkd.students._torch.precision import autocast, compute_dtype

_MAX_GRADIENT_NORM = 1.0
_WEIGHT_DECAY, _WARMUP = 0.01, 0.1
_PROBE_BATCH, _PROBE_RATE, _FEATURE_BATCH = 32, 3e-3, 64


class Settings(NamedTuple):
    """Settings of a trainer, with the defaults of a head."""

    seed: int
    randomness: LocalRandomness
    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32  # of matrix products
    n_threads: int | None = 1  # a head is too small to be shared by several
    warmup: float = _WARMUP  # share of training
    max_gradient_norm: float | None = None
    processes: ProcessGroup | None = None


class Trainer:
    """Trains a network on the rows of a pool, some at a time, with AdamW.

    `rates` pairs parameters with their highest learning rate.
    """

    def __init__(
        self,
        model: WeightedModel,
        pool: Pool,
        rates: list[tuple[list[nn.Parameter], float]],
        objective: Objective,
        settings: Settings,
    ) -> None:
        self.model, self.pool, self.objective = model, pool, objective
        self.settings, self._device = settings, settings.device
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in part if p.requires_grad], "highest": rate}
                for part, rate in rates
            ],
            weight_decay=_WEIGHT_DECAY,
            fused=self._device.type in ("cpu", "cuda"),
        )

    def _passes(self, rows: IntArray) -> Sequence[Indices]:
        """Return the indices of rows in the passes this process makes over them."""
        if self.settings.processes is None:
            return self.pool.passes(rows, self._device)
        mine = self.settings.processes.share(np.arange(len(rows)))
        if not len(mine):
            return []
        return [mine[part] for part in self.pool.passes(rows[mine], self._device)]

    def _logits(self, rows: IntArray) -> torch.Tensor:
        """Return the logits of some rows, in the model's mode."""
        attention = any_shape_attention(self._device.type)
        with autocast(self.settings.dtype, self._device), attention:
            logits: torch.Tensor = self.model(*self.pool.inputs(rows, self._device))
            return logits.float()

    def _sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum over the processes."""
        processes = self.settings.processes
        return tensor if processes is None else processes.sum(tensor)

    @torch.no_grad()
    def proba(self, rows: IntArray) -> FloatArray:
        """Return the probabilities of some rows, (n_rows, n_classes)."""
        self.model.eval()
        logits = torch.zeros(len(rows), self.model.n_classes, device=self._device)
        with cpu_threads(self.settings.n_threads):
            for indices in self._passes(rows):
                logits[indices] = self._logits(rows[indices])
            return self.objective.proba(self._sum(logits))

    def step(
        self, rows: IntArray, target: FloatArray, weight: FloatArray, progress: float
    ) -> float:
        """Take one step of gradient descent, and return the mean of weight times loss.

        Of several classes a text it is the sum over them. `progress`, in (0, 1], is how
        much of training is done.
        """
        self._set_learning_rates(progress)
        targets = torch.as_tensor(target, dtype=torch.float32, device=self._device)
        weights = torch.as_tensor(weight, dtype=torch.float32, device=self._device)
        total = torch.zeros((), device=self._device)
        self.model.train()
        self._optimizer.zero_grad(set_to_none=True)
        with cpu_threads(self.settings.n_threads):
            for indices in self._passes(rows):  # the gradient is the sum over passes
                with self.settings.randomness():
                    logits = self._logits(rows[indices])
                losses = self.objective.losses(logits, targets[indices])
                loss = (weights[indices] * losses).sum() / len(rows)
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
            self._update()
        return float(self._sum(total))

    def _set_learning_rates(self, progress: float) -> None:
        """Let the rates rise from 0, and fall back to it in a straight line."""
        warmup = self.settings.warmup
        rise = min(progress / warmup, 1.0) if warmup > 0 else 1.0
        for group in self._optimizer.param_groups:
            group["lr"] = group["highest"] * (rise * (1 - progress))

    def _update(self) -> None:
        """Change the weights by the gradients."""
        learning = [p for p in self.model.parameters() if p.requires_grad]
        if self.settings.processes is not None:
            self.settings.processes.sum_gradients(learning)
        if self.settings.max_gradient_norm is not None:
            nn.utils.clip_grad_norm_(learning, self.settings.max_gradient_norm)
        self._optimizer.step()


class FineTuning(Protocol):
    """The parameters of `TransformerStudent` that say how to train, checked."""

    learning_rate: float
    head_learning_rate: float
    trainable_layers: str | int
    precision: str
    n_threads: int | None


def encoder_trainer(
    model: Classifier,
    texts: TokenizedTexts,
    device: torch.device,
    seed: int,
    recipe: FineTuning,
    objective: Objective,
) -> Trainer:
    """Return a trainer of an encoder and its head."""
    processes = ProcessGroup()
    device = processes.device(device)
    model = model.to(device)
    use_fast_dropout(model)
    freeze_layers(model, recipe.trainable_layers)
    settings = Settings(
        seed,
        LocalRandomness(seed + processes.rank, device),
        device,
        compute_dtype(recipe.precision, device),
        recipe.n_threads,
        max_gradient_norm=_MAX_GRADIENT_NORM,
        processes=processes,
    )
    rates = [
        (list(model.encoder.parameters()), recipe.learning_rate),
        (model.head_parameters(), recipe.head_learning_rate),
    ]
    return Trainer(model, TextPool(texts), rates, objective, settings)


def head_trainer(
    features: Float32Array,
    n_classes: int,
    head: str,
    seed: int,
    learning_rate: float,
    dropout: float,
    objective: Objective,
    warmup: float = _WARMUP,
) -> Trainer:
    """Return a trainer of a head alone, on the CPU."""
    pool = FeaturePool(features)
    randomness = LocalRandomness(seed, torch.device("cpu"))
    with randomness():
        model = Head(pool.mean, pool.scale, n_classes, head, dropout)
    rates = [(list(model.parameters()), learning_rate)]
    settings = Settings(seed, randomness, warmup=warmup)
    return Trainer(model, pool, rates, objective, settings)


def linear_probe(
    trainer: Trainer,
    rows: IntArray,
    target: FloatArray,
    weight: FloatArray,
    n_epochs: int,
) -> None:
    """Train a classifier's head on the features of its encoder as it stands."""
    model, pool, settings = trainer.model, trainer.pool, trainer.settings
    assert isinstance(model, EncoderClassifier) and isinstance(pool, TextPool)
    model.eval()
    features = in_length_order(
        model.features, pool.texts, rows, _FEATURE_BATCH, settings.device
    )
    own = head_weights(model.weights())
    head = head_trainer(
        features,
        model.n_classes,
        head_kind(own),
        settings.seed,
        _PROBE_RATE,
        model.dropout.p,
        trainer.objective,
        warmup=0.0,
    )
    head.model.set_weights(own)
    rng = np.random.RandomState(settings.seed)
    starts = range(0, len(rows), _PROBE_BATCH)
    for epoch in range(n_epochs):
        order = rng.permutation(len(rows))
        for i, start in enumerate(starts):
            some = order[start : start + _PROBE_BATCH]
            progress = (epoch + (i + 0.5) / len(starts)) / n_epochs
            head.step(some, target[some], weight[some], progress)
    model.set_weights(head.model.weights(), strict=False)


def release_memory() -> None:
    """Give freed memory back to the operating system, where the C library is glibc.

    It keeps freed blocks of a model's size for later, in pieces that the next model
    does not quite fit into: a search over many fits then holds a third more than one.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
