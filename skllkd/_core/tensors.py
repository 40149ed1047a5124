"""Files of arrays in the format of safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def write_tensors(
    arrays: Mapping[str, npt.NDArray[Any]],
    path: Path,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write arrays to a file that others may read where they may read other files.

    safetensors alone lets the owner only, so that another user could not serve a model.
    """
    from safetensors.numpy import save_file

    path.touch()
    mode = path.stat().st_mode
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, path, metadata=metadata)
    path.chmod(mode)
