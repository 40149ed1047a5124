"""Intervals are those of SciPy, tables are Markdown between the marks of a page."""

import numpy as np
import pytest
from benchmarks.tables import (
    difference,
    interval,
    markdown_table,
    marked_difference,
    put_table,
)
from scipy import stats


def test_interval_is_that_of_students_t():
    values = np.random.RandomState(0).normal(size=7)
    mean, width = interval(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean - width, mean + width) == pytest.approx((low, high))


def test_a_difference_is_bold_where_its_interval_excludes_0():
    assert marked_difference([0.1, 0.11, 0.12]) == "**+0.110 ± 0.025**"
    assert marked_difference([-0.1, 0.1]) == difference([-0.1, 0.1])


def test_table_goes_between_its_marks_only():
    page = "a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\n<!-- end -->\n"
    table = markdown_table(["set", "F1"], [["news", "0.5"]])
    assert table == "| set | F1 |\n|---|---|\n| news | 0.5 |"
    assert put_table(page, "x", table) == page.replace("old", f"\n{table}\n")
    assert put_table(page, "z", table) == page
