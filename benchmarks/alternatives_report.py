"""From the cells of `benchmarks.alternatives` to the tables of the pages.

    python -m benchmarks.alternatives_report

Writes the tables between the marks of docs/results.md and README.md. Means are over
seeds, then over data sets. A difference is paired by data set and seed; its interval is a
t interval over the sets' mean differences in the summary, over the seeds in a set.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.cells import RESULTS
from benchmarks.tables import interval, markdown_table, marked_difference, put_table

PAGE, README = Path("docs/results.md"), Path("README.md")
OURS, TEACHER = "ours", "teacher"
#: The rows of the tables, in their order, by the student of ours.
NAMES = {
    "frozen": {
        "class names": "class names alone, by cosine",
        "regression, hard": "embeddings, logistic regression, hard labels",
        "regression, soft": "embeddings, logistic regression, soft labels",
        "cleanlab": "embeddings, cleanlab `CleanLearning`",
        "LLKD": "`LLKDClassifier` as in the paper",
        "ours, not refined": "`LLKDClassifier`, `refine=None`",
        "ours, 3 epochs": "`LLKDClassifier`, 3 epochs",
        OURS: "**`LLKDClassifier`**",
        "regression, gold": "*embeddings, logistic regression, gold labels*",
    },
    "tuned": {
        "class names": "class names alone, by cosine",
        "regression, hard": "embeddings, logistic regression, hard labels",
        "regression, soft": "embeddings, logistic regression, soft labels",
        "cleanlab": "embeddings, cleanlab `CleanLearning`",
        "Trainer": "`transformers.Trainer`, hard labels",
        "SetFit": "SetFit, hard labels",
        "LLKD": "`LLKDClassifier` as in the paper",
        "ours, not refined": "`LLKDClassifier`, `refine=None`",
        OURS: "**`LLKDClassifier`**",
        "Trainer, gold": "*`transformers.Trainer`, gold labels*",
    },
}
COSTS = ["seconds of training", "texts per second", "MB"]
TEACHER_NAME = "the teacher itself"

#: {set: {method: {seed: cell}}}
Found = dict[str, dict[str, dict[int, dict[str, float]]]]


def read(path: Path) -> Found:
    """Return the cells of a file, of the seeds and sets where every method was run."""
    if not path.exists():
        return {}
    found: Found = defaultdict(lambda: defaultdict(dict))
    for key, cell in json.loads(path.read_text(encoding="utf-8"))["cells"].items():
        _, folder, method, seed = key.split("/")
        found[folder][method][int(seed)] = cell
    every = {method for rows in found.values() for method in rows}
    known = [rows[method].keys() for rows in found.values() for method in every]
    complete = set.intersection(*map(set, known))
    return {
        folder: {m: {s: rows[m][s] for s in sorted(complete)} for m in rows}
        for folder, rows in sorted(found.items())
        if len(complete) > 1
    }


def column(found: Found, method: str, what: str = "macro_f1") -> np.ndarray:
    """Return one figure of a method, of shape (n_sets, n_seeds)."""
    return np.array(
        [[c[what] for c in rows[method].values()] for rows in found.values()]
    )


def present(found: Found, student: str) -> dict[str, str]:
    """Return the methods that were run, with their names on the page."""
    run = next(iter(found.values()))
    return {m: name for m, name in NAMES[student].items() if m in run}


def verdicts(found: Found, method: str) -> tuple[int, int]:
    """Return on how many sets ours is above and below a method, beyond the interval."""
    above = below = 0
    for difference in column(found, OURS) - column(found, method):
        mean, width = interval(difference)
        above += mean > width
        below += -mean > width
    return above, below


def summary_table(found: Found, student: str) -> str:
    """Return a row per method: quality over the sets, and cost."""
    rows = []
    for method, name in present(found, student).items():
        f1 = column(found, method)
        difference = (column(found, OURS) - f1).mean(axis=1)
        is_ours = method == OURS
        above, below = verdicts(found, method)
        rows.append(
            [
                name,
                f"{f1.mean():.3f}",
                f"{column(found, method, 'accuracy').mean():.3f}",
                "" if is_ours else marked_difference(difference),
                "" if is_ours else f"{above} / {len(f1) - above - below} / {below}",
                *costs(found, method),
            ]
        )
    header = ["", "macro-F1", "accuracy", "`LLKDClassifier` minus it"]
    header += ["higher / level / lower", *(COSTS if rows[0][5:] else [])]
    return markdown_table(header, rows)


def costs(found: Found, method: str) -> list[str]:
    """Return seconds, speed and size of a method, if all have them; medians."""
    methods = (rows[m] for rows in found.values() for m in rows if m != TEACHER)
    if any("training_s" not in c for cells in methods for c in cells.values()):
        return []
    seconds = np.median(column(found, method, "training_s"))
    speed = np.median(column(found, method, "texts_per_s"))
    size = column(found, method, "megabytes").mean()
    return [f"{seconds:.1f}", f"{speed:,.0f}", f"{size:.0f}"]


def per_set_table(found: Found, student: str) -> str:
    """Return a row per method with its macro-F1 on every set, marked as `_mark` does."""
    teacher = column(found, TEACHER).mean()
    rows = [[TEACHER_NAME, *map(_teacher, found.values()), f"{teacher:.3f}"]]
    for method, name in present(found, student).items():
        f1 = column(found, method)
        marks = [
            "" if method == OURS else _mark(difference)
            for difference in column(found, OURS) - f1
        ]
        shown = [
            f"{value:.3f}{mark}"
            for value, mark in zip(f1.mean(axis=1), marks, strict=True)
        ]
        rows.append([name, *shown, f"{f1.mean():.3f}"])
    return markdown_table(["", *found, "mean"], rows)


def _teacher(rows: dict[str, dict[int, dict[str, float]]]) -> str:
    """Return the macro-F1 of the teacher on a set, and the texts it is of."""
    cells = list(rows[TEACHER].values())
    where = "" if cells[0]["scored_on"] != "pool" else " †"
    return f"{np.mean([cell['macro_f1'] for cell in cells]):.3f}{where}"


def _mark(difference: np.ndarray) -> str:
    """Return ▲ where ours is higher beyond the interval, ▼ where it is lower."""
    mean, width = interval(difference)
    if abs(mean) <= width:
        return ""
    return " ▲" if mean > 0 else " ▼"


def readme_table(both: dict[str, Found]) -> str:
    """Return the few rows of the README: means over the sets."""
    names = {m: name for rows in NAMES.values() for m, name in rows.items()}
    header, rows = ["learns by"], [[TEACHER_NAME], *([name] for name in names.values())]
    for student, found in both.items():
        header += [{"frozen": "frozen MiniLM", "tuned": "fine-tuned MiniLM"}[student]]
        for row, method in zip(rows, [TEACHER, *names], strict=True):
            known = method == TEACHER or method in present(found, student)
            row.append(f"{column(found, method).mean():.3f}" if known else "")
    return markdown_table(header, [row for row in rows if any(row[1:])])


def main() -> None:
    """Write the tables."""
    both = {name: read(RESULTS / f"alternatives_{name}.json") for name in NAMES}
    both = {name: found for name, found in both.items() if found}
    page = PAGE.read_text(encoding="utf-8")
    for student, found in both.items():
        page = put_table(page, f"alternatives {student}", summary_table(found, student))
        page = put_table(page, f"sets {student}", per_set_table(found, student))
    PAGE.write_text(page, encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    README.write_text(
        put_table(readme, "results", readme_table(both)), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
