"""The gallery's examples run, on real data, and draw."""

import runpy
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")
from matplotlib import pyplot

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"


@pytest.mark.parametrize(
    "example", sorted(GALLERY.glob("plot_*.py")), ids=lambda p: p.stem
)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_example_runs_and_draws(example, capsys, tmp_path):
    runpy.run_path(str(example))
    assert pyplot.get_fignums()
    pyplot.savefig(tmp_path / "figure.png")
    pyplot.close("all")
    out = capsys.readouterr().out
    if example.stem == "plot_grid_search":
        assert "chosen: {" in out
        assert "teacher calls made by the last fit: 0" in out
