"""Where what is kept between runs lies."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of all that is kept between runs.

    Returns
    -------
    Path
        The folder `SKLLKD_CACHE` names, else one in the user's cache folder; it may not
        exist yet.
    """
    folder = os.environ.get("SKLLKD_CACHE")
    if not folder:
        import platformdirs

        folder = platformdirs.user_cache_dir("skllkd", appauthor=False)
    return Path(folder)
