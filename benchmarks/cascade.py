"""Promise of a cascade: how often it is missed, and how much the student then answers.

    python -m benchmarks.cascade --simulate
    SKLLKD_DATA=folder python -m benchmarks.cascade --split dev
    python -m benchmarks.cascade --table

The simulation needs no data. Each draw is a set of held-out texts of a student whose true
accuracy above each threshold is known, and the threshold that is chosen on them: it counts
whether the true accuracy misses the target. "flat" students are below the target by 0.002
everywhere, so that any threshold is a miss; "step" students get worse from half of the
texts on; "over-confident" ones are less accurate than they say, and the surest answers of
"bump" students are their worst, so that a looser threshold is the more accurate one.

On data, a head on frozen MiniLM learns from three quarters of up to 2,000 labelled train
texts, thresholds are chosen on the last quarter, and the answers to other texts counted:
agreement with the language model, where it labelled the split, and accuracy on gold.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from skllkd import CascadeClassifier, LLKDClassifier
from skllkd.exceptions import SkllkdWarning
from skllkd.serving.audit import AuditLog
from skllkd.serving.coverage import coverage_curve
from skllkd.serving.drift import Sample, compare

from benchmarks.cells import Cells, about, benchmark_parser
from benchmarks.data import add_data_option, gold_texts, labelled_pool, load_pool
from benchmarks.selection import SETS, STUDENTS
from benchmarks.tables import markdown_table

N_DRAWS, CONFIDENCE = 2000, 0.95
TARGETS, N_HELD_OUT = [0.9, 0.97], [150, 300, 1000]
N_CHECKS, N_DRIFT, N_MOST, N_NEW = 1000, 100, 2000, 1000
DATA_TARGETS = [0.85, 0.9, 0.95, 0.97]


def flat(sure: np.ndarray, target: float) -> np.ndarray:
    """Return accuracies just below the target, whatever the confidence."""
    return np.full_like(sure, target - 0.002)


def step(sure: np.ndarray, target: float) -> np.ndarray:
    """Return accuracies that make looser thresholds miss from half of the texts on."""
    return np.where(sure > 0.875, np.minimum(target + 0.05, 0.995), target - 0.1)


def calibrated(sure: np.ndarray, target: float) -> np.ndarray:
    """Return the confidence as accuracy."""
    return sure


def over_confident(sure: np.ndarray, target: float) -> np.ndarray:
    """Return accuracies below the confidence."""
    return sure - 0.01 - 0.15 * (1 - sure)


def bump(sure: np.ndarray, target: float) -> np.ndarray:
    """Return accuracies that are below the target among the surest twentieth only."""
    return np.where(
        sure > 1 - 0.05**2 / 2, target - 0.03, np.minimum(sure, target + 0.02)
    )


STUDENT_KINDS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "flat": flat,
    "step": step,
    "calibrated": calibrated,
    "over-confident": over_confident,
    "bump": bump,
}


def confidences(place: np.ndarray) -> np.ndarray:
    """Return the confidence of texts by their place from the surest, 0, to the least."""
    return 1 - place**2 / 2


def true_accuracy(kind: str, target: float) -> tuple[np.ndarray, np.ndarray]:
    """Return places, rising, and the accuracy of all answers up to each."""
    place = np.linspace(0, 1, 1_000_001)
    accuracy = STUDENT_KINDS[kind](confidences(place), target)
    return place, np.cumsum(accuracy) / np.arange(1, len(place) + 1)


def misses(kind: str, target: float, n: int) -> dict[str, float]:
    """Return how often the target is missed, and the share of the texts answered."""
    places, truth = true_accuracy(kind, target)
    missed, coverage = 0, np.zeros(N_DRAWS)
    for draw in range(N_DRAWS):
        rng = np.random.default_rng([draw, n])
        sure = confidences(rng.random(n))
        right = rng.random(n) < STUDENT_KINDS[kind](sure, target)
        curve = coverage_curve(sure, right, target, CONFIDENCE)
        if curve.chosen is not None:
            coverage[draw] = np.sqrt(2 * (1 - curve.chosen_threshold))
            missed += truth[np.searchsorted(places, coverage[draw])] < target
    at_best = np.flatnonzero(truth >= target)
    best = float(places[at_best[-1]]) if len(at_best) else 0.0
    shares = {"missed": missed / N_DRAWS, "coverage": coverage.mean(), "best": best}
    return {name: round(float(value), 4) for name, value in shares.items()}


def false_alarms(target: float) -> dict[str, float]:
    """Return how often a promise that is just kept is doubted within many checks."""
    doubted = 0
    for draw in range(N_DRAWS):
        log = AuditLog(target, CONFIDENCE)
        log.add(np.random.default_rng(draw).random(N_CHECKS) < target)
        doubted += not log.holds
    return {"false_alarms": doubted / N_DRAWS}


def delay(target: float, worse: float, n_good: int) -> dict[str, float]:
    """Return the checks it takes to notice that answers are wrong more often."""
    taken = []
    for draw in range(200):
        rng, log = np.random.default_rng(draw), AuditLog(target, CONFIDENCE)
        log.add(rng.random(n_good) < 1 - (1 - target) / 2)
        while log.holds and log.n_checked < n_good + 20_000:
            log.add(rng.random(10) < 1 - worse * (1 - target))
        taken.append(log.n_checked - n_good)
    return {"median": float(np.median(taken)), "p90": float(np.percentile(taken, 90))}


def drift_alarms(n: int, shift: float) -> dict[str, float]:
    """Return how often samples are told apart, of one distribution or of two."""
    alarms = 0
    n_draws = N_DRAWS // 2 if shift == 0 else 200
    for draw in range(n_draws):
        rng = np.random.default_rng(draw)
        before, now = (
            Sample(
                rng.beta(4, 1 + by, n),
                rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1]),
                rng.normal(by, 1, (n, 16)).astype(np.float32),
            )
            for by in (0.0, shift)
        )
        alarms += compare(before, now, list("abcd"), 0.05, seed=draw).drifted
    return {"alarms": alarms / n_draws}


def simulate(cells: Cells) -> None:
    """Run the cells that need no data."""
    for kind in STUDENT_KINDS:
        for target in TARGETS:
            for n in N_HELD_OUT:
                cells.run(f"threshold/{kind}/{target}/{n}", misses, kind, target, n)
    for target in TARGETS:
        cells.run(f"checks/false/{target}", false_alarms, target)
        for worse in (2, 4):
            for n_good in (0, 1000):
                key = f"checks/delay/{target}/{worse}/{n_good}"
                cells.run(key, delay, target, worse, n_good)
    for shift in (0.0, 0.1, 0.2):
        cells.run(f"drift/{N_DRIFT}/{shift}", drift_alarms, N_DRIFT, shift)


def task_of(folder: Path, split: str, seed: int) -> dict[str, Any]:
    """Return a fitted classifier, held-out texts and new ones, with labels of each."""
    pool = labelled_pool(folder)
    names = np.array(pool.classes)
    order = np.random.RandomState(seed).permutation(len(pool.texts))[:N_MOST]
    cut = len(order) * 3 // 4
    learned, held_out = order[:cut], order[cut:]
    student, n_epochs, _ = STUDENTS["frozen"]
    clf = LLKDClassifier(
        None,
        pool.classes,
        student=clone(student),
        n_epochs=n_epochs,
        on_missing_class="warn",
        random_state=seed,
        verbose=0,
    )
    texts = [pool.texts[i] for i in learned]
    clf.fit(texts, teacher_proba=pool.teacher_proba[learned])
    new, gold = gold_texts(folder, split, N_NEW)
    said = None
    if (folder / "llm.jsonl").exists():
        other = load_pool(folder, split, N_NEW)
        said = other.texts, names[other.teacher_proba.argmax(axis=1)]
    return {
        "clf": clf,
        "held_out": [pool.texts[i] for i in held_out],
        "agreement": names[pool.teacher_proba[held_out].argmax(axis=1)],
        "accuracy": pool.gold[held_out],
        "new": {"agreement": said, "accuracy": (new, gold)},
    }


def on_data(task: dict[str, Any], metric: str, target: float) -> dict[str, float]:
    """Return the share of new texts answered, and the share of the answers right."""
    cascade = CascadeClassifier(
        task["clf"], target=target, metric=metric, held_out="prefit", random_state=0
    ).fit(task["held_out"], task[metric])
    texts, truth = task["new"][metric]
    decided = cascade.decision(texts)
    own = decided.source == "student"
    right = decided.label[own] == truth[own]
    everything = task["clf"].predict(texts) == truth
    return {
        "held_out": cascade.n_held_out_,
        "promised": round(cascade.curve_.chosen_coverage, 4),
        "answered": round(float(own.mean()), 4),
        "right": round(float(right.mean()), 4) if own.any() else None,
        "right_of_all": round(float(everything.mean()), 4),
        "n_new": len(texts),
    }


def measure(
    cells: Cells, data: Path, split: str, sets: list[str], n_seeds: int
) -> None:
    """Run the cells on data that are missing."""
    for seed in range(n_seeds):
        for name in sets:
            if f"{split}/{name}/accuracy/{DATA_TARGETS[-1]}/{seed}" in cells:
                continue
            if name == "isear_llm" and split == "test":
                continue  # kept apart
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SkllkdWarning)
                task = task_of(data / name, split, seed)
                for metric in ("agreement", "accuracy"):
                    if task["new"][metric] is None:
                        continue
                    for target in DATA_TARGETS:
                        key = f"{split}/{name}/{metric}/{target}/{seed}"
                        cells.run(key, on_data, task, metric, target)


def table(cells: dict[str, Any]) -> str:
    """Return the tables of docs/put-to-work.md."""
    parts = []
    rows = [
        [kind]
        + [
            "{missed:.1%} ({coverage:.2f} of {best:.2f})".format(
                **cells[f"threshold/{kind}/{target}/{n}"]
            ).replace("%", " %")
            for target in TARGETS
            for n in N_HELD_OUT
        ]
        for kind in STUDENT_KINDS
    ]
    header = ["student"] + [f"{t:g}, {n} texts" for t in TARGETS for n in N_HELD_OUT]
    parts.append(markdown_table(header, rows))
    for split in ("dev", "test"):
        keys = {tuple(k.split("/")[1:3]) for k in cells if k.startswith(f"{split}/")}
        rows = []
        for name, metric in sorted(keys, key=lambda key: (key[1], key[0])):
            of = {
                t: [
                    cell
                    for key, cell in cells.items()
                    if key.startswith(f"{split}/{name}/{metric}/{t}/")
                ]
                for t in DATA_TARGETS
            }
            rest = [cell["right_of_all"] for cell in of[DATA_TARGETS[0]]]
            row = [name, metric, f"{np.mean(rest):.3f}"]
            for found in of.values():
                answered = np.mean([cell["answered"] for cell in found])
                right = [cell["right"] for cell in found if cell["right"] is not None]
                row.append(
                    f"{answered:.0%} ({np.mean(right):.3f})".replace("%", " %")
                    if right
                    else "0 %"
                )
            rows.append(row)
        header = ["set", "metric", "all answered", *(f"{t:g}" for t in DATA_TARGETS)]
        if rows:
            parts.append(f"{split}\n\n" + markdown_table(header, rows))
    return "\n\n".join(parts)


def main() -> None:
    """Run the cells that are missing, or print the tables."""
    parser = benchmark_parser(__doc__, "cascade")
    parser.add_argument("--simulate", action="store_true", help="needs no data")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--split", choices=["dev", "test"], default="dev")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=SETS)
    add_data_option(parser)
    options = parser.parse_args()
    if options.table:
        found = json.loads(options.output.read_text(encoding="utf-8"))["cells"]
        print(table(found))
        return
    with Cells(options.output, about("cascade", "numpy", "scipy")) as cells:
        if options.simulate:
            simulate(cells)
        else:
            measure(
                cells,
                Path(options.data),
                options.split,
                options.sets,
                options.seeds,
            )


if __name__ == "__main__":
    main()
