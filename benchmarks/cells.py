"""Cells of a benchmark: each is run once, kept in a JSON file, and not run again."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from skllkd import __version__

RESULTS = Path("benchmarks/results")
SAVE_EVERY_S = 20


def benchmark_parser(doc: str, name: str) -> argparse.ArgumentParser:
    """Return a parser with `--output`, by default the results file of a benchmark."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS / f"{name}.json")
    return parser


def machine_name(n_threads: int | None = None) -> str:
    """Return the processor and the number of threads that a speed was measured with."""
    processor = platform.processor() or platform.machine()
    with suppress(OSError):  # Linux only; elsewhere the line above says it
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return f"{processor}|{n_threads or os.cpu_count()} threads"


def about(
    command: str, *packages: str, n_threads: int | None = None, **more: Any
) -> dict[str, Any]:
    """Return where and with what figures were measured, to be stored beside them."""
    commit = ""
    with suppress(OSError):  # a machine without git
        asked = ["git", "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    versions = {"skllkd": __version__} | {name: version(name) for name in packages}
    return {
        "command": f"python -m benchmarks.{command}",
        "machine": machine_name(n_threads),
        "cores": os.cpu_count(),
        "commit": commit,
        "versions": versions | {"python": platform.python_version()},
        **more,
    }


def write_json(path: Path, text: str) -> None:
    """Write a results file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def write_figures(path: Path, figures: dict[str, Any]) -> None:
    """Write the figures of a benchmark that is run in one go."""
    write_json(path, json.dumps(figures, indent=1) + "\n")


class Cells(dict[str, Any]):
    """Cells by key, those of the file included; written when the context is left.

    Parameters
    ----------
    path : Path
        The results file, which a run that was stopped goes on from.
    head : dict
        What `about` returned; a file that exists keeps its own.
    """

    def __init__(self, path: Path, head: dict[str, Any]):
        super().__init__()
        self.path, self.head = path, head
        if path.exists():
            self.head = json.loads(path.read_text(encoding="utf-8"))
            self.update(self.head.pop("cells"))
        self._written = time.monotonic()

    def run(self, key: str, measure: Callable[..., Any], *arguments: Any) -> Any:
        """Return a cell, measured unless it is known."""
        if key not in self:
            self[key] = measure(*arguments)
            print(key, json.dumps(self[key]), flush=True)
            if time.monotonic() - self._written > SAVE_EVERY_S:
                self.write()
        return self[key]

    def write(self) -> None:
        """Write the file, a line a cell."""
        lines = ",\n".join(
            f"  {json.dumps(key)}: {json.dumps(cell)}"
            for key, cell in sorted(self.items())
        )
        head = json.dumps(self.head, indent=1)[:-2]
        write_json(self.path, f'{head},\n "cells": {{\n{lines}\n }}\n}}\n')
        self._written = time.monotonic()

    def __enter__(self) -> Cells:
        return self

    def __exit__(self, *_: object) -> None:
        self.write()
