"""Gain of refined labels over the teacher's, for each selection and each student.

    SKLLKD_DATA=folder python -m benchmarks.refinement --student frozen
    SKLLKD_DATA=folder python -m benchmarks.refinement --student tfidf
    SKLLKD_DATA=folder python -m benchmarks.refinement --student tuned --seeds 3
    SKLLKD_DATA=folder python -m benchmarks.refinement --student frozen --calls
    python -m benchmarks.refinement_report

A cell is a student, a data set, a selection, the labels it learns from and a seed. The seed
draws the pool (up to 3,000 of the labelled train texts; 2,000 for fine-tuning), the order
of batches and the initial weights, the same for all labels: differences are paired. The
teacher's answers are given to `fit`, so that no cell calls a teacher. Classes have the
descriptions that the teacher had; "refined, names" is without them. Scores are against gold
labels on up to 2,000 texts of the test split (of dev for ISEAR, whose test split is kept
apart); the rule was chosen on the dev splits.

`--calls` measures a budget of teacher calls: a random part of the pool is labelled. Without
refinement the student learns from that part, for as many steps as ten epochs of the whole
pool take (60 epochs at most); with refinement it learns from the whole pool.

`--device cuda` is for the fine-tuning, whose cells have a file of their own.

Pairs of cells are run next to each other and the rules one after the other, so that a run
that was stopped can be read, and goes on where it was.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import f1_score
from skllkd import LLKDClassifier
from skllkd.cli.demo import demo_student
from skllkd.refinement import Refinement
from skllkd.selection import LLKDSelection, RankedImportance, SelectAll
from skllkd.students import FrozenEncoderStudent, SklearnStudent, TransformerStudent

from benchmarks.cells import RESULTS, Cells, about
from benchmarks.data import Pool, add_data_option
from benchmarks.own_labels import DESCRIPTIONS
from benchmarks.selection import SETS, pool_of, test_texts

#: The epochs each student learns for, and the size of its pool, as in
#: `benchmarks.selection`.
STUDENTS = {"frozen": (10, 3000), "tfidf": (5, 3000), "tuned": (3, 2000)}
SELECTIONS = {
    "default": RankedImportance(),
    "rank power .5": RankedImportance(rank_power=0.5),
    "all": SelectAll(),
    "LLKD": LLKDSelection(),
}
TEACHER, REFINED, NAMES, GOLD = "teacher", "refined", "refined, names", "gold"
#: What is compared for each rule, and further arms for quick students.
PAIRS = {
    "default": [("default", TEACHER), ("default", REFINED)],
    "all": [("all", TEACHER), ("all", REFINED)],
    "LLKD": [("LLKD", TEACHER), ("LLKD", REFINED)],
}
MORE = [("default", NAMES), ("all", GOLD), ("rank power .5", REFINED)]
SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0]
MOST_EPOCHS = 60


def student_of(kind, device):
    """Return a student by the name of its kind."""
    model = demo_student().model
    if kind == "frozen":
        return FrozenEncoderStudent(model, cache="disk", device=device)
    return (
        SklearnStudent()
        if kind == "tfidf"
        else TransformerStudent(model, device=device)
    )


def described(name, classes):
    """Return the classes with the descriptions that the teacher had, if it had some."""
    known = DESCRIPTIONS.get(name, {})
    return {k: known.get(k.casefold(), "") for k in classes} if known else classes


class Task(NamedTuple):
    """The texts of a seed, and the student that learns them."""

    kind: str
    device: str
    pool: Pool
    classes: list | dict  # described as they were to the teacher
    texts: list[str]  # to score on
    gold: np.ndarray
    seed: int

    @classmethod
    def of(cls, kind, device, folder, seed, most):
        """Return the task of a set and a seed."""
        pool = pool_of(folder, seed, most)
        classes = described(folder.name, pool.classes)
        return cls(kind, device, pool, classes, *test_texts(folder), seed)

    def fit(self, proba, refine, rule, classes=None, n_epochs=None):
        """Return a classifier that learned from given distributions."""
        classifier = LLKDClassifier(
            classes=classes or self.classes,
            refine=Refinement() if refine else None,
            selection=clone(SELECTIONS[rule]),
            student=student_of(self.kind, self.device),
            n_epochs=n_epochs or STUDENTS[self.kind][0],
            on_missing_class="warn",
            random_state=self.seed,
            verbose=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return classifier.fit(self.pool.texts, teacher_proba=proba)

    def figures(self, classifier):
        """Return the quality and the cost of a classifier and of its labels."""
        predicted = classifier.predict(self.texts)
        seconds = classifier.seconds_
        found = {
            "macro_f1": round(
                float(f1_score(self.gold, predicted, average="macro")), 5
            ),
            "accuracy": round(float(np.mean(self.gold == predicted)), 5),
            "passes": int(classifier.times_selected_.sum()),
            "refinement_s": round(seconds["refinement"], 2),
            "training_s": round(seconds["training"], 2),
        }
        if classifier.refine is None:
            right = self.labels_right(classifier.teacher_proba_)
            return found | {"labels_right": right}
        record = classifier.refinement_
        return found | {
            "labels_right": self.labels_right(classifier.refined_proba_),
            "changed": len(record.changed),
            "weights": {name: round(b, 3) for name, b in record.weights.items()},
        }

    def labels_right(self, proba):
        """Return the share of right labels among the texts that have one."""
        known = ~np.isnan(proba[:, 0])
        label = np.array(self.pool.classes)[proba[known].argmax(axis=1)]
        return round(float(np.mean(label == self.pool.gold[known])), 4)


def one_cell(task, rule, labels):
    """Return the figures of a selection and the labels it learns from."""
    proba, names = task.pool.teacher_proba, task.pool.classes
    if labels == GOLD:
        proba = (task.pool.gold[:, None] == np.array(names)).astype(float)
    refine = labels in (REFINED, NAMES)
    fitted = task.fit(proba, refine, rule, names if labels == NAMES else None)
    return task.figures(fitted)


def one_budget(task, share, labels):
    """Return the figures of a budget of calls, spent at random."""
    n_calls = round(share * len(task.pool.texts))
    order = np.random.RandomState(task.seed).permutation(len(task.pool.texts))
    proba = task.pool.teacher_proba.copy()
    proba[order[n_calls:]] = np.nan
    n_epochs = STUDENTS[task.kind][0]
    if labels == TEACHER:
        n_epochs = min(round(n_epochs / share), MOST_EPOCHS)
    fitted = task.fit(proba, labels == REFINED, "default", n_epochs=n_epochs)
    return task.figures(fitted) | {"calls": n_calls}


def plan(options):
    """Return the arms of each rule; each is run on all seeds and sets before the next."""
    if options.calls:
        return [[(share, labels) for share in SHARES for labels in (TEACHER, REFINED)]]
    arms = [PAIRS[rule] for rule in options.rules]
    if options.student != "tuned" and "default" in options.rules:
        arms.append(MORE)
    return arms


def main():
    """Run the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    add_data_option(parser)
    parser.add_argument("--student", choices=[*STUDENTS], required=True)
    parser.add_argument("--device", default="cpu", help="of the encoder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--rules", nargs="*", choices=[*PAIRS], default=[*PAIRS])
    parser.add_argument("--texts", type=int, help="size of the pools")
    parser.add_argument("--calls", action="store_true")
    options = parser.parse_args()
    if options.output is None:
        tuned = "_tuned" if options.student == "tuned" else ""
        options.output = RESULTS / f"refinement{tuned}.json"
    packages = ["torch", "scikit-learn", "numpy"]
    head = about("refinement", *packages, n_threads=torch.get_num_threads())
    measure = one_budget if options.calls else one_cell
    with Cells(options.output, head) as cells:
        for arms in plan(options):
            for seed in range(options.seeds):
                for name in options.sets:
                    run_arms(
                        cells, options, Path(options.data) / name, seed, arms, measure
                    )


def run_arms(cells, options, folder, seed, arms, measure):
    """Run the missing cells of a pool."""
    start = f"{options.student}{' calls' if options.calls else ''}/{folder.name}"
    keys = {
        f"{start}/{first}/{labels}/{seed}": (first, labels) for first, labels in arms
    }
    missing = [key for key in keys if key not in cells]
    if not missing:
        return
    most = options.texts or STUDENTS[options.student][1]
    task = Task.of(options.student, options.device, folder, seed, most)
    for key in missing:
        cells.run(key, measure, task, *keys[key])


if __name__ == "__main__":
    main()
