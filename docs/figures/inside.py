"""The packages and their imports, drawn from the code and from its import contracts.

Rows are the layers that import-linter checks, areas follow the lines of code, and arrows
are imports, without those that a longer way down implies.
"""

import tomllib
from pathlib import Path

import grimp
import matplotlib.pyplot as plt
import numpy as np
import skllkd
from matplotlib.patches import FancyBboxPatch

SOURCE = Path(skllkd.__file__).parent
CONTRACTS = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text("utf-8"))
LAYERS = [
    contract
    for contract in CONTRACTS["tool"]["importlinter"]["contracts"]
    if contract["type"] == "layers"
]
GRAPH = grimp.build_graph("skllkd", exclude_type_checking_imports=False)
#: The way of a text, as the page counts it.
STEPS = {
    "skllkd._classifier": "1, 7",
    "skllkd.teachers": "2",
    "skllkd.refinement": "3",
    "skllkd.training": "4",
    "skllkd.selection": "5",
    "skllkd.students": "5, 7",
    "skllkd._fitted": "6",
}
LEFT_OUT = {"skllkd.__main__", "skllkd._version"}
BLUE, ORANGE, GREY = "#dbe7f3", "#fbe3cc", "0.45"


def n_lines(module):
    """Return the lines of a module, with everything in it."""
    path = SOURCE.joinpath(*module.split(".")[1:])
    files = [*path.rglob("*.py")] if path.is_dir() else [path.with_suffix(".py")]
    return sum(file.read_text("utf-8").count("\n") for file in files)


def rows_of(contract):
    """Return the modules of each layer of a contract, from the top."""
    prefix = "".join(f"{name}." for name in contract.get("containers", []))
    rows = [
        [prefix + name.strip() for name in layer.replace(":", "|").split("|")]
        for layer in contract["layers"]
    ]
    rows = [[name for name in row if name not in LEFT_OUT] for row in rows]
    return [row for row in rows if row]


def arrows_of(modules):
    """Return the imports between modules that no longer way down implies."""
    direct = {
        (a, b)
        for a in modules
        for b in modules
        if a != b
        and GRAPH.direct_import_exists(importer=a, imported=b, as_packages=True)
    }
    reach = set(direct)
    for via in modules:
        reach |= {(a, b) for a, x in reach if x == via for y, b in reach if y == via}
    return {
        (a, b)
        for a, b in direct
        if not any((a, via) in reach and (via, b) in reach for via in modules)
    }


def width_of(name):
    """Return the width of a box: room for the name, more for more lines."""
    return max(0.45 + 0.085 * len(name.rpartition(".")[2]), np.sqrt(n_lines(name)) / 45)


def draw(axes, contract, colour, title):
    """Draw the layers of a contract as rows of boxes, and the arrows between them."""
    rows = rows_of(contract)
    boxes = {}
    for height, row in enumerate(reversed(rows)):
        widths = np.array([width_of(name) for name in row])
        left = -(widths.sum() + 0.2 * (len(row) - 1)) / 2
        for name, width in zip(row, widths, strict=True):
            boxes[name] = left, height, width
            shape = FancyBboxPatch(
                (left, height),
                width,
                0.52,
                boxstyle="round,pad=0,rounding_size=.07",
                fc=colour if name in STEPS or colour == ORANGE else "0.94",
                ec=GREY,
            )
            axes.add_patch(shape)
            label, middle = name.rpartition(".")[2], left + width / 2
            axes.text(
                middle,
                height + 0.33,
                label,
                ha="center",
                va="center",
                fontsize=8.5,
                weight="bold",
            )
            axes.text(
                middle,
                height + 0.13,
                f"{n_lines(name):,} lines",
                ha="center",
                va="center",
                fontsize=6.5,
                color="0.3",
            )
            if name in STEPS:
                axes.text(
                    left,
                    height + 0.26,
                    STEPS[name],
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white",
                    bbox={"boxstyle": "round,pad=.25", "fc": "tab:red", "ec": "none"},
                )
            left += width + 0.2
    for a, b in arrows_of(list(boxes)):
        (left, low, width), (left_to, low_to, width_to) = boxes[a], boxes[b]
        start = np.clip(left_to + width_to / 2, left + 0.15, left + width - 0.15)
        end = np.clip(left + width / 2, left_to + 0.15, left_to + width_to - 0.15)
        style = {"arrowstyle": "-|>", "color": GREY, "lw": 0.9, "shrinkA": 0}
        axes.annotate(
            "",
            (end, low_to + 0.52),
            (start, low),
            zorder=0,
            arrowprops=style | {"shrinkB": 0},
        )
    reach = max(-left for left, _, _ in boxes.values()) + 0.25
    axes.set(xlim=(-reach, reach), ylim=(-0.15, len(rows) - 0.2), title=title)
    axes.set_axis_off()


figure, (whole, inside) = plt.subplots(
    1, 2, figsize=(12.5, 6.8), width_ratios=[1, 1.1], layout="constrained"
)
draw(whole, LAYERS[0], BLUE, "skllkd")
draw(inside, LAYERS[1], ORANGE, "inside skllkd.teachers")
