"""How well prompts can be chosen without gold labels: SmolLM2, seven sets.

    SKLLKD_DATA=folder python -m benchmarks.prompt_choice

Of each set 200 texts of the train split are drawn, labelled with ten prompts, and each
prompt is scored by what is seen without gold labels. Reported is how the scores rank the
prompts (Kendall's tau with the accuracy of the calibrated labels against gold) and what
choosing by a score costs against the best prompt. Two of the prompts show examples
proposed from the answers to others. Answers are stored: a run that was stopped goes on.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

N_TEXTS = 200


def sample_of(folder: Path) -> tuple[list[str], np.ndarray]:
    """Return texts of a set's train split, and their gold labels."""
    with (folder / "train.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    chosen = np.random.RandomState(15).permutation(len(rows))[:N_TEXTS]
    return [rows[i]["text"] for i in chosen], np.array(
        [rows[i]["label"] for i in chosen]
    )


def with_proposed(prompts, label, texts, features):
    """Add prompts with examples proposed from the answers to two of the others."""
    for source in ("plain", "examples"):
        proposed = label(prompts[source]).propose_examples(texts, features=features)
        prompts[f"proposed from {source!r}"] = {"examples": proposed}
    return prompts
