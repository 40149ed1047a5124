"""Structure of the package against its bars: imports, sizes, names, docstrings.

Run in the repository root: `python -m benchmarks.structure` prints one line a bar and exits
with 1 if one is missed; `--list` also prints what stands in the way.
"""

import argparse
import ast
import importlib
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import grimp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skllkd"
PUBLIC = [
    "skllkd",
    "skllkd.datasets",
    "skllkd.exceptions",
    "skllkd.metrics",
    "skllkd.refinement",
    "skllkd.selection",
    "skllkd.students",
    "skllkd.teachers",
]
# Before labels were refined, the bars were 17,000 lines (16,986 at ff7d8d3) and 65 names.
# Capabilities raised them: refinement, class names as a teacher, the comparison of prompts,
# gold labels (20,297 lines); then strict tables of every format, servers of every kind,
# the verdict and evaluation, trials before the first call, a cascade and its server; then
# several classes a text, `Multilabel` (4,000), and the review (1,650); long texts, and
# classes in a tree (900).
LINES, NAMES = 37_000, 79
# Function-level imports of our own that have a reason: torch, and a quick start.
FENCE = re.compile(r"skllkd\.students\._torch\b")
QUICK_START = ("skllkd/cli/", "skllkd/__main__.py")
OPENING = re.compile(r"(What|Where|How|Return what)\b")


@dataclass
class Figure:
    """One measured figure, its bar and the places that count against it."""

    name: str
    value: float
    bar: float
    places: list[str] = field(default_factory=list)
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the figure is within its bar."""
        return self.value <= self.bar

    def __str__(self) -> str:
        verdict = "ok" if self.holds else "MISS"
        value, bar = f"{self.value:,.6g}{self.unit}", f"{self.bar:,.6g}{self.unit}"
        return f"{self.name:<58} {value:>10}   <= {bar:>8}   {verdict}"


@cache
def sources() -> dict[str, str]:
    """Text of each module, by its path from the root."""
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def trees() -> dict[str, ast.Module]:
    """Syntax tree of each module, by its path from the root."""
    return {path: ast.parse(text) for path, text in sources().items()}


Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@cache
def walked() -> list[tuple[str, ast.AST]]:
    """Path and node of everything that can hold a docstring."""
    return [
        (path, node)
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, Documented)
    ]


def nodes(kind: type | tuple[type, ...]) -> Iterator[tuple[str, ast.AST]]:
    """Yield the path and the node of each module, class or function of a kind."""
    return ((path, node) for path, node in walked() if isinstance(node, kind))


def docstring(node: Documented) -> ast.Expr | None:
    """Return the expression that holds a node's docstring."""
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return first if isinstance(first.value.value, str) else None
    return None


def n_lines(node: ast.stmt | None) -> int:
    """Return the number of lines that a statement takes."""
    return node.end_lineno - node.lineno + 1 if node else 0


def body_lines(function: Function) -> int:
    """Return the number of lines of a function below its signature and docstring."""
    rest = function.body[1:] if docstring(function) else function.body
    return rest[-1].end_lineno - rest[0].lineno + 1 if rest else 0


def circles() -> Figure:
    """Find groups of modules that import each other, type-checking imports counted."""
    graph = grimp.build_graph("skllkd", exclude_type_checking_imports=False)
    names = sorted(graph.modules)
    index = {name: i for i, name in enumerate(names)}
    edges = [
        (index[name], index[other])
        for name in names
        for other in graph.find_modules_directly_imported_by(name)
    ]
    start, end = np.array(edges, np.int32).T
    matrix = coo_array((np.ones(len(edges)), (start, end)), (len(names), len(names)))
    n_groups, group = connected_components(matrix, connection="strong")
    members = [[names[i] for i in np.flatnonzero(group == k)] for k in range(n_groups)]
    places = [" <-> ".join(group) for group in members if len(group) > 1]
    return Figure(
        "import circles, type-checking imports counted", len(places), 0, places
    )


