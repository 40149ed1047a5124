"""From the cells of `benchmarks.selection` to the tables and plots of the guide.

    python -m benchmarks.selection_report

Writes the tables between the marks of docs/selection.md, and the plots.
Means are over seeds, then over data sets. A difference is paired by data set and seed; its
interval is a t interval over the data sets' mean differences in the tables of all
strategies, and over the seeds in those of each set.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from benchmarks.acquisition import BUDGETS, ENOUGH, RULES, calls_needed
from benchmarks.cells import RESULTS
from benchmarks.selection import (
    FEW,
    FULL,
    LEVELS,
    LONGER,
    NOISY,
    REFERENCE,
    REMOVED,
    STRATEGIES,
    STUDENTS,
)
from benchmarks.tables import markdown_table, marked_difference, put_table

PAGE, PICTURES = Path("docs/selection.md"), Path("docs/images")
NAMES = {
    "frozen": "a head on frozen MiniLM",
    "tfidf": "TF-IDF and a linear model",
    "tuned": "MiniLM, fine-tuned",
}
BEST, ALL = "ranked importance", "all, hard"


def read(name, only=None):
    """Return the cells of a file as {set: {strategy: {seed: cell}}}.

    Of a run that goes on, those of the seeds that are complete; of some strategies
    only, those of the sets where all of these were run.
    """
    path = RESULTS / f"selection_{name}.json"
    if not path.exists():
        return {}
    found = defaultdict(lambda: defaultdict(dict))
    for key, cell in json.loads(path.read_text(encoding="utf-8"))["cells"].items():
        _, folder, strategy, seed = key.split("/")
        if only is None or strategy in only:
            found[folder][strategy][int(seed)] = cell
    if only is not None:
        found = {name: rows for name, rows in found.items() if len(rows) == len(only)}
    every = [seeds for rows in found.values() for seeds in rows.values()]
    complete = set.intersection(*map(set, every)) if every else set()
    if len(complete) < 2 or any(s not in rows for rows in found.values() for s in FEW):
        return {}  # nothing can be said yet
    return {
        folder: {s: {n: seeds[n] for n in complete} for s, seeds in rows.items()}
        for folder, rows in found.items()
    }


def column(cells, strategy, what="macro_f1"):
    """Return one figure of a strategy: rows are sets, columns are seeds."""
    return np.array(
        [[c[what] or np.nan for _, c in sorted(rows[strategy].items())]
         for _, rows in sorted(cells.items())],
        dtype=float,
    )  # fmt: skip


def strategies_of(cells):
    """Return the strategies that every set has."""
    names = [*STRATEGIES, *REMOVED]
    return [s for s in names if all(s in rows for rows in cells.values())]


def main_table(cells):
    """Return the table of all strategies, averaged over the sets."""
    header = ["strategy", "macro-F1", "- LLKD", "- all rows", "share a step"]
    header += ["distinct share", "labels right", "scored", "rank"]
    rows = []
    names = strategies_of(cells)
    f1 = {s: column(cells, s) for s in names}
    ranks = mean_ranks([f1[s].mean(axis=1) for s in names])
    for place in np.argsort([-f1[s].mean() for s in names]):
        s = names[place]
        values = [
            s,
            f"{f1[s].mean():.3f}",
            *(
                ""
                if s == other
                else marked_difference((f1[s] - f1[other]).mean(axis=1))
                for other in (REFERENCE, ALL)
            ),
            f"{np.nanmean(column(cells, s, 'share')):.0%}",
            f"{np.nanmean(column(cells, s, 'distinct_share')):.0%}",
            f"{np.nanmean(column(cells, s, 'label_accuracy')):.3f}",
            f"{np.nansum(column(cells, s, 'scored')) / presented(cells):.0%}",
            f"{ranks[place]:.1f}",
        ]
        rows.append(values)
    return markdown_table(header, rows)


def presented(cells):
    """Return how many rows were presented in all cells of a strategy."""
    return np.nansum(column(cells, ALL, "passes"))


def per_set_table(cells):
    """Return the table of each set: the best rule and its rivals at equal passes."""
    rivals = [s for s in (BEST, f"{BEST}, matched", REFERENCE, ALL, "random, matched",
              "confident per class, matched", "uncertain, matched", "small loss",
              "LLKD, FreeMatch term", "ranked, power 2")
              if s in strategies_of(cells)]  # fmt: skip
    header = ["set", "teacher right", "LLKD's share", *rivals]
    header += ["default - LLKD", "default - all"]
    rows = []
    f1 = {s: column(cells, s) for s in rivals}
    for i, folder in enumerate(sorted(cells)):
        values = [
            folder,
            f"{column(cells, REFERENCE, 'pool_label_accuracy')[i].mean():.3f}",
            f"{column(cells, REFERENCE, 'share')[i].mean():.0%}",
            *(f"{f1[s][i].mean():.3f}" for s in rivals),
            *(marked_difference(f1[BEST][i] - f1[o][i]) for o in (REFERENCE, ALL)),
        ]
        rows.append(values)
    return markdown_table(header, rows)


def longer_table(cells):
    """Return the table of each rule at each number of epochs, and at its best."""
    epochs = STUDENTS["tuned"][1]
    longer = {s: next(t for t in LONGER if t.startswith(f"{s} for ")) for s in FEW[:3]}
    more = longer[ALL].split(" for ")[1]
    header = ["set", "rule", f"{epochs} epochs", "passes", more, "passes"]
    header += [f"{more} - all rows at {epochs}", "chosen", "at its best"]
    header += ["- all rows at its best", "- LLKD at its best"]
    rows = []
    for i, folder in enumerate(sorted(cells)):
        best = {}
        for rule, long in longer.items():
            on_dev = [
                column(cells, s, "choosing_macro_f1")[i].mean() for s in (rule, long)
            ]
            best[rule] = rule if on_dev[0] >= on_dev[1] else long
        short_all = column(cells, ALL)[i]
        for rule, long in longer.items():
            values = [folder, rule]
            for s in (rule, long):
                values.append(f"{column(cells, s)[i].mean():.3f}")
                values.append(f"{column(cells, s, 'passes')[i].mean():,.0f}")
            values.append(marked_difference(column(cells, long)[i] - short_all))
            reached = column(cells, best[rule])[i]
            values.append(more if best[rule] == long else f"{epochs} epochs")
            values.append(f"{reached.mean():.3f}")
            for other in (ALL, REFERENCE):
                gain = reached - column(cells, best[other])[i]
                values.append("" if rule == other else marked_difference(gain))
            rows.append(values)
    return markdown_table(header, rows)


def full_batches_table(cells):
    """Return the cost of full batches to the default rule, by data set."""
    rows = []
    for i, folder in enumerate(sorted(cells)):
        once, full = column(cells, BEST)[i], column(cells, FULL)[i]
        reached = [f"{once.mean():.3f}", f"{full.mean():.3f}"]
        rows.append([folder, *reached, marked_difference(full - once)])
    return markdown_table(["set", "at once", "full batches", "difference"], rows)


def noise_table(cells):
    """Return the table of simulated noise."""
    header = ["set", "teacher right", *NOISY, "default - LLKD", "default - all"]
    rows = []
    for name in sorted({key.split(" at ")[0] for key in cells}):
        for level in LEVELS:
            here = {"": cells[f"{name} at {level:.2f}"]}
            f1 = {s: column(here, s)[0] for s in NOISY}
            values = [
                name,
                f"{level:.0%}",
                *(f"{f1[s].mean():.3f}" for s in NOISY),
                *(marked_difference(f1[BEST] - f1[o]) for o in (REFERENCE, ALL)),
            ]
            rows.append(values)
    return markdown_table(header, rows)


def mean_ranks(by_strategy):
    """Return the mean rank of each strategy over the sets, 1 the best."""
    ranks = np.array([rankdata(-column) for column in np.transpose(by_strategy)])
    return ranks.mean(axis=0)


def draw_passes(cells, student):
    """Draw macro-F1 against backward passes, a numbered point a strategy."""
    names = strategies_of(cells)
    f1 = np.array([column(cells, s).mean() for s in names])
    passes = np.array(
        [np.nanmean(column(cells, s, "passes") / column(cells, ALL, "passes"))
         for s in names]
    )  # fmt: skip
    figure, axes = plt.subplots(figsize=(10, 6), layout="constrained")
    low = np.quantile(f1, 0.12) - 0.005
    for number, i in enumerate(np.argsort(-f1), start=1):
        special = names[i] in (BEST, REFERENCE, ALL)
        colour = "C3" if special else "C0"
        y = max(f1[i], low)  # far below: at the edge, with its value in the list
        label = f"{number} {names[i]}" + (f" ({f1[i]:.3f})" if f1[i] < low else "")
        axes.plot(
            passes[i], y, "o" if f1[i] >= low else "v", color=colour, ms=6, label=label
        )
        axes.annotate(
            str(number),
            (passes[i], y),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            weight="bold" if special else "normal",
        )
    axes.set(
        xlabel="backward passes, as a share of training on all rows",
        ylabel="macro-F1, mean over the sets",
        title=NAMES[student],
    )
    figure.legend(loc="outside right upper", fontsize=7, handlelength=0.8)
    figure.savefig(PICTURES / f"selection_passes_{student}.png", dpi=130)
    plt.close(figure)


def draw_ranking(cells, student):
    """Draw the critical-difference diagram (Demšar 2006) of the strategies."""
    names = [
        s
        for s in strategies_of(cells)
        if s == REFERENCE or not ("matched" in s or s.startswith(REFERENCE))
    ]  # without LLKD's ablations: the more there are, the less a difference shows
    by_set = np.array([column(cells, s).mean(axis=1) for s in names])
    ranks = mean_ranks(by_set)
    n_sets = by_set.shape[1]
    q = studentized_range.ppf(0.95, len(names), np.inf) / np.sqrt(2)
    critical = q * np.sqrt(len(names) * (len(names) + 1) / (6 * n_sets))
    p = friedmanchisquare(*by_set).pvalue
    order = np.argsort(ranks)
    figure, axes = plt.subplots(
        figsize=(8, 0.24 * len(names) + 1), layout="constrained"
    )
    axes.barh(np.arange(len(names)), ranks[order], height=0.15, color="0.8")
    axes.plot(ranks[order], np.arange(len(names)), "o", color="C0")
    axes.axvspan(ranks.min(), ranks.min() + critical, color="C3", alpha=0.12)
    axes.set_yticks(np.arange(len(names)), [names[i] for i in order], fontsize=8)
    axes.invert_yaxis()
    axes.set(
        xlabel=f"mean rank over {n_sets} sets (1 is best); shaded: not different from "
        f"the first at 95 %\n(Nemenyi, critical difference {critical:.1f}; "
        f"Friedman p = {p:.2g})",
        title=NAMES[student],
    )
    figure.savefig(PICTURES / f"selection_ranking_{student}.png", dpi=130)
    plt.close(figure)


def read_acquisition():
    """Return macro-F1 as {set: {rule: array (budgets, seeds)}}, and the calls."""
    path = RESULTS / "acquisition.json"
    if not path.exists():
        return {}, {}
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    places = [(*key.split("/", 1)[:1], *key.split("/", 1)[1].rsplit("/", 2))
              for key in cells]  # fmt: skip
    sets = sorted({place[0] for place in places})
    seeds = sorted(
        {
            seed
            for seed in {place[3] for place in places}
            if all(
                f"{name}/{rule}/{budget}/{seed}" in cells
                for name in sets
                for rule in RULES
                for budget in BUDGETS
            )
        }
    )
    reached, calls = {}, {}
    for name in sets:
        for rule in RULES:
            own = [[cells[f"{name}/{rule}/{budget}/{seed}"] for seed in seeds]
                   for budget in BUDGETS]  # fmt: skip
            reached[name, rule] = np.array(
                [[c["macro_f1"] for c in row] for row in own]
            )
            calls[name, rule] = np.array(
                [np.mean([c["calls"] for c in row]) for row in own]
            )
    return reached, calls


def acquisition_table(reached, calls):
    """Return the calls needed for 98 % of the macro-F1 with all labels, each set."""
    header = ["set", "all labels", "calls for all", "98 % at random"]
    header += ["98 % by accept/reject", "gain at 10 %", "gain at 30 %"]
    rows = []
    place = {0.1: BUDGETS.index(0.1), 0.3: BUDGETS.index(0.3)}
    gains = {b: [] for b in place}
    for name in sorted({name for name, _ in reached}):
        f1 = {rule: reached[name, rule] for rule in RULES}
        whole = f1["random"][-1].mean()
        needed = [
            calls_needed(calls[name, rule], f1[rule].mean(axis=1), ENOUGH * whole)
            for rule in RULES
        ]
        values = [name, f"{whole:.3f}", f"{calls[name, 'random'][-1]:,.0f}"]
        values += [f"{n:,.0f} ({n / calls[name, 'random'][-1]:.0%})" for n in needed]
        for budget, i in place.items():
            gain = f1["accept/reject"][i] - f1["random"][i]
            gains[budget].append(gain.mean())
            values.append(marked_difference(gain))
        rows.append(values)
    means = (marked_difference(gains[budget]) for budget in place)
    rows.append(["mean over sets", "", "", "", "", *means])
    return markdown_table(header, rows)


def draw_acquisition(reached, calls):
    """Draw macro-F1 against the share of the pool that was bought, each set."""
    names = sorted({name for name, _ in reached})
    figure, axes = plt.subplots(2, 4, figsize=(12, 5.5), layout="constrained")
    for ax, name in zip(axes.flat, names, strict=False):
        for rule, colour in zip(RULES, ("0.4", "C3"), strict=True):
            mean = reached[name, rule].mean(axis=1)
            ax.plot(calls[name, rule], mean, "o-", ms=3, color=colour, label=rule)
        ax.axhline(ENOUGH * reached[name, "random"][-1].mean(), ls=":", color="0.6")
        ax.set_title(name, fontsize="medium")
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    axes.flat[0].legend(fontsize="small")
    figure.supxlabel("teacher calls")
    figure.supylabel("macro-F1 (dotted: 98 % of that with all labels)")
    figure.savefig(PICTURES / "selection_calls.png", dpi=130)
    plt.close(figure)


def main():
    """Write every table and plot there are cells for."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page = PAGE.read_text(encoding="utf-8")
    for student in NAMES:
        cells = read(student, FEW if student == "tuned" else None)
        if not cells:
            continue
        n_seeds = column(cells, REFERENCE).shape[1]
        counted = f"{len(cells)} sets, {n_seeds} seeds.\n\n"
        page = put_table(page, f"sets {student}", counted + per_set_table(cells))
        page = put_table(page, f"all {student}", counted + main_table(cells))
        if student != "tuned":
            draw_passes(cells, student)
            draw_ranking(cells, student)
    large = read("tuned_4000", FEW)
    if large:
        n_seeds = column(large, REFERENCE).shape[1]
        counted = f"{len(large)} sets, {n_seeds} seeds.\n\n"
        tables = f"{main_table(large)}\n\n{per_set_table(large)}"
        page = put_table(page, "large", counted + tables)
    longer = read("tuned", LONGER)
    if longer:
        n_seeds = column(longer, REFERENCE).shape[1]
        page = put_table(page, "longer", f"{n_seeds} seeds.\n\n{longer_table(longer)}")
    full = read("tuned", [*FEW, FULL])
    if full:
        page = put_table(page, "full batches", full_batches_table(full))
    noisy_cells = read("frozen_noise")
    if noisy_cells:
        page = put_table(page, "noise", noise_table(noisy_cells))
    reached, calls = read_acquisition()
    if reached:
        n_seeds = next(iter(reached.values())).shape[1]
        table = acquisition_table(reached, calls)
        page = put_table(page, "calls", f"{n_seeds} seeds.\n\n{table}")
        draw_acquisition(reached, calls)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
