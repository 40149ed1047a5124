"""Means with their intervals, and the tables of the pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t


def interval(values: ArrayLike) -> tuple[float, float]:
    """Return the mean and the half width of its 95 % interval of Student's t.

    Paired differences go in as differences: over seeds on one data set, or over the
    means of data sets.
    """
    values = np.asarray(values, dtype=float)
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(t.ppf(0.975, len(values) - 1) * error)


def difference(values: ArrayLike, sign: str = "±") -> str:
    """Return the mean of paired differences with its interval, as text."""
    mean, width = interval(values)
    return f"{mean:+.3f} {sign} {width:.3f}"


def marked_difference(values: ArrayLike) -> str:
    """Return a difference as text for a page: bold where its interval excludes 0."""
    mean, width = interval(values)
    return f"**{difference(values)}**" if abs(mean) > width else difference(values)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def put_table(page: str, name: str, table: str) -> str:
    """Return a page with a table between the marks of a name, if it has them."""
    return re.sub(
        rf"(<!-- {name} -->\n).*?(<!-- end -->)",
        lambda marks: f"{marks[1]}\n{table}\n\n{marks[2]}",
        page,
        flags=re.DOTALL,
    )
