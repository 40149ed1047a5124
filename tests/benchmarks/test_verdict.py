"""The rule of the verdict is the one that was measured, and is right as often as stated."""

import json
from collections import Counter
from pathlib import Path

import pytest
from benchmarks.verdict import FIGURES, GOOD, MARGIN, above_guessing, fitted_constants
from benchmarks.verdict import kind_of as kind
from skllkd.inspection import estimate
from skllkd.inspection.estimate import Signals, estimated

ROOT = Path(__file__).parents[2]
CELLS = json.loads((ROOT / "benchmarks/results/verdict.json").read_text())["cells"]


@pytest.mark.parametrize(
    ("figures", "constants"),
    [
        (FIGURES[0], estimate._WITH_NAMES),
        (FIGURES[1], estimate._WITHOUT_NAMES),
        (FIGURES[2], estimate._CONFIDENCE_ALONE),
    ],
)
def test_the_constants_are_those_of_the_results(figures, constants):
    known = {
        key: cell
        for key, cell in CELLS.items()
        if kind(key) != "class names" and not key.startswith("bbc")
    }
    for of, used in zip(("teacher", "student"), constants, strict=True):
        found = fitted_constants(known, of, figures)
        assert list(used[: len(found)]) == pytest.approx(found.tolist(), abs=0.01)


def test_the_estimates_of_the_results_are_those_made_today():
    for key, cell in CELLS.items():
        signals = Signals(*(cell[name] for name in Signals._fields))
        teacher, student = estimated(signals, int(cell["n_classes"]))
        assert teacher.value == pytest.approx(cell["teacher_estimate"], abs=1e-3), key
        assert student.value == pytest.approx(cell["student_estimate"], abs=1e-3), key


def test_verdicts_are_right_as_often_as_the_page_says():
    counts = Counter()
    for cell in CELLS.values():
        is_good = above_guessing(cell["teacher"], cell) >= GOOD
        follows = cell["student"] >= cell["teacher"] - MARGIN
        counts[cell["outcome"], is_good and follows] += 1
    works, fails, doubtful = (
        (counts[name, True], counts[name, False])
        for name in ("works", "does not work", "doubtful")
    )
    page = " ".join((ROOT / "docs/verdict.md").read_text().split())
    shown = (sum(works), works[0], sum(doubtful), doubtful[0], sum(fails), fails[1])
    assert f"| all | {' | '.join(map(str, shown))} |" in page


def test_poor_teachers_are_hopeless():
    worse = [key for key in CELLS if key.endswith("right in 0.27")]
    abstracts = [
        key
        for key, cell in CELLS.items()
        if key.startswith("nicta") and cell["confidence"] is not None
    ]
    for key in (*worse, *abstracts):
        if kind(key) != "class names":
            assert CELLS[key]["outcome"] == "does not work", key
    right = [c["teacher"] for c in CELLS.values() if c["outcome"] == "works"]
    assert min(right) > 0.49
