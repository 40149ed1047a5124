"""What pooling, head, linear probe and loss do for the student's macro-F1.

    python -m benchmarks.student_head --data FOLDER

All-MiniLM-L6-v2 on 1,500 texts with a real language model's labels, 3 epochs, on the CPU;
macro-F1 against gold on the dev split. Every variant differs in one thing from the default
student with the same selection; differences are paired over seeds (pool, weights, order),
with 95 % intervals of Student's t. Resumable: cells that the output file holds are not run
again.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import f1_score
from skllkd import LLKDClassifier
from skllkd.cli.demo import demo_student
from skllkd.selection import LLKDSelection, RankedImportance, SelectAll
from skllkd.students import (
    CandidateSet,
    CrossEntropy,
    FrozenEncoderStudent,
    GeneralizedCrossEntropy,
    TransformerStudent,
)

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.data import add_data_option, load_pool
from benchmarks.tables import difference

SETS = ["isear_llm", "rtpolarity_llm"]
N_TEXTS, N_DEV, N_EPOCHS = 1500, 600, 3


def variant(selection, n_epochs=N_EPOCHS, kind=TransformerStudent, **student):
    """Return a classifier that differs from the default in what is given."""
    return LLKDClassifier(
        refine=None,
        selection=selection,
        student=kind(demo_student().model, device="cpu", **student),
        n_epochs=n_epochs,
        on_missing_class="warn",
        verbose=0,
    )


LLKD, ALL, RANKED = LLKDSelection(), SelectAll(), RankedImportance()
VARIANTS = {  # name: (classifier, what it is compared with)
    "LLKD": (variant(LLKD), None),
    "LLKD, head start 1": (variant(LLKD, linear_probe_epochs=1), "LLKD"),
    "LLKD, head start 5": (variant(LLKD, linear_probe_epochs=5), "LLKD"),
    "LLKD, attention": (variant(LLKD, pooling="attention"), "LLKD"),
    "LLKD, hidden layer": (variant(LLKD, head="hidden"), "LLKD"),
    "LLKD, generalised": (variant(LLKD, loss=GeneralizedCrossEntropy()), "LLKD"),
    "LLKD, smoothed": (variant(LLKD, loss=CrossEntropy(0.1)), "LLKD"),
    "LLKD, soft": (variant(LLKDSelection(target="soft")), "LLKD"),
    "LLKD, candidate sets": (
        variant(LLKDSelection(target="soft"), loss=CandidateSet()),
        "LLKD",
    ),
    "LLKD, frozen, 20 epochs": (
        variant(LLKD, n_epochs=20, kind=FrozenEncoderStudent),
        "LLKD",
    ),
    "default": (variant(RANKED), None),
    "default, head start 5": (variant(RANKED, linear_probe_epochs=5), "default"),
    "all": (variant(ALL), None),
    "all, head start 5": (variant(ALL, linear_probe_epochs=5), "all"),
    "all, generalised": (variant(ALL, loss=GeneralizedCrossEntropy()), "all"),
    "all, frozen, 20 epochs": (
        variant(ALL, n_epochs=20, kind=FrozenEncoderStudent),
        "all",
    ),
}


def one_cell(folder, name, seed, n_texts):
    """Return what a variant reaches on a set with a seed, and what it takes."""
    pool = load_pool(folder, "train", n_texts, seed)
    dev = load_pool(folder, "dev", N_DEV)
    classifier = clone(VARIANTS[name][0]).set_params(
        classes=pool.classes, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(pool.texts, teacher_proba=pool.teacher_proba)
    predicted = classifier.predict(dev.texts)
    history = classifier.history_
    first = history["epoch"] == 0
    return {
        "macro_f1": float(f1_score(dev.gold, predicted, average="macro")),
        "seconds": classifier.seconds_["training"],
        "selected": float(history["n_selected"].sum() / history["n_presented"].sum()),
        "selected_in_the_first_epoch": float(
            history["n_selected"][first].sum() / history["n_presented"][first].sum()
        ),
    }


def show(cells, seeds):
    """Print a line for each variant all seeds of which were run."""
    for folder in SETS:
        print(f"{folder}: macro-F1, paired difference +/- 95 %, selected, seconds")
        for name, (_, reference) in VARIANTS.items():
            keys = [f"{folder}/{name}/{seed}" for seed in seeds]
            others = [f"{folder}/{reference or name}/{seed}" for seed in seeds]
            if not all(key in cells for key in keys + others):
                continue
            f1 = np.array([cells[key]["macro_f1"] for key in keys])
            gain = f1 - [cells[key]["macro_f1"] for key in others]
            shown = difference(gain, "+/-") if reference else ""
            selected = np.mean([cells[key]["selected"] for key in keys])
            seconds = np.mean([cells[key]["seconds"] for key in keys])
            print(
                f"  {name:24} {f1.mean():.3f}  {shown:17} {selected:4.0%} "
                f"{seconds:5.0f} s"
            )


def main():
    """Run the cells that are missing, and print the tables."""
    parser = benchmark_parser(__doc__, "student_head")
    add_data_option(parser)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=N_TEXTS)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    options = parser.parse_args()
    seeds = range(options.seeds)
    n_threads = torch.get_num_threads()
    head = about("student_head", "torch", n_threads=n_threads, texts=options.texts)
    with Cells(options.output, head) as cells:
        for seed in seeds:
            for folder in SETS:
                for name in options.variants:
                    data = Path(options.data) / folder
                    key = f"{folder}/{name}/{seed}"
                    cells.run(key, one_cell, data, name, seed, options.texts)
    show(cells, seeds)


if __name__ == "__main__":
    main()
