"""From the cells of `benchmarks.refinement` to the tables of docs/refinement-results.md.

    python -m benchmarks.refinement_report

Prints the tables, and writes them between the marks of the page. Means are over seeds, then
over data sets. A difference is paired by data set and seed; its interval is a t interval
over the seeds in the row of a set, and over the sets' mean differences in the last row.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.acquisition import ENOUGH, calls_needed
from benchmarks.cells import RESULTS
from benchmarks.refinement import MORE, PAIRS, REFINED, SHARES, TEACHER
from benchmarks.tables import markdown_table, marked_difference, put_table

PAGE = Path("docs/refinement-results.md")
STUDENTS = {
    "frozen": "a head on frozen MiniLM",
    "tfidf": "TF-IDF and a linear model",
    "tuned": "MiniLM, fine-tuned",
}


def read(folder):
    """Return the cells as {student: {set: {(first, labels): {seed: cell}}}}."""
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for path in sorted(folder.glob("refinement*.json")):
        for key, cell in json.loads(path.read_text(encoding="utf-8"))["cells"].items():
            student, name, first, labels, seed = key.split("/")
            found[student][name][first, labels][int(seed)] = cell
    return found


def column(cells, arm, figure="macro_f1"):
    """Return a figure of an arm: rows are sets, columns the seeds that all arms have."""
    seeds = set.intersection(
        *(set(of_seed) for arms in cells.values() for of_seed in arms.values())
    )
    return np.array(
        [[cells[name][arm][seed][figure] for seed in sorted(seeds)]
         for name in sorted(cells)],
        dtype=float,
    )  # fmt: skip


def complete(cells, *arms):
    """Return the cells of some arms, of the sets that have them all."""
    return {
        name: {arm: of_arm[arm] for arm in arms}
        for name, of_arm in cells.items()
        if all(arm in of_arm for arm in arms)
    }


def gain_table(cells):
    """Return the table of the default, and of that without refinement."""
    arms = PAIRS["default"]
    cells = complete(cells, *arms)
    n_sets = len(cells)
    shown = [(arm, figure) for figure in ("labels_right", "macro_f1", "accuracy")
             for arm in arms]  # fmt: skip
    means = [column(cells, *pair).mean(axis=1) for pair in shown]
    seconds = [column(cells, arms[1], f"{part}_s").mean(axis=1)
               for part in ("refinement", "training")]  # fmt: skip
    gain = column(cells, arms[1]) - column(cells, arms[0])
    of_all = [np.append(values, values.mean()) for values in (*means, *seconds)]
    gains = [*map(marked_difference, [*gain, gain.mean(axis=1)])]
    header = ["set", "labels right", "refined", "macro-F1", "refined", "gain"]
    header += ["accuracy", "refined", "s to refine", "s to train"]
    rows = []
    for i, name in enumerate([*sorted(cells), "mean of the sets"]):
        figures = [f"{values[i]:.3f}" for values in of_all[:6]]
        figures += [f"{values[i]:.1f}" for values in of_all[6:]]
        rows.append([name, *figures[:4], gains[i], *figures[4:]])
    counted = f"{n_sets} sets, {gain.shape[1]} seeds."
    return f"{counted}\n\n{markdown_table(header, rows)}"


def rules_table(cells):
    """Return the table of all arms, averaged over the sets, against the default's two.

    An arm is compared in the seeds that it has, and left out if it lacks a set.
    """
    header = ["selection", "labels", "seeds", "macro-F1", "- default, teacher"]
    header += ["- default, refined", "passes"]
    rows = []
    for arm in [*(arm for pair in PAIRS.values() for arm in pair), *MORE]:
        shared = complete(cells, arm, *PAIRS["default"])
        if len(shared) < len(cells):
            continue
        f1 = column(shared, arm)
        rows.append([*arm, str(f1.shape[1]), f"{f1.mean():.3f}"])
        for other in PAIRS["default"]:
            gain = (f1 - column(shared, other)).mean(axis=1)
            rows[-1].append("" if arm == other else marked_difference(gain))
        rows[-1].append(f"{column(shared, arm, 'passes').mean():,.0f}")
    return markdown_table(header, rows)


def calls_table(cells):
    """Return the table of the calls that 98 % of the result of all labels takes."""
    arms = [(str(share), labels) for share in SHARES for labels in (TEACHER, REFINED)]
    cells = complete(cells, *arms)
    f1 = {
        labels: [column(cells, (str(s), labels)) for s in SHARES]
        for labels in (TEACHER, REFINED)
    }
    calls = [column(cells, (str(share), TEACHER), "calls") for share in SHARES]
    header = ["set", "calls for all", "98 %, teacher's labels", "98 %, refined"]
    header += [f"refined, {share:.0%} - all, teacher's" for share in SHARES[:4]]
    rows = []
    for i, name in enumerate(sorted(cells)):
        whole = f1[TEACHER][-1][i].mean()
        of_set = [c[i].mean() for c in calls]
        rows.append([name, f"{of_set[-1]:,.0f}"])
        for labels in (TEACHER, REFINED):
            curve = [values[i].mean() for values in f1[labels]]
            needed = calls_needed(of_set, curve, ENOUGH * whole)
            rows[-1].append(f"{needed:,.0f} ({needed / of_set[-1]:.0%})")
        for k in range(4):
            rows[-1].append(marked_difference(f1[REFINED][k][i] - f1[TEACHER][-1][i]))
    rows.append(["mean of the sets", "", "", ""])
    for k in range(4):
        gain = (f1[REFINED][k] - f1[TEACHER][-1]).mean(axis=1)
        rows[-1].append(marked_difference(gain))
    return markdown_table(header, rows)


def tables(found):
    """Return every table there are cells for, by its name."""
    made = {}
    for student in STUDENTS:
        if student in found:
            made[f"gain {student}"] = gain_table(found[student])
            made[f"rules {student}"] = rules_table(found[student])
    if "frozen calls" in found:
        made["calls"] = calls_table(found["frozen calls"])
    return made


def main():
    """Print the tables, and write them to the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    for name, table in tables(read(options.results)).items():
        print(f"\n{name}\n\n{table}")
        page = put_table(page, name, table)
    if page:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
