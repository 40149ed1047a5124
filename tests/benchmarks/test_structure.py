"""The structure of the package stays within the bars it has reached."""

import pytest

from benchmarks import structure

REACHED = [
    "import circles, type-checking imports counted",
    "import-linter leaves out type-checking imports",
    "function-level imports outside the fence",
    "median lines of a module",
    "lines of the longest module",
    "bodies over 60 lines",
    "90th percentile of body lines",
    "parameters of the longest constructor",
    "docstring lines copied from the method overridden",
]


@pytest.fixture(scope="module")
def figures():
    return {figure.name: figure for figure in structure.measure()}


@pytest.mark.parametrize("name", REACHED)
def test_bar_holds(name, figures):
    figure = figures[name]
    assert figure.holds, "\n".join([str(figure), *figure.places])
