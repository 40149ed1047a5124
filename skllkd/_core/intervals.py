"""Confidence intervals of shares."""

from __future__ import annotations


def wilson_interval(n_hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share; NaN of nothing."""
    from scipy.stats import binomtest  # slow to import

    if not n:
        return float("nan"), float("nan")
    interval = binomtest(n_hits, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