def contracts() -> Figure:
    """Check that import-linter's contracts count type-checking imports, too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    linter = project["tool"]["importlinter"]
    excluded = linter.get("exclude_type_checking_imports", False)
    return Figure("import-linter leaves out type-checking imports", int(excluded), 0)


def own_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of every import of our own modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            full = "." * node.level + (node.module or "")
            for alias in node.names:
                if full.startswith(("skllkd", ".")):
                    yield node.lineno, f"{full}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("skllkd"):
                    yield node.lineno, alias.name


def function_imports() -> Figure:
    """Find imports of our own modules inside functions, but for torch and a quick start."""
    places = {
        f"{path}:{line} {name}"
        for path, function in nodes((ast.FunctionDef, ast.AsyncFunctionDef))
        for line, name in own_imports(function)
        if not FENCE.match(name) and not path.startswith(QUICK_START)
    }
    return Figure(
        "function-level imports outside the fence", len(places), 0, sorted(places)
    )


def module_lines() -> list[Figure]:
    """Count lines of the modules that hold more than a docstring, and of all together."""
    lines = {path: text.count("\n") for path, text in sources().items()}
    filled = {
        path: lines[path]
        for path, tree in trees().items()
        if len(tree.body) > bool(docstring(tree))
    }
    median = float(np.median(list(filled.values())))
    long = [f"{path} {n}" for path, n in filled.items() if n > 600]
    of_docstrings = sum(
        n_lines(docstring(node))
        for _, node in nodes((ast.Module, ast.ClassDef, ast.FunctionDef))
    )
    total = sum(lines.values())
    longest = sorted(filled, key=filled.__getitem__)[::-1][:15]
    return [
        Figure("median lines of a module", median, 160),
        Figure("lines of the longest module", max(filled.values()), 600, long),
        Figure("lines of skllkd/", total, LINES, [f"{p} {lines[p]}" for p in longest]),
        Figure("lines of skllkd/ without docstrings", total - of_docstrings, np.inf),
    ]


def bodies() -> list[Figure]:
    """Measure function bodies, in lines without signature and docstring."""
    functions = nodes((ast.FunctionDef, ast.AsyncFunctionDef))
    sizes = [(body_lines(f), f"{path}:{f.lineno} {f.name}") for path, f in functions]
    long = [f"{place} {n}" for n, place in sorted(sizes)[::-1]]
    n_long = sum(n > 60 for n, _ in sizes)
    percentile = float(np.percentile([n for n, _ in sizes], 90))
    n_above = sum(n > 25 for n, _ in sizes)
    return [
        Figure("bodies over 60 lines", n_long, 0, long[:n_long]),
        Figure("90th percentile of body lines", percentile, 25, long[n_long:n_above]),
    ]


def public_names() -> Figure:
    """Count the names in `__all__` of the public packages."""
    modules = [importlib.import_module(name) for name in PUBLIC]
    places = [f"{m.__name__} {len(m.__all__)}: {', '.join(m.__all__)}" for m in modules]
    return Figure("public names", sum(len(m.__all__) for m in modules), NAMES, places)


def constructors() -> Figure:
    """Count parameters of the longest constructor among the public classes."""
    counts = {}
    for name in PUBLIC:
        module = importlib.import_module(name)
        for thing in (getattr(module, public) for public in module.__all__):
            if inspect.isclass(thing):
                parameters = inspect.signature(thing.__init__).parameters
                counts[thing.__qualname__] = len(parameters) - 1  # `self`
    places = [f"{name} {n}" for name, n in counts.items() if n > 16]
    return Figure(
        "parameters of the longest constructor", max(counts.values()), 16, places
    )


def summaries() -> list[Figure]:
    """Find summary lines that hold the word "what", or open with a question word."""
    lines = {
        f"{path}:{getattr(node, 'lineno', 1)}": text.strip().splitlines()[0]
        for path, node in nodes((ast.Module, ast.ClassDef, ast.FunctionDef))
        if (text := ast.get_docstring(node))
    }
    what = [f"{p} {s}" for p, s in lines.items() if re.search(r"\bwhat\b", s, re.I)]
    opening = [f"{place} {s}" for place, s in lines.items() if OPENING.match(s)]
    share = 100 * len(what) / len(lines)
    return [
        Figure('summaries with the word "what"', round(share, 2), 1, what, " %"),
        Figure("summaries that open with What, Where or How", len(opening), 0, opening),
    ]


def methods() -> dict[str, tuple[list[str], dict[str, tuple[str, ast.FunctionDef]]]]:
    """Collect bases and methods of each class, by its name."""
    return {
        cls.name: (
            [ast.unparse(base).split("[")[0].split(".")[-1] for base in cls.bases],
            {f.name: (path, f) for f in cls.body if isinstance(f, ast.FunctionDef)},
        )
        for path, cls in nodes(ast.ClassDef)
    }


def copied_docstrings() -> Figure:
    """Count docstring lines of overrides that the method overridden has, too."""
    classes = methods()

    def inherited(cls: str, name: str) -> Iterator[str]:
        for base in set(classes.get(cls, ([], {}))[0]) - {cls}:
            _, overridden = classes.get(base, ([], {}))[1].get(name, ("", None))
            if overridden is not None:
                yield from prose(overridden)
            yield from inherited(base, name)

    total, places = 0, []
    for cls, (_, own) in classes.items():
        for name, (path, function) in own.items():
            copies = set(prose(function)) & set(inherited(cls, name))
            total += len(copies)
            if copies:
                places.append(f"{path}:{function.lineno} {cls}.{name} {len(copies)}")
    return Figure("docstring lines copied from the method overridden", total, 0, places)


def prose(function: ast.FunctionDef) -> list[str]:
    """Return the lines of a docstring that say something: no headings, no blanks."""
    lines = (ast.get_docstring(function) or "").splitlines()
    return [line for line in lines if " " in line.strip()]


def measure() -> list[Figure]:
    """Return every figure, in the order in which they are printed."""
    measures: list[Callable[[], Figure | list[Figure]]] = [
        circles,
        contracts,
        function_imports,
        module_lines,
        bodies,
        public_names,
        constructors,
        summaries,
        copied_docstrings,
    ]
    figures: list[Figure] = []
    for measured in (make() for make in measures):
        figures += measured if isinstance(measured, list) else [measured]
    return figures


def main() -> int:
    """Print the figures; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the places, too")
    listed = parser.parse_args().list
    figures = measure()
    for figure in figures:
        print(figure)
        if listed:
            for place in figure.places:
                print("   ", place)
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
