"""A part of `benchmarks.gpu`: the quality of students trained in larger batches.

A step of 32 short texts leaves a card idle, and so do several processes that take such
steps at once: they share the card, since only the scores matter here and not the times.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import f1_score
from skllkd.selection import SelectAll

from benchmarks.data import gold_texts, labelled_pool
from benchmarks.gpu_parts import Setting, classifier

SETS = ("isear_llm", "rtpolarity_llm", "agnews", "trec6")
N_SEEDS, N_TEXTS, N_PROCESSES = 5, 2000, 14


class Way(NamedTuple):
    """A way of training: rows a step, and learning rates relative to the defaults."""

    batch_size: int
    rate: float
    selection: Any = None  # None for the default


WAYS = {
    f"{name}, batches of {way.batch_size}, {way.rate:g} times the rates": way
    for name, way in [
        ("default selection", Way(32, 1)),
        ("default selection", Way(64, 1.4)),
        ("default selection", Way(128, 1)),
        ("default selection", Way(128, 2)),
        ("default selection", Way(256, 2)),
        ("default selection", Way(256, 3)),
        ("default selection", Way(512, 4)),
        ("all texts", Way(32, 1, SelectAll())),
        ("all texts", Way(128, 2, SelectAll())),
        ("all texts", Way(256, 3, SelectAll())),
    ]
}


def quality(setting: Setting) -> None:
    """Train on real labels in several ways, and score on the gold labels of dev."""
    if setting.data is None:
        setting.record("quality", why="no data folder was given")
        return
    cells = [
        (name, seed, way)
        for seed in range(1 if setting.is_dry else N_SEEDS)
        for way in setting.some(list(WAYS))  # the slow ones first
        for name in setting.some(list(SETS))
    ]
    n_processes = 1 if setting.is_dry else min(N_PROCESSES, os.cpu_count() or 1)
    run = Parallel(n_processes, return_as="generator_unordered", batch_size=1)
    scores: dict[tuple[str, str], dict[int, float]] = {}
    for (name, seed, way), found in run(delayed(_score)(setting, *c) for c in cells):
        setting.record(f"{name}, seed {seed}, {way}", **found)
        scores.setdefault((name, way), {})[seed] = found["macro_f1"]
    for selection in ("default selection", "all texts"):
        _compare(setting, selection, scores)


def _score(
    setting: Setting, name: str, seed: int, way: str
) -> tuple[tuple[str, int, str], dict[str, float]]:
    """Train in one way on a random part of one set, and score it."""
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    assert setting.data is not None
    pool, chosen = labelled_pool(setting.data / name), WAYS[way]
    n_texts = setting.size("train") if setting.is_dry else N_TEXTS
    rows = np.random.RandomState(seed).permutation(len(pool.texts))[:n_texts]
    texts, gold = gold_texts(setting.data / name, "dev", n_texts)
    fitted = classifier(
        setting, n_epochs=3, random_state=seed, on_missing_class="warn"
    ).set_params(
        classes=pool.classes, batch_size=chosen.batch_size, selection=chosen.selection
    )
    for rate in ("learning_rate", "head_learning_rate"):
        own = fitted.get_params()[f"student__{rate}"]
        fitted.set_params(**{f"student__{rate}": own * chosen.rate})
    fitted.fit([pool.texts[i] for i in rows], teacher_proba=pool.teacher_proba[rows])
    predicted = fitted.predict(texts)
    return (name, seed, way), {
        "accuracy": float(np.mean(predicted == gold)),
        "macro_f1": float(f1_score(gold, predicted, average="macro")),
        "training_s": fitted.seconds_["training"],
    }


def _compare(
    setting: Setting, selection: str, scores: dict[tuple[str, str], dict[int, float]]
) -> None:
    """Record the paired differences from batches of 32, over seeds and sets."""
    ways = [way for way in WAYS if way.startswith(selection)]
    base = ways[0]
    for way in ways[1:]:
        means, errors = {}, {}
        for name in SETS:
            known, other = scores.get((name, base), {}), scores.get((name, way), {})
            both = sorted(known.keys() & other.keys())
            if len(both) > 1:
                gained = np.array([other[seed] - known[seed] for seed in both])
                means[name] = float(gained.mean())
                errors[name] = float(gained.std(ddof=1) / np.sqrt(len(both)))
        if means:
            setting.record(
                f"macro-F1 gained by {way}",
                mean=float(np.mean(list(means.values()))),
                per_set=means,
                standard_errors=errors,
            )
