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
    for line in (*found["served"]["metrics"], *found["promise"].splitlines()):
        assert line in PAGE


def test_the_page_states_the_figures(found):
    n, n_sent, n_right = (
        found[name] for name in ("n_answered", "n_sent", "n_answered_right")
    )
    assert f"| {n} of {n_sent:,} |" in PAGE
    assert f"{n_right} of {n} are right ({n_right / n:.0%}".replace("%", " %") in PAGE
    assert f"| {n_sent - n} |" in PAGE
    assert f"costs {0.8 * (n_sent - n) / n_sent:.2f} instead of 0.80" in PAGE
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
