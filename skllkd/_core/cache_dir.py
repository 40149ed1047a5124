"""Location of the on-disk cache."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return `SKLLKD_CACHE`, else a folder in the user's cache; it may not exist yet."""
    folder = os.environ.get("SKLLKD_CACHE")
    if not folder:
        import platformdirs

        folder = platformdirs.user_cache_dir("skllkd", appauthor=False)
    return Path(folder)
