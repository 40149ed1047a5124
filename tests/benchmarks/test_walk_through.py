"""The figures of the walk-through are those that were measured."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "walk-through.md").read_text(encoding="utf-8")
IN_ONE_LINE = " ".join(PAGE.split())


@pytest.fixture(scope="module")
def found():
    path = ROOT / "benchmarks" / "results" / "walk_through.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_page_quotes_the_programs(found):
    at_the_end = [line for line in found["alone"]["said"][1:] if "Latency" not in line]
    for line in (*found["promise"], *found["alone"]["metrics"], *at_the_end):
        assert line in PAGE


def test_the_page_states_the_figures(found):
    n_sent, answers = found["n_sent"], found["alone"]["answers"]
    n, n_right = (answers["student"][name] for name in ("n", "n_right"))
    assert f"| {n} of {n_sent:,} |" in PAGE
    assert f"{n_right} of {n} are right ({n_right / n:.0%}".replace("%", " %") in PAGE
    assert f"| {n_sent - n} |" in PAGE
    assert f"costs {0.8 * (n_sent - n) / n_sent:.2f} instead of 0.80" in PAGE
    asked = found["with_language_model"]["answers"]
    assert f"these {asked['teacher']['n']} texts" in PAGE
    assert f"{asked['teacher']['n_right']} of them right" in PAGE
    share = sum(of["n_right"] for of in asked.values()) / n_sent
    assert f"answers {share:.1%} are then right".replace("%", " %") in PAGE
    before, after = (
        f"{found['accuracy_on_sent'][m]:.1%}" for m in ("model", "reviewed")
    )
    said = f"right on {after}, the one before on {before}".replace("%", " %")
    assert said in IN_ONE_LINE
    first, second = (
        found[f"{name}_review"]["accuracy"] for name in ("first", "second")
    )
    for judge in first.values():
        percent = [f"{100 * judge[name]:.0f}" for name in ("share", "low", "high")]
        assert percent[0] + " %" in PAGE
        assert f"{percent[1]} to {percent[2]} %)" in PAGE
    assert f"{second['student']['n_right']} of {second['student']['n_texts']}" in PAGE
