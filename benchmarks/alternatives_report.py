"""From the cells of `benchmarks.alternatives` to the tables of the pages.

    python -m benchmarks.alternatives_report

Writes the tables between the marks of docs/results.md and README.md. Means are over
seeds, then over data sets. A difference is paired by data set and seed; its interval is a
t interval over the sets' mean differences in the summary, over the seeds in a set. A
method may lack sets or seeds, which the summary then says: it is compared with ours on
those it has, and has no mean over the sets if it lacks some. One seed of a set has no
interval.
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
        "LLKD": "`LLKDClassifier` as in the paper (`LLKDSelection()`, `refine=None`)",
        "ours, not refined": "`LLKDClassifier`, `refine=None`",
        "ours, 3 epochs": "`LLKDClassifier`, 3 epochs (the default)",
        OURS: "**`LLKDClassifier`**",
        "regression, gold": "*embeddings, logistic regression, gold labels*",
    },
    "tuned": {
        "class names": "class names alone, by cosine",
        "regression, hard": "embeddings, logistic regression, hard labels",
        "regression, soft": "embeddings, logistic regression, soft labels",
        "cleanlab": "embeddings, cleanlab `CleanLearning`",
        "Trainer, batches of 8": "`transformers.Trainer`, hard labels",
        "Trainer": "the same, in batches of 32",
        "SetFit": "SetFit, hard labels",
        "LLKD": "`LLKDClassifier` as in the paper (`LLKDSelection()`, `refine=None`)",
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
    """Return the cells of a file, of the sets and seeds where ours was run."""
    if not path.exists():
        return {}
    found: Found = defaultdict(lambda: defaultdict(dict))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    ours = {key for key in cells if key.split("/")[2] == OURS}
    for key, cell in sorted(cells.items()):
        student, folder, method, seed = key.split("/")
        if f"{student}/{folder}/{OURS}/{seed}" in ours:
            found[folder][method][int(seed)] = cell
    return found


def figures(found: Found, method: str, what: str = "macro_f1") -> list[np.ndarray]:
    """Return one figure of a method, an array of its seeds for each set it has."""
    return [
        np.array([cell[what] for cell in rows[method].values()])
        for rows in found.values()
        if method in rows
    ]


def mean(found: Found, method: str, what: str = "macro_f1") -> str:
    """Return the mean of a figure over the sets, as text; empty if the method lacks one."""
    means = [values.mean() for values in figures(found, method, what)]
    return f"{np.mean(means):.3f}" if len(means) == len(found) else ""


def paired(found: Found, method: str) -> dict[str, np.ndarray]:
    """Return ours minus a method, an array of the seeds for each set that it has."""
    return {
        folder: np.array(
            [
                rows[OURS][seed]["macro_f1"] - cell["macro_f1"]
                for seed, cell in of.items()
            ]
        )
        for folder, rows in found.items()
        if (of := rows.get(method))
    }


def present(found: Found, student: str) -> dict[str, str]:
    """Return the methods that were run, with their names on the page."""
    run = {method for rows in found.values() for method in rows}
    return {m: name for m, name in NAMES[student].items() if m in run}


def verdict(differences: np.ndarray) -> int:
    """Return 1 if ours is higher beyond the interval, -1 if lower, or else 0."""
    if len(differences) < 2:
        return 0
    middle, width = interval(differences)
    return int(np.sign(middle)) if abs(middle) > width else 0


def summary_table(found: Found, student: str) -> str:
    """Return a row per method: quality over the sets, and cost."""
    methods = present(found, student)
    extents = {m: extent(found, m) for m in methods}
    differ = len(set(extents.values())) > 1
    rows = [
        [
            name,
            *([extents[method]] if differ else []),
            mean(found, method),
            mean(found, method, "accuracy"),
            *comparison(found, method),
            *costs(found, method),
        ]
        for method, name in methods.items()
    ]
    header = ["", *(["sets, seeds"] if differ else []), "macro-F1", "accuracy"]
    header += ["`LLKDClassifier` minus it", "higher / level / lower"]
    header += COSTS[: len(rows[0]) - len(header)]
    return markdown_table(header, rows)


def extent(found: Found, method: str) -> str:
    """Return the numbers of sets and of seeds of a method."""
    n_seeds = [len(values) for values in figures(found, method)]
    fewest, most = min(n_seeds), max(n_seeds)
    return f"{len(n_seeds)}, {fewest}" + (f" to {most}" if most > fewest else "")


def comparison(found: Found, method: str) -> list[str]:
    """Return ours minus a method over the sets, and on how many it is higher or lower."""
    differences = [*paired(found, method).values()]
    if method == OURS or len(differences) < 2:
        return ["", ""]
    shown = marked_difference([values.mean() for values in differences])
    if min(map(len, differences)) < 2:
        return [shown, ""]
    found_by_set = [verdict(values) for values in differences]
    return [shown, " / ".join(str(found_by_set.count(sign)) for sign in (1, 0, -1))]


def costs(found: Found, method: str) -> list[str]:
    """Return seconds, speed and size of a method, if all have them; medians."""
    methods = (rows[m] for rows in found.values() for m in rows if m != TEACHER)
    if any("training_s" not in c for cells in methods for c in cells.values()):
        return []
    seconds, speed, size = (
        np.concatenate(figures(found, method, what))
        for what in ("training_s", "texts_per_s", "megabytes")
    )
    return [
        f"{np.median(seconds):.1f}",
        f"{np.median(speed):,.0f}",
        f"{size.mean():.0f}",
    ]


def per_set_table(found: Found, student: str) -> str:
    """Return a row per method with its macro-F1 on every set, marked by `verdict`."""
    rows = [[TEACHER_NAME, *map(_teacher, found.values()), mean(found, TEACHER)]]
    for method, name in present(found, student).items():
        differences = paired(found, method)
        shown = [
            f"{np.mean([cell['macro_f1'] for cell in of[method].values()]):.3f}"
            + ("", " ▲", " ▼")[verdict(differences[folder]) if method != OURS else 0]
            if method in of
            else ""
            for folder, of in found.items()
        ]
        rows.append([name, *shown, mean(found, method)])
    return markdown_table(["", *found, "mean"], rows)


def _teacher(rows: dict[str, dict[int, dict[str, float]]]) -> str:
    """Return the macro-F1 of the teacher on a set, and the texts it is of."""
    cells = list(rows[TEACHER].values())
    where = "" if cells[0]["scored_on"] != "pool" else " †"
    return f"{np.mean([cell['macro_f1'] for cell in cells]):.3f}{where}"


def readme_table(both: dict[str, Found]) -> str:
    """Return the few rows of the README: means over the sets, of students with all."""
    names = NAMES["tuned"] | NAMES["frozen"]
    n_sets = max(map(len, both.values()))
    header, rows = ["learns by"], [[TEACHER_NAME], *([name] for name in names.values())]
    for student, found in both.items():
        if len(found) < n_sets:
            continue
        header += [{"frozen": "frozen MiniLM", "tuned": "fine-tuned MiniLM"}[student]]
        for row, method in zip(rows, [TEACHER, *names], strict=True):
            known = method == TEACHER or method in present(found, student)
            row.append(mean(found, method) if known else "")
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
