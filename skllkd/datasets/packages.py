"""Folders of installed packages that hold data only."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from skllkd.exceptions import MissingDependencyError


def package_folder(package: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            f"the package `{package}` is needed for this and is not installed. Install "
            'it with python -m pip install "skllkd[demo]".'
        )
    return Path(spec.submodule_search_locations[0])
