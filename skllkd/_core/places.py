"""Places to write to, tried before the work whose result goes there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from skllkd.exceptions import InvalidParameterError

#: Free space to keep beside the result, in bytes.
_SPARE = 2**20


def check_file(path: str | os.PathLike[str], n_bytes: int = 0) -> None:
    """Raise unless a file can be written, beside an earlier one of the name, in full."""
    target = Path(path).expanduser()
    if target.is_dir():
        raise InvalidParameterError(f"{str(target)!r} is a folder. Name a file in it.")
    if target.exists() and not target.is_file():  # a pipe, or a device
        return
    if not target.parent.is_dir():
        raise InvalidParameterError(
            f"{str(target)!r} cannot be written: there is no folder "
            f"{str(target.parent)!r}. Make it, or name another."
        )
    if target.exists() and not os.access(target, os.W_OK):
        raise InvalidParameterError(
            f"{str(target)!r} is protected against writing. Name another file."
        )
    _try_writing(target.parent, target)
    _check_room(target.parent, target, n_bytes)


def check_folder(path: str | os.PathLike[str], n_bytes: int = 0) -> None:
    """Raise unless a folder, there or to be made, can hold files of so many bytes."""
    target = Path(path).expanduser()
    present = target
    while not present.exists() and present != present.parent:
        present = present.parent
    if not present.is_dir():
        raise InvalidParameterError(
            f"{str(target)!r} cannot be a folder: {str(present)!r} is a file. Name another."
        )
    _try_writing(present, target)
    _check_room(present, target, n_bytes)


def _try_writing(folder: Path, target: Path) -> None:
    """Write a byte in a folder, and raise if that fails."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        raise InvalidParameterError(
            f"{str(target)!r} cannot be written: {error.strerror or error} in the folder "
            f"{str(folder)!r}. Name another place."
        ) from error


def _check_room(folder: Path, target: Path, n_bytes: int) -> None:
    """Raise where the disk has no room for so many bytes."""
    n_free = shutil.disk_usage(folder).free
    if n_free < n_bytes + _SPARE:
        raise InvalidParameterError(
            f"{str(target)!r} needs some {n_bytes / 1e6:,.0f} MB, and the disk has "
            f"{n_free / 1e6:,.1f} MB left. Make room, or name another place."
        )
