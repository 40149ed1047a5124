"""The page about the code names every package, and its picture is drawn from the code."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "inside.md").read_text(encoding="utf-8")


def parts_of(folder):
    """Return the names of the modules and packages directly in a package."""
    names = (path.stem for path in folder.iterdir() if path.suffix in ("", ".py"))
    return {name for name in names if not name.startswith("__")} - {"_version"}


@pytest.mark.parametrize("package", ["skllkd", "skllkd/teachers"])
def test_every_package_has_a_row(package):
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("|")]
    named = {name.strip(" `") for row in rows for name in row.split(",")}
    assert parts_of(ROOT / package) <= named


def test_paths_on_the_page_exist():
    found = {
        word for word in PAGE.replace("(", " ").split("`")[1::2] if word.endswith(".py")
    }
    assert len(found) >= 10
    for path in found:
        assert (ROOT / "skllkd" / path).is_file(), path


def test_the_picture_is_drawn_from_the_code():
    plt = pytest.importorskip("matplotlib.pyplot")
    drawn = runpy.run_path(str(ROOT / "docs" / "figures" / "inside.py"))
    texts = {
        text.get_text()
        for axes in (drawn["whole"], drawn["inside"])
        for text in axes.texts
    }
    plt.close(drawn["figure"])
    assert parts_of(ROOT / "skllkd") | parts_of(ROOT / "skllkd" / "teachers") <= texts
    assert drawn["GRAPH"].modules >= {"skllkd.training.loop"}
