"""A part of `benchmarks.gpu`: what a training step of MiniLM costs, in torch alone.

Nothing of the package is used: what a way of computing brings here is what it can bring
there at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from skllkd.datasets import minilm_path
from torch import nn
from torch.nn import functional
from transformers import AutoModel

from benchmarks.gpu_parts import N_CLASSES, Setting, synchronize

LENGTH = 32  # tokens, of which a quarter is padding


class Step:
    """A training step: forward, backward, gradients clipped, fused AdamW."""

    def __init__(self, device: str, precision: str) -> None:
        torch.manual_seed(0)
        self.device, self.precision = device, precision
        encoder = AutoModel.from_pretrained(minilm_path(), attn_implementation="sdpa")
        head = nn.Linear(encoder.config.hidden_size, N_CLASSES)
        encoder.get_input_embeddings().requires_grad_(False)
        self.encoder, self.head = encoder.to(device).train(), head.to(device)
        learning = [*encoder.parameters(), *head.parameters()]
        self.learning = [p for p in learning if p.requires_grad]
        on_card = device != "cpu"
        self.optimizer = torch.optim.AdamW(
            self.learning, lr=1e-5, fused=True, capturable=on_card
        )
        self.forward: Callable[..., Any] = encoder

    def _autocast(self) -> Any:
        """Return the context the forward pass runs in."""
        if self.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16, cache_enabled=False)

    def __call__(self, ids: Any, mask: Any, label: Any) -> Any:
        """Take a step and return its loss."""
        with self._autocast():
            hidden = self.forward(input_ids=ids, attention_mask=mask).last_hidden_state
            logits = self.head(hidden.mean(dim=1))
        loss = functional.cross_entropy(logits.float(), label)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learning, 1.0)
        self.optimizer.step()
        return loss.detach()


class Batches:
    """Batches of random tokens, brought to the card in one way or another."""

    def __init__(self, device: str, n_rows: int, mask: str, copies: str) -> None:
        rng = np.random.RandomState(0)
        ids = rng.randint(5, 500, size=(n_rows, LENGTH))
        lengths = rng.randint(LENGTH // 2, LENGTH + 1, size=n_rows)
        real = np.arange(LENGTH) < lengths[:, None]
        real[0] = True
        given = {"2-D": real.astype(np.int64), "4-D": real[:, None, None, :]}.get(mask)
        self.device, self.copies = device, copies
        arrays = [ids, given, rng.randint(N_CLASSES, size=n_rows)]
        self.host = [None if a is None else torch.from_numpy(a.copy()) for a in arrays]
        self.there = [None if t is None else t.to(device) for t in self.host]

    def __call__(self) -> list[Any]:
        """Return a batch on the card."""
        if self.copies == "none":
            return self.there
        if self.copies == "pageable":
            return [None if t is None else t.to(self.device) for t in self.host]
        return [
            None if t is None else t.pin_memory().to(self.device, non_blocking=True)
            for t in self.host
        ]


def seconds_a_step(step: Any, batches: Batches, n_steps: int, wait: bool) -> float:
    """Return the seconds a step takes, waiting for each one's loss or not."""
    for _ in range(max(2, n_steps // 8)):
        step(*batches())
    synchronize()
    begin = time.perf_counter()
    for _ in range(n_steps):
        loss = step(*batches())
        if wait:
            float(loss)
    synchronize()
    return (time.perf_counter() - begin) / n_steps


def graphed(step: Step, batch: list[Any]) -> Any:
    """Return a step recorded as a CUDA graph, for batches of one shape."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(*batch)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    step.optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        loss = step(*batch)

    def replay(*given: Any) -> Any:
        for place, new in zip(batch, given, strict=True):
            if place is not None and place is not new:
                place.copy_(new)
        graph.replay()
        return loss

    return replay


#: What differs from the first: precision, mask, copies, waiting.
USUAL = {"precision": "bfloat16", "mask": "2-D", "copies": "pageable", "wait": True}
WAYS: dict[str, dict[str, Any]] = {
    "bfloat16, as the package does it": {},
    "float32": {"precision": "float32"},
    "TF32": {"precision": "tf32"},
    "4-D mask, which nobody looks into": {"mask": "4-D"},
    "no mask": {"mask": "none"},
    "pinned copies": {"copies": "pinned"},
    "no copies": {"copies": "none"},
    "no waiting for the loss": {"wait": False},
    "4-D mask, pinned copies, no waiting": {
        "mask": "4-D",
        "copies": "pinned",
        "wait": False,
    },
    "no mask, no waiting": {"mask": "none", "wait": False},
    "CUDA graph, no mask, no waiting": {"mask": "none", "wait": False, "graph": True},
    "CUDA graph, 4-D mask, no waiting": {"mask": "4-D", "wait": False, "graph": True},
}


def steps(setting: Setting) -> None:
    """Time steps in many ways and sizes."""
    for n_rows in [4] if setting.is_dry else [32, 512]:
        base = None
        for name, differs in WAYS.items():
            needs_card = "graph" in differs or differs.get("copies") == "pinned"
            if needs_card and setting.device == "cpu":
                continue
            if n_rows > 32 and not {"precision", "graph"} & differs.keys() and base:
                continue  # what saves calls matters where the card waits for them
            try:
                seconds = _seconds(setting, n_rows, **USUAL | differs)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"[:300]
                setting.record(f"{name}, {n_rows} rows", error=said)
                continue
            base = base or seconds
            setting.record(
                f"{name}, {n_rows} rows",
                ms=1000 * seconds,
                texts_per_s=n_rows / seconds,
                ratio=base / seconds,
            )


def _seconds(
    setting: Setting,
    n_rows: int,
    *,
    precision: str,
    mask: str,
    copies: str,
    wait: bool,
    graph: bool = False,
) -> float:
    """Return the seconds of a step, done in one way."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        step: Any = Step(setting.device, precision)
        batches = Batches(setting.device, n_rows, mask, copies)
        if graph:
            step = graphed(step, list(batches.there))
        n_steps = 2 if setting.is_dry else 30
        return seconds_a_step(step, batches, n_steps, wait)
    finally:
        torch.set_float32_matmul_precision(before)
