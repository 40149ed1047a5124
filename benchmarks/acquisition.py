"""Number of teacher calls needed to approach the result of training on all labels.

    SKLLKD_DATA=folder python -m benchmarks.acquisition

The pools and teachers of `benchmarks.selection`, a head on frozen MiniLM, five seeds. A
budget of teacher calls is spent at random or by `AcceptReject`; the student is then trained
on the labelled texts for as many backward passes as ten epochs of the whole pool (60 epochs
at most). The number of calls needed is the first point at which the mean curve over the
seeds, interpolated linearly, reaches 98 % of the macro-F1 with all labels.

A run that was stopped can be resumed.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from skllkd import LLKDClassifier
from skllkd.selection import AcceptReject
from skllkd.teachers import CallableTeacher

from benchmarks.cells import RESULTS, Cells, about
from benchmarks.data import add_data_option
from benchmarks.selection import SETS, STUDENTS, figures, pool_of, test_texts

BUDGETS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]
RULES = {"random": {"initial": 1.0}, "accept/reject": {}}
ENOUGH = 0.98


def one_cell(pool, texts, gold, rule, budget, seed):
    """Return the quality reached with a budget of calls."""
    known = dict(zip(pool.texts, pool.teacher_proba, strict=True))
    teacher = CallableTeacher(lambda some: np.array([known[text] for text in some]))
    student, n_epochs, _ = STUDENTS["frozen"]
    classifier = LLKDClassifier(
        teacher,
        pool.classes,
        refine=None,
        acquisition=AcceptReject(budget, **RULES[rule]) if budget < 1 else None,
        student=clone(student),
        n_epochs=min(round(n_epochs / budget), 60),
        on_missing_class="warn",
        random_state=seed,
        verbose=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(pool.texts)
    found = figures(classifier, pool, texts, gold)
    bought = ~np.isnan(classifier.teacher_proba_[:, 0])
    right = np.array(pool.classes)[pool.teacher_proba.argmax(axis=1)] == pool.gold
    return found | {
        "calls": classifier.n_teacher_calls_,
        "bought_label_accuracy": round(float(right[bought].mean()), 4),
    }


def calls_needed(calls, reached, aim):
    """Return where a curve first reaches an aim; NaN where it does not."""
    for place in range(len(calls)):
        if reached[place] >= aim:
            if place == 0:
                return float(calls[0])
            low, high = reached[place - 1], reached[place]
            share = (aim - low) / (high - low)
            return float(calls[place - 1] + share * (calls[place] - calls[place - 1]))
    return float("nan")


def main():
    """Run the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_option(parser)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    head = about("acquisition", "torch", "scikit-learn", "numpy")
    with Cells(RESULTS / "acquisition.json", head) as cells:
        for seed in range(options.seeds):
            for name in SETS:
                folder = Path(options.data) / name
                pool = pool_of(folder, seed, STUDENTS["frozen"][2])
                texts, gold = test_texts(folder)
                for rule in RULES:
                    for budget in BUDGETS:
                        key = f"{name}/{rule}/{budget}/{seed}"
                        cells.run(key, one_cell, pool, texts, gold, rule, budget, seed)


if __name__ == "__main__":
    main()
