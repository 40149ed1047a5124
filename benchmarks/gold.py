"""Worth of a few gold labels beside a teacher, and the coverage of their intervals.

    SKLLKD_DATA=folder python -m benchmarks.gold
    python -m benchmarks.gold --table

The pools and teachers of `benchmarks.selection`, a head on frozen MiniLM for ten epochs,
scores on up to 2,000 texts of dev. Of each pool 25 to 200 texts get their gold label:

- random: drawn at random;
- uncertain: those whose two most probable refined labels without gold are the closest;
- alone: logistic regression on the embeddings of the random ones, nothing else (C = 10).

A cell also holds the accuracy that `gold_accuracy_` states with its 95 % interval, and the
truth: of the teacher's and of the refined labels in the rest of the pool, of the student
on dev. A run that was stopped can be resumed.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from skllkd import LLKDClassifier

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.data import add_data_option, gold_texts
from benchmarks.own_labels import DESCRIPTIONS
from benchmarks.selection import SETS, STUDENTS, pool_of

N_GOLD = [25, 50, 100, 200]
DRAWS = ["random", "uncertain"]
ALONE_C = 10.0


class Task:
    """A pool, the texts to be scored on, and what is found without gold labels."""

    def __init__(self, folder: Path, seed: int):
        self.seed = seed
        self.student, self.n_epochs, most = STUDENTS["frozen"]
        self.pool = pool_of(folder, seed, most)
        self.texts, self.gold = gold_texts(folder, "dev", 2000)
        known = {k.casefold(): v for k, v in DESCRIPTIONS.get(folder.name, {}).items()}
        self.classes = {c: known.get(c.casefold(), "") for c in self.pool.classes}

    def fit(self, gold: dict[int, str]) -> LLKDClassifier:
        """Return the classifier of the pool with some gold labels."""
        classifier = LLKDClassifier(
            None,
            self.classes,
            student=clone(self.student),
            n_epochs=self.n_epochs,
            on_missing_class="warn",
            random_state=self.seed,
            verbose=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            proba = self.pool.teacher_proba
            return classifier.fit(self.pool.texts, teacher_proba=proba, gold=gold)

    @cached_property
    def without_gold(self) -> LLKDClassifier:
        """Return the classifier without gold labels."""
        return self.fit({})

    def rows(self, draw: str, n: int) -> np.ndarray:
        """Return the rows that get their gold label; a larger number holds a smaller."""
        if draw == "uncertain":
            best = np.sort(self.without_gold.refined_proba_, axis=1)
            return np.argsort(best[:, -1] - best[:, -2], kind="stable")[:n]
        return np.random.RandomState(1000 + self.seed).permutation(len(self.pool.gold))[
            :n
        ]


def quality(predicted: np.ndarray, gold: np.ndarray) -> dict[str, float]:
    """Return the scores of predicted labels."""
    f1 = f1_score(gold, predicted, average="macro", zero_division=0)
    accuracy = float(np.mean(predicted == gold))
    return {"macro_f1": round(float(f1), 5), "accuracy": round(accuracy, 5)}


def with_gold(task: Task, draw: str, n: int) -> dict:
    """Return the figures with some gold labels beside the teacher."""
    pool, rows = task.pool, task.rows(draw, n)
    classifier = task.fit({int(row): pool.gold[row] for row in rows})
    cell = quality(classifier.predict(task.texts), task.gold)
    rest = np.setdiff1d(np.arange(len(pool.gold)), rows)
    truth = {"student": cell["accuracy"]}
    for name in ("teacher", "refined"):
        label = getattr(classifier, f"{name}_proba_")[rest].argmax(axis=1)
        right = classifier.classes_[label] == pool.gold[rest]
        truth["labels" if name == "refined" else name] = round(float(right.mean()), 5)
    stated = {
        name: [round(x, 5) for x in (found.share, *found.interval)]
        for name, found in classifier.gold_accuracy_.items()
    }
    seconds = round(classifier.seconds_["refinement"], 2)
    weights = {k: round(w, 3) for k, w in classifier.refinement_.weights.items()}
    return cell | {
        "truth": truth,
        "stated": stated,
        "weights": weights,
        "refinement_s": seconds,
    }


def without(task: Task) -> dict:
    """Return the figures without gold labels."""
    classifier = task.without_gold
    label = classifier.classes_[classifier.refined_proba_.argmax(axis=1)]
    return quality(classifier.predict(task.texts), task.gold) | {
        "labels_right": round(float(np.mean(label == task.pool.gold)), 5),
        "refinement_s": round(classifier.seconds_["refinement"], 2),
    }


def alone(task: Task, n: int) -> dict:
    """Return the figures of a regression on the gold labels alone."""
    rows = task.rows("random", n)
    encoder = clone(task.student)
    features = encoder.embed([task.pool.texts[row] for row in rows])
    model = LogisticRegression(C=ALONE_C, max_iter=1000)
    model.fit(features, task.pool.gold[rows])
    return quality(model.predict(encoder.embed(task.texts)), task.gold)


def run(cells: Cells, data: Path, sets: list[str], seeds: range) -> None:
    """Run the cells that are missing."""
    for seed in seeds:
        for name in sets:
            task = Task(data / name, seed)
            cells.run(f"{name}/none/0/{seed}", without, task)
            for n in N_GOLD:
                cells.run(f"{name}/alone/{n}/{seed}", alone, task, n)
                for draw in DRAWS:
                    cells.run(f"{name}/{draw}/{n}/{seed}", with_gold, task, draw, n)


def gains(cells: dict, draw: str, n: int, score: str) -> np.ndarray:
    """Return the mean gain over no gold label for each set, over the seeds there are."""
    found = []
    for name in SETS:
        keys = [
            key.split("/") for key in cells if key.startswith(f"{name}/{draw}/{n}/")
        ]
        seeds = [seed for *_, seed in keys]
        found.append(
            np.mean(
                [
                    cells[f"{name}/{draw}/{n}/{seed}"][score]
                    - cells[f"{name}/none/0/{seed}"][score]
                    for seed in seeds
                ]
            )
        )
    return np.array(found)


def coverage(cells: dict, draw: str, n: int, name: str) -> tuple[float, float]:
    """Return how often an interval holds the truth, and the mean error of the share."""
    found = [c for key, c in cells.items() if f"/{draw}/{n}/" in key]
    stated = np.array([cell["stated"][name] for cell in found])
    truth = np.array([cell["truth"][name] for cell in found])
    holds = (stated[:, 1] <= truth) & (truth <= stated[:, 2])
    return float(holds.mean()), float((stated[:, 0] - truth).mean())


def table(cells: dict) -> Iterator[str]:
    """Yield the lines of the tables of docs/refinement.md."""
    yield f"| gold labels | | mean of {len(SETS)} sets | " + " | ".join(SETS) + " |"
    yield "|---|---|" + "---|" * (len(SETS) + 1)
    for score in ("macro_f1", "accuracy"):
        base = [
            np.mean([c[score] for k, c in cells.items() if k.startswith(f"{s}/none/")])
            for s in SETS
        ]
        row = " | ".join(f"{value:.3f}" for value in base)
        yield f"| 0 | {score} | {np.mean(base):.3f} | {row} |"
        for n in N_GOLD:
            for draw in ("alone", *DRAWS):
                gain = gains(cells, draw, n, score)
                width = student_t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1)
                mean = f"{gain.mean():+.3f} ± {width / np.sqrt(len(gain)):.3f}"
                row = " | ".join(f"{value:+.3f}" for value in gain)
                yield f"| {n} | {draw} | {mean} | {row} |"
    yield ""
    yield "| gold labels | | teacher | refined labels | student |"
    yield "|---|---|---|---|---|"
    for draw in DRAWS:
        for n in N_GOLD:
            every = [
                coverage(cells, draw, n, k) for k in ("teacher", "labels", "student")
            ]
            row = " | ".join(f"{share:.0%} ({error:+.3f})" for share, error in every)
            yield f"| {n} | {draw} | {row} |"


def main() -> None:
    """Run the cells that are missing, or print the tables."""
    parser = benchmark_parser(__doc__, "gold")
    add_data_option(parser)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        cells = json.loads(options.output.read_text(encoding="utf-8"))["cells"]
        print("\n".join(table(cells)))
        return
    head = about("gold", "torch", "scikit-learn", "numpy")
    with Cells(options.output, head) as cells:
        run(cells, Path(options.data), options.sets, range(options.seeds))


if __name__ == "__main__":
    main()
