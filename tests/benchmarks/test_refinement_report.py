"""Tables of the benchmark of refinement."""

import json

import pytest
from benchmarks.refinement import PAIRS, REFINED, SHARES, TEACHER
from benchmarks.refinement_report import calls_table, gain_table, read, tables


def cell(macro_f1, **more):
    """Return a cell with a macro-F1."""
    figures = {"accuracy": 0.5, "labels_right": 0.6, "passes": 10}
    seconds = {"refinement_s": 1.0, "training_s": 2.0}
    return {"macro_f1": macro_f1, **figures, **seconds, **more}


def write(folder, cells, name="refinement"):
    """Write a results file."""
    text = json.dumps({"machine": "any", "cells": cells})
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def gains(gain_of_set, n_seeds=3):
    """Return the cells of sets whose gain is known; the level differs by seed."""
    return {
        f"frozen/{name}/{rule}/{labels}/{seed}": cell(
            0.5 + 0.1 * seed + (gain if labels == REFINED else 0)
        )
        for name, gain in gain_of_set.items()
        for rule, labels in PAIRS["default"]
        for seed in range(n_seeds)
    }


def row_of(table, name):
    """Return the values of a row."""
    lines = [line for line in table.splitlines() if line.startswith(f"| {name} |")]
    assert len(lines) == 1
    return [value.strip() for value in lines[0].strip("|").split("|")]


def test_gains_are_paired_by_seed(tmp_path):
    write(tmp_path, gains({"one": 0.02, "two": 0.04}))
    table = gain_table(read(tmp_path)["frozen"])
    assert row_of(table, "one")[5] == "**+0.020 ± 0.000**"
    assert row_of(table, "mean of the sets")[5].startswith("+0.030 ± 0.127")


def test_a_run_that_goes_on_shows_the_seeds_all_sets_have(tmp_path):
    cells = gains({"one": 0.02, "two": 0.04})
    del cells[f"frozen/two/default/{REFINED}/2"]
    cells["frozen/three/all/teacher/0"] = cell(0.1)
    write(tmp_path, cells)
    table = gain_table(read(tmp_path)["frozen"])
    assert table.startswith("2 sets, 2 seeds.")


def test_files_of_students_are_read_together(tmp_path):
    write(tmp_path, gains({"one": 0.02, "two": 0.04}))
    tuned = {
        key.replace("frozen", "tuned"): value
        for key, value in gains({"one": 0.1, "two": 0.1}).items()
    }
    write(tmp_path, tuned, "refinement_tuned")
    made = tables(read(tmp_path))
    assert {"gain frozen", "rules frozen", "gain tuned", "rules tuned"} == set(made)
    assert row_of(made["gain tuned"], "one")[5] == "**+0.100 ± 0.000**"


@pytest.mark.parametrize(("refined_at_least", "needed"), [(0.59, 100), (0.0, 550)])
def test_calls_are_counted_where_the_curve_reaches_98_percent(
    tmp_path, refined_at_least, needed
):
    cells = {}
    for share in SHARES:
        for seed in range(2):
            calls = round(share * 1000)
            refined = max(refined_at_least, 0.588 if share > 0.5 else 0.1)
            if share == 0.7 and not refined_at_least:
                refined = 2.052  # the line from (500, .1) is at .588 at 550 calls
            for name in ("one", "two"):
                start = f"frozen calls/{name}/{share}"
                cells[f"{start}/{TEACHER}/{seed}"] = cell(0.6 * share, calls=calls)
                cells[f"{start}/{REFINED}/{seed}"] = cell(refined, calls=calls)
    write(tmp_path, cells)
    table = calls_table(read(tmp_path)["frozen calls"])
    assert row_of(table, "one")[3] == f"{needed} ({needed / 1000:.0%})"
