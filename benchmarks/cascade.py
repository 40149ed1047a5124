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
texts. The last quarter and the texts of another split are drawn anew 20 times, some to
choose a threshold on and the others to count the answers to: agreement with the language
model, where it labelled the split, and accuracy on gold. The number of sequences and their
first thresholds are varied as well.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from sklearn.base import clone
from skllkd import LLKDClassifier
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
N_CHECKS, N_DRIFT, N_MOST = 1000, 100, 2000
DATA_TARGETS, DATA_HELD_OUT, N_SPLITS = [0.8, 0.85, 0.9, 0.95], [300, 500], 20
FIRST_SHARES = [(0.15,), (0.25,), (0.4,), (0.15, 0.4), (0.1, 0.25, 0.5)]


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


def unseen_answers(
    folder: Path, split: str, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return confidences on texts not learned, and where they are right, by metric."""
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
    clf.fit([pool.texts[i] for i in learned], teacher_proba=pool.teacher_proba[learned])
    said = names[pool.teacher_proba.argmax(axis=1)]
    new = {"accuracy": gold_texts(folder, split, N_MOST)}
    if (folder / "llm.jsonl").exists():
        other = load_pool(folder, split, N_MOST)
        new["agreement"] = other.texts, names[other.teacher_proba.argmax(axis=1)]
    known = {"agreement": said[held_out], "accuracy": pool.gold[held_out]}
    answers = {}
    for metric, (texts, truth) in new.items():
        proba = clf.predict_proba([*(pool.texts[i] for i in held_out), *texts])
        predicted = clf.classes_[proba.argmax(axis=1)]
        right = predicted == np.concatenate([known[metric], truth])
        answers[metric] = proba.max(axis=1), right
    return answers


def best_share(sure: np.ndarray, right: np.ndarray, target: float) -> float:
    """Return the share of the texts above the loosest threshold that is good enough."""
    share_right = np.cumsum(right[np.argsort(-sure)]) / np.arange(1, len(sure) + 1)
    enough = np.flatnonzero(share_right >= target)
    return (enough[-1] + 1) / len(sure) if len(enough) else 0.0


def answered(
    sure: np.ndarray, right: np.ndarray, target: float, n: int
) -> tuple[float, float | None]:
    """Return the mean share of new texts answered, and the share of those right."""
    shares, n_right, n_own = [], 0, 0
    for draw in range(N_SPLITS):
        order = np.random.default_rng([draw, n]).permutation(len(sure))
        chosen, new = order[:n], order[n:]
        curve = coverage_curve(sure[chosen], right[chosen], target, CONFIDENCE)
        own = sure[new] >= curve.chosen_threshold
        shares.append(own.mean())
        n_own, n_right = n_own + own.sum(), n_right + right[new][own].sum()
    return float(np.mean(shares)), float(n_right / n_own) if n_own else None


def named(first: tuple[float, ...]) -> str:
    """Return the shares of the first thresholds as text."""
    return " and ".join(f"{share:g}" for share in first)


def on_data(sure: np.ndarray, right: np.ndarray, target: float) -> dict[str, Any]:
    """Return the share of new texts answered, by the number of texts held out."""
    found: dict[str, Any] = {
        "n_texts": len(sure),
        "right_of_all": round(float(right.mean()), 4),
        "best": round(best_share(sure, right, target), 4),
    }
    for n in DATA_HELD_OUT:
        share, share_right = answered(sure, right, target, n)
        found[f"answered/{n}"] = round(share, 4)
        found[f"right/{n}"] = share_right and round(share_right, 4)
    for first in FIRST_SHARES:
        with patch("skllkd.serving.coverage._FIRST_SHARES", first):
            share, _ = answered(sure, right, target, DATA_HELD_OUT[-1])
        found[f"first/{named(first)}"] = round(share, 4)
    return found


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
                answers = unseen_answers(data / name, split, seed)
            for metric, (sure, right) in answers.items():
                for target in DATA_TARGETS:
                    key = f"{split}/{name}/{metric}/{target}/{seed}"
                    cells.run(key, on_data, sure, right, target)


def table(cells: dict[str, Any]) -> str:
    """Return the tables of docs/put-to-work.md, and of the first thresholds."""
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
        if any(key.startswith(f"{split}/") for key in cells):
            parts += [split, data_table(cells, split), first_table(cells, split)]
    return "\n\n".join(parts)


def data_table(cells: dict[str, Any], split: str) -> str:
    """Return the share of the texts answered, of the share that could be, by set."""
    keys = {tuple(k.split("/")[1:3]) for k in cells if k.startswith(f"{split}/")}
    rows = []
    for name, metric in sorted(keys, key=lambda key: (key[1], key[0])):
        prefix = f"{split}/{name}/{metric}"
        everything = mean_of(cells, f"{prefix}/{DATA_TARGETS[0]}/", "right_of_all")
        row = [name, metric, f"{everything:.2f}"]
        for target in DATA_TARGETS:
            share, best = (
                mean_of(cells, f"{prefix}/{target}/", value)
                for value in (f"answered/{DATA_HELD_OUT[-1]}", "best")
            )
            row.append(f"{share:.0%} of {best:.0%}".replace("%", " %"))
        rows.append(row)
    header = ["set", "right is", "of all", *(f"{t:g}" for t in DATA_TARGETS)]
    return markdown_table(header, rows)


def first_table(cells: dict[str, Any], split: str) -> str:
    """Return the mean share of the texts answered, by the first threshold."""
    rows = []
    for first in FIRST_SHARES:
        shares = []
        for target in DATA_TARGETS:
            at = [k for k in cells if k.startswith(split) and f"/{target}/" in k]
            shares.append(np.mean([cells[k][f"first/{named(first)}"] for k in at]))
        rows.append([named(first), *(f"{share:.3f}" for share in shares)])
    return markdown_table(["first", *(f"{t:g}" for t in DATA_TARGETS)], rows)


def mean_of(cells: dict[str, Any], prefix: str, name: str) -> float:
    """Return the mean of a value over the seeds."""
    return float(np.mean([v[name] for k, v in cells.items() if k.startswith(prefix)]))


def main() -> None:
    """Run the cells that are missing, or print the tables."""
    parser = benchmark_parser(__doc__, "cascade")
    parser.add_argument("--simulate", action="store_true", help="needs no data")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--split", choices=["dev", "test"], default="dev")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sets", nargs="+", default=SETS)
    add_data_option(parser, required=False)
    options = parser.parse_args()
    if options.table:
        found = json.loads(options.output.read_text(encoding="utf-8"))["cells"]
        print(table(found))
        return
    if not options.simulate and options.data is None:
        parser.error("--data is needed without --simulate")
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
