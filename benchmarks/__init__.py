"""Benchmarks: each prints its table, and writes it beside the machine's name."""
