"""What each shortcut of the student's training costs in macro-F1, and what it saves.

    python -m benchmarks.student_shortcuts --data FOLDER

LLKD and full-pool distillation of all-MiniLM-L6-v2 on 1,200 texts with a real language
model's labels, 3 epochs, on the CPU; macro-F1 against gold on the dev split. Every
variant differs in one thing from the exact rule (float32, all weights learn, every row
scored just before its step, seeds paired). Resumable: cells that the output file holds
are not run again. The cells in benchmarks/results/student_shortcuts.json were measured at
commit f92cc75, where selected rows waited until they filled a batch; give another --output
for cells of today.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import f1_score
from skllkd import LLKDClassifier
from skllkd.cli.demo import demo_student
from skllkd.selection import LLKDSelection, SelectAll
from skllkd.students import TransformerStudent

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.data import add_data_option, load_pool
from benchmarks.tables import difference

SETS = ["isear_llm", "rtpolarity_llm"]
N_TEXTS, N_DEV = 1200, 600


def variant(selection=None, **student):
    """Return a classifier that differs from the exact rule in what is given."""
    parameters = {"precision": "float32", "trainable_layers": "all"} | student
    return LLKDClassifier(
        refine=None,
        selection=LLKDSelection() if selection is None else selection,
        student=TransformerStudent(demo_student().model, device="cpu", **parameters),
        on_missing_class="warn",
        verbose=0,
    )


VARIANTS = {  # name: (classifier, what it is compared with)
    "LLKD, exact": (variant(), None),
    "bfloat16": (variant(precision="bfloat16"), "LLKD, exact"),
    "layers": (variant(trainable_layers="layers"), "LLKD, exact"),
    "last 4 layers": (variant(trainable_layers=4), "LLKD, exact"),
    "last 2 layers": (variant(trainable_layers=2), "LLKD, exact"),
    "bfloat16, layers": (
        variant(precision="bfloat16", trainable_layers="layers"),
        "LLKD, exact",
    ),
    "all, exact": (variant(SelectAll()), None),
    "all, bfloat16, layers": (
        variant(SelectAll(), precision="bfloat16", trainable_layers="layers"),
        "all, exact",
    ),
    "all, last 4 layers": (variant(SelectAll(), trainable_layers=4), "all, exact"),
}


def one_cell(folder, name, seed):
    """Return what a variant reaches on a set with a seed, and what it takes."""
    pool = load_pool(folder, "train", N_TEXTS, seed)
    dev = load_pool(folder, "dev", N_DEV)
    classifier = clone(VARIANTS[name][0]).set_params(
        classes=pool.classes, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(pool.texts, teacher_proba=pool.teacher_proba)
    begin = time.process_time()
    predicted = classifier.predict(dev.texts)
    history = classifier.history_
    return {
        "macro_f1": float(f1_score(dev.gold, predicted, average="macro")),
        "accuracy": float(np.mean(dev.gold == predicted)),
        "seconds": classifier.seconds_["training"],
        "seconds_predicting": time.process_time() - begin,
        "scored": int(history["n_scored"].sum()),
        "selected": int(history["n_selected"].sum()),
        "presented": int(history["n_presented"].sum()),
    }


def show(cells, seeds):
    """Print a table for each set that is complete."""
    for folder in SETS:
        print(f"{folder}: macro-F1 (standard error), difference +/- 95 %, work")
        for name, (_, reference) in VARIANTS.items():
            keys = [f"{folder}/{name}/{seed}" for seed in seeds]
            if not all(key in cells for key in keys):
                continue
            own = [cells[key] for key in keys]
            f1 = np.array([cell["macro_f1"] for cell in own])
            error = f1.std(ddof=1) / np.sqrt(len(f1))
            gain = ""
            if reference is not None:
                others = [cells[f"{folder}/{reference}/{seed}"] for seed in seeds]
                gain = difference(f1 - [cell["macro_f1"] for cell in others], "+/-")
            work = {
                key: sum(cell[key] for cell in own) for key in ("scored", "selected")
            }
            presented = sum(cell["presented"] for cell in own)
            print(
                f"  {name:28} {f1.mean():.3f} ({error:.3f})  {gain:18} scored "
                f"{work['scored'] / presented:4.0%} trained on "
                f"{work['selected'] / presented:4.0%} "
                f"{np.mean([cell['seconds'] for cell in own]):5.0f} s"
            )


def main():
    """Run the cells that are missing, and print the tables."""
    parser = benchmark_parser(__doc__, "student_shortcuts")
    add_data_option(parser)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", nargs="*", default=SETS)
    options = parser.parse_args()
    seeds = range(options.seeds)
    n_threads = torch.get_num_threads()
    head = about("student_shortcuts", "torch", n_threads=n_threads, texts=N_TEXTS)
    with Cells(options.output, head) as cells:
        for seed in seeds:
            for folder in options.sets:
                for name in VARIANTS:
                    data = Path(options.data) / folder
                    cells.run(f"{folder}/{name}/{seed}", one_cell, data, name, seed)
    show(cells, seeds)


if __name__ == "__main__":
    main()
