"""The labelled pools the benchmarks run on, from a folder of JSON Lines files.

The folder is named by `--data` or the environment variable SKLLKD_DATA. Each set in it is
a folder with `llm.jsonl`: {"text", "label" (gold), "llm_label", "llm_confidence",
"llm_logprobs" (optional), "split"}.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skllkd._core.arrays import normalise
from skllkd.teachers.calibration import pool_bias

#: The labels of the package's own teacher, which `own_labels` makes.
LABELS = Path(__file__).parent / "labels"
FLOOR = 1e-6  # of a class that was not among the answers the model gave


class Pool(NamedTuple):
    """Texts with gold labels and a real language model's distributions."""

    texts: list[str]
    gold: np.ndarray
    teacher_proba: np.ndarray  # columns as `classes`
    classes: list[str]


def add_data_option(parser, *, required=True):
    """Add `--data` to a parser."""
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("SKLLKD_DATA"),
        required=required and "SKLLKD_DATA" not in os.environ,
        help="folder of the data sets (SKLLKD_DATA by default)",
    )


def load_pool(folder: Path, split: str, most: int | None = None, seed: int = 0) -> Pool:
    """Return one split of a data set, or a random part of it."""
    with (folder / "llm.jsonl").open(encoding="utf-8") as file:
        every = [json.loads(line) for line in file]
    classes = sorted({row["label"] for row in every if "label" in row})
    rows = [
        row for row in every if row["split"] == split and row["llm_label"] in classes
    ]
    if most is not None and len(rows) > most:
        chosen = np.random.RandomState(seed).permutation(len(rows))[:most]
        rows = [rows[i] for i in chosen]
    return Pool(
        [row["text"] for row in rows],
        np.array([row["label"] for row in rows]),
        np.array([_distribution(row, classes) for row in rows]),
        classes,
    )


def _distribution(row: dict, classes: list[str]) -> np.ndarray:
    """Return a row's distribution: log-probabilities, or a label with a confidence."""
    given = row.get("llm_logprobs")
    if given:
        known = {
            name: np.exp(value) for name, value in given.items() if value is not None
        }
        proba = np.array([max(known.get(name, 0.0), FLOOR) for name in classes])
        return proba / proba.sum()
    sure = max(row["llm_confidence"], 1 / len(classes) + 1e-6)
    proba = np.full(len(classes), (1 - sure) / (len(classes) - 1))
    proba[classes.index(row["llm_label"])] = sure
    return proba


def gold_as_teacher(folder: Path, split: str, most: int, seed: int = 0) -> Pool:
    """Return a part of a set that has gold labels only, as a teacher would give them.

    The confidences are random: for timings, where only the work matters.
    """
    with (folder / f"{split}.jsonl").open(encoding="utf-8") as file:
        every = [json.loads(line) for line in file]
    rng = np.random.RandomState(seed)
    rows = [every[i] for i in rng.permutation(len(every))[:most]]
    gold = np.array([row["label"] for row in rows])
    classes, place = np.unique(gold, return_inverse=True)
    sure = rng.uniform(0.5, 1, len(rows))[:, None]
    others = (1 - sure) / (len(classes) - 1)
    proba = np.where(np.eye(len(classes), dtype=bool)[place], sure, others)
    return Pool([row["text"] for row in rows], gold, proba, classes.tolist())


def own_labels_pool(folder: Path) -> Pool:
    """Return what the package's own teacher labelled of a set, batch-calibrated."""
    with (folder / "train.jsonl").open(encoding="utf-8") as file:
        every = [json.loads(line) for line in file]
    kept = np.load(LABELS / f"{folder.name}.npz")
    log_prob = kept["log_prob"].astype(np.float64)
    rows = [every[i] for i in kept["row"]]
    return Pool(
        [row["text"] for row in rows],
        np.array([row["label"] for row in rows]),
        normalise(log_prob, pool_bias(log_prob, None)),
        [str(name) for name in kept["classes"]],
    )


def labelled_pool(folder: Path) -> Pool:
    """Return the texts of a train split that a language model labelled."""
    if (folder / "llm.jsonl").exists():
        return load_pool(folder, "train")
    return own_labels_pool(folder)


def gold_texts(folder: Path, split: str, most: int) -> tuple[list[str], np.ndarray]:
    """Return the texts and gold labels of a split, or a random part of it."""
    with (folder / f"{split}.jsonl").open(encoding="utf-8") as file:
        every = [json.loads(line) for line in file]
    order = np.random.RandomState(0).permutation(len(every))[:most]
    return [every[i]["text"] for i in order], np.array(
        [every[i]["label"] for i in order]
    )


def noisy(pool: Pool, accuracy: float, seed: int) -> Pool:
    """Return a pool whose teacher is right as often as wanted, and errs as it really does.

    A row is right with probability `accuracy`. A wrong one is drawn from what the real
    teacher says of its gold class when it errs, and each has the confidence of a real
    answer that was as right.
    """
    rng = np.random.RandomState(seed)
    n_classes = len(pool.classes)
    place = {name: k for k, name in enumerate(pool.classes)}
    gold = np.array([place[name] for name in pool.gold])
    said, sure = pool.teacher_proba.argmax(axis=1), pool.teacher_proba.max(axis=1)
    confusion = np.full((n_classes, n_classes), 0.1)
    np.add.at(confusion, (gold, said), 1)
    np.fill_diagonal(confusion, 0)
    wrong = np.array(
        [rng.choice(n_classes, p=row / row.sum()) for row in confusion[gold]]
    )
    is_right = rng.uniform(size=len(gold)) < accuracy
    label = np.where(is_right, gold, wrong)
    real = said == gold
    confidence = np.where(
        is_right,
        rng.choice(sure[real], len(gold)),
        rng.choice(sure[~real], len(gold)),
    )[:, None]
    others = (1 - confidence) / (n_classes - 1)
    proba = np.where(np.eye(n_classes, dtype=bool)[label], confidence, others)
    return pool._replace(teacher_proba=proba)
