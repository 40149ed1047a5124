"""How well prompts can be chosen without gold labels: SmolLM2 on seven sets.

    SKLLKD_DATA=folder python -m benchmarks.prompt_choice

Of each set 200 texts of the train split are labelled with ten prompts, and each prompt is
scored by `teacher.compare`, which sees no gold label. Reported is how a score ranks the
prompts (Kendall's tau with the accuracy of the calibrated labels) and the accuracy lost by
choosing the prompt with the highest score. Two of the prompts show examples proposed from
the answers to others (texts that are shown as examples take no part in the accuracy). The
embedding teacher, which has no prompt, stands beside them, alone and in an ensemble with
the prompt that `compare` puts first. Answers are stored: a run that was stopped goes on.
Some 5 minutes a set on one core.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau
from sklearn.base import clone
from skllkd.datasets import minilm_path, smollm2_path
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import EmbeddingTeacher, EnsembleTeacher, TransformersTeacher

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.data import add_data_option
from benchmarks.prompt_variants import WORDINGS, prompts_of
from benchmarks.tables import interval

N_TEXTS = 200
SCORES = ["class_names", "predictability", "confidence", "label_mass"]
RANKED = ["mean_rank", *SCORES]
COSTS = ["tokens_per_call", "seconds_per_call"]


def sample_of(folder: Path) -> tuple[list[str], np.ndarray]:
    """Return texts of a set's train split, and their gold labels."""
    with (folder / "train.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    chosen = np.random.RandomState(15).permutation(len(rows))[:N_TEXTS]
    return [rows[i]["text"] for i in chosen], np.array(
        [rows[i]["label"] for i in chosen]
    )


def accuracy(labels, texts, gold, without=()) -> float:
    """Return how often the calibrated labels are right, classes in sorted order."""
    kept = [text not in without for text in texts]
    names = np.unique(gold)
    right = names[labels.proba.argmax(axis=1)] == gold
    return round(float(np.mean(right[kept])), 4)


def all_prompts(name, teacher, texts, classes, embed):
    """Return a set's prompts, two of them with examples proposed from others' answers."""
    prompts = prompts_of(name, classes)
    for source in ("plain", "examples"):
        labels = clone(teacher).set_params(**prompts[source]).label(texts, classes)
        examples = labels.propose_examples(texts, embed=embed)
        prompts[f"proposed from {source!r}"] = {"examples": examples}
    return prompts


def one_set(name, folder, store):
    """Return the accuracy and the scores of each prompt of a set."""
    texts, gold = sample_of(folder)
    classes = np.unique(gold).tolist()
    teacher = TransformersTeacher(
        smollm2_path(), store=store, device="cpu", max_text_tokens=160
    )
    embed = FrozenEncoderStudent(minilm_path(), device="cpu").embed
    prompts = all_prompts(name, teacher, texts, classes, embed)
    comparison = teacher.compare(prompts, texts, classes, embed=embed)
    shown = {text for p in prompts.values() for text, _ in p.get("examples", ())}
    names = EmbeddingTeacher(minilm_path(), device="cpu")
    described = prompts["described"]["classes"]
    best = comparison.best
    both = EnsembleTeacher([names, clone(teacher).set_params(**best.params)])
    return {
        "prompts": {
            score.name: {
                "accuracy": accuracy(score.labels, texts, gold, shown),
                **{name: round(getattr(score, name), 4) for name in [*RANKED, *COSTS]},
            }
            for score in sorted(comparison, key=lambda score: score.name)
        },
        "class names": accuracy(names.label(texts, classes), texts, gold, shown),
        "described classes": accuracy(
            names.label(texts, described), texts, gold, shown
        ),
        "first prompt": accuracy(best.labels, texts, gold, shown),
        "ensemble": accuracy(both.label(texts, best.classes), texts, gold, shown),
    }


def ranking(cell, column):
    """Return Kendall's tau of a score with accuracy, and what choosing by it costs."""
    rows = list(cell["prompts"].values())
    right = np.array([row["accuracy"] for row in rows])
    score = np.array([row[column] for row in rows])
    score = -score if column == "mean_rank" else score
    tau = kendalltau(right, score).statistic
    return float(tau), float(right.max() - right[score.argmax()])


def print_tables(cells):
    """Print the accuracy of each prompt, and how each score ranks them."""
    names = list(next(iter(cells.values()))["prompts"])
    print("| prompt |", *(f"{name} |" for name in cells), "mean |")
    for prompt in names:
        right = [cell["prompts"][prompt]["accuracy"] for cell in cells.values()]
        row = " | ".join(f"{value:.2f}" for value in [*right, np.mean(right)])
        print(f"| {prompt} | {row} |")
    for other in ("class names", "described classes", "first prompt", "ensemble"):
        right = [cell[other] for cell in cells.values()]
        row = " | ".join(f"{value:.2f}" for value in [*right, np.mean(right)])
        print(f"| {other} | {row} |")
    for column in RANKED:
        taus, lost = zip(
            *(ranking(cell, column) for cell in cells.values()), strict=True
        )
        shown = " | ".join(f"{t:.2f}, {x:.3f}" for t, x in zip(taus, lost, strict=True))
        tau, loss = interval(taus), interval(lost)
        print(
            f"| {column} | {shown} | {tau[0]:.2f} +/- {tau[1]:.2f}, "
            f"{loss[0]:.3f} +/- {loss[1]:.3f} |"
        )
    spread = [
        max(rows) - np.mean(rows)
        for cell in cells.values()
        for rows in [[row["accuracy"] for row in cell["prompts"].values()]]
    ]
    print("a prompt at random loses", " | ".join(f"{value:.3f}" for value in spread))
    print(f"on average {np.mean(spread):.3f}")


def main():
    """Label and score the sets, print tables, and write the figures."""
    parser = benchmark_parser(__doc__, "prompt_choice")
    add_data_option(parser)
    parser.add_argument("--sets", nargs="*", default=sorted(WORDINGS))
    parser.add_argument("--store", default=None, help="the label store's file")
    options = parser.parse_args()
    head = about("prompt_choice", "scikit-learn", "transformers", n_texts=N_TEXTS)
    with Cells(options.output, head) as cells:
        for name in options.sets:
            folder = Path(options.data) / name
            cells.run(name, one_set, name, folder, options.store)
        print_tables(cells)


if __name__ == "__main__":
    main()
