"""A part of `benchmarks.gpu`: the quality of students trained in larger batches.

A step of 32 short texts leaves a card idle, and so do several processes that take such
steps at once: they share the card, since only the scores matter here and not the times.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import f1_score
from skllkd.selection import SelectAll

from benchmarks.data import Pool, gold_as_teacher, gold_texts, labelled_pool
from benchmarks.gpu_parts import Setting, classifier

SETS = ("isear_llm", "rtpolarity_llm", "agnews", "trec6")
N_SEEDS, N_TEXTS, N_PROCESSES = 5, 2000, 14


class Way(NamedTuple):
    """A way of training: rows a step, and learning rates relative to the defaults."""

    batch_size: int
    rate: float
    selection: Any = None  # None for the default

    def __str__(self) -> str:
        rows = "default selection" if self.selection is None else "all texts"
        return f"{rows}, batches of {self.batch_size}, {self.rate:g} times the rates"


#: Those of a selection after one another, the one compared with first.
WAYS = [
    *(Way(32, 1), Way(64, 1.4), Way(128, 1), Way(128, 2)),
    *(Way(256, 2), Way(256, 3), Way(512, 4)),
    *(Way(32, 1, SelectAll()), Way(128, 2, SelectAll()), Way(256, 3, SelectAll())),
]
#: Larger pools by set, with their number of texts and the ways to train on them.
LARGE = {
    "rtpolarity_llm": (7000, [Way(32, 1), Way(64, 1.4), Way(128, 2)]),
    "babe_llm": (16000, [Way(32, 1), Way(128, 2), Way(256, 2.8)]),
    "emotion": (16000, [Way(32, 1), Way(128, 2), Way(256, 2.8)]),
}


class Cell(NamedTuple):
    """A student that is trained and scored."""

    name: str
    n_texts: int
    seed: int
    way: Way


def quality(setting: Setting) -> None:
    """Train on pools of 2,000 texts in several ways; score on the gold labels of dev."""
    n_texts = setting.size("train") if setting.is_dry else N_TEXTS
    _run(setting, dict.fromkeys(SETS, (n_texts, WAYS)))


def quality_large(setting: Setting) -> None:
    """Train on larger pools, where larger batches leave as many steps."""
    if setting.is_dry:
        n_texts = setting.size("train")
        _run(setting, {name: (n_texts, ways) for name, (_, ways) in LARGE.items()})
    else:
        _run(setting, LARGE)


def _run(setting: Setting, pools: dict[str, tuple[int, list[Way]]]) -> None:
    """Train and score on each pool in each way; compare with the pool's first way."""
    if setting.data is None:
        setting.record("quality", why="no data folder was given")
        return
    cells = [
        Cell(name, n_texts, seed, way)
        for seed in range(1 if setting.is_dry else N_SEEDS)
        for name, (n_texts, ways) in setting.some(list(pools.items()))
        for way in setting.some(ways)
    ]
    n_processes = 1 if setting.is_dry else min(N_PROCESSES, os.cpu_count() or 1)
    run = Parallel(n_processes, return_as="generator_unordered", batch_size=1)
    scores: dict[str, dict[int, float]] = {}
    for cell, found in run(delayed(_score)(setting, cell) for cell in cells):
        setting.record(f"{cell.name}, seed {cell.seed}, {cell.way}", **found)
        scores.setdefault(f"{cell.name}, {cell.way}", {})[cell.seed] = found["macro_f1"]
    _compare(setting, pools, scores)


def _score(setting: Setting, cell: Cell) -> tuple[Cell, dict[str, float]]:
    """Train in one way on a random part of one set, and score it."""
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    assert setting.data is not None
    pool = _pool(setting.data / cell.name, cell.n_texts)
    rows = np.random.RandomState(cell.seed).permutation(len(pool.texts))[: cell.n_texts]
    texts, gold = gold_texts(setting.data / cell.name, "dev", 2000)
    fitted = classifier(
        setting, n_epochs=3, random_state=cell.seed, on_missing_class="warn"
    ).set_params(
        classes=pool.classes,
        batch_size=cell.way.batch_size,
        selection=cell.way.selection,
    )
    for rate in ("learning_rate", "head_learning_rate"):
        own = fitted.get_params()[f"student__{rate}"]
        fitted.set_params(**{f"student__{rate}": own * cell.way.rate})
    fitted.fit([pool.texts[i] for i in rows], teacher_proba=pool.teacher_proba[rows])
    predicted = fitted.predict(texts)
    return cell, {
        "accuracy": float(np.mean(predicted == gold)),
        "macro_f1": float(f1_score(gold, predicted, average="macro")),
        "training_s": fitted.seconds_["training"],
    }


def _pool(folder: Path, n_texts: int) -> Pool:
    """Return a set's labels by a language model, or gold ones where these are too few."""
    if folder.name == "babe_llm":
        return _labels_alone(folder)
    if folder.name == "emotion":
        return gold_as_teacher(folder, "train", n_texts)
    return labelled_pool(folder)


def _labels_alone(folder: Path) -> Pool:
    """Return the texts of babe_llm that have a label without a confidence."""
    with (folder / "llm_pool.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    classes, place = np.unique([row["llm_label"] for row in rows], return_inverse=True)
    gold = np.full(len(rows), "")  # not known
    return Pool(
        [row["text"] for row in rows],
        gold,
        np.eye(len(classes))[place],
        classes.tolist(),
    )


def _compare(
    setting: Setting,
    pools: dict[str, tuple[int, list[Way]]],
    scores: dict[str, dict[int, float]],
) -> None:
    """Record the paired differences from the first way of the same selection."""
    for name, (_, ways) in pools.items():
        for way in ways:
            first = next(
                w for w in ways if (w.selection is None) == (way.selection is None)
            )
            known = scores.get(f"{name}, {first}", {})
            other = scores.get(f"{name}, {way}", {})
            both = sorted(known.keys() & other.keys())
            if way is first or len(both) < 2:
                continue
            gained = np.array([other[seed] - known[seed] for seed in both])
            setting.record(
                f"{name}: macro-F1 gained by {way}",
                mean=float(gained.mean()),
                standard_error=float(gained.std(ddof=1) / np.sqrt(len(both))),
            )
