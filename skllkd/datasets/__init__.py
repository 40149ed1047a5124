"""Data sets that come as packages, for demonstrations and benchmarks."""

from skllkd.datasets._bbc_news import load_bbc_news

__all__ = ["load_bbc_news"]
