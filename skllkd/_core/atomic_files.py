"""Files and folders that are replaced whole: written beside, synced, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNFINISHED, _COMPLETE, _REMOVED = ".unfinished-", ".complete", ".removed"
#: Age after which what a killed process left is removed, in seconds.
_LEFT_BEHIND_S = 86400.0


@contextmanager
def replacing_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path to write to; the file replaces the one of before when it is whole."""
    target = Path(path).expanduser().resolve()  # a link stays one
    if target.exists() and not target.is_file():  # a pipe or a device
        yield target
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(target.parent, target.name)
    unfinished = target.with_name(f"{_UNFINISHED}{uuid.uuid4().hex[:8]}-{target.name}")
    try:
        yield unfinished
        _sync(unfinished)
        unfinished.replace(target)
        _sync(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def replacing_contents(folder: Path) -> Iterator[Path]:
    """Yield a folder to write to; its files replace those of `folder` when all exist.

    From the one renaming that completes it, the new files are the contents, and
    `finish_replacing` moves them to their places, now or after a kill. Files of other
    names stay; `remove_file` marks those that are to go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(folder, "")
    unfinished = folder / f"{_UNFINISHED}{uuid.uuid4().hex[:8]}"
    try:
        unfinished.mkdir()
        yield unfinished
        for path in [*unfinished.rglob("*"), unfinished]:
            _sync(path)
        _complete(unfinished, folder / _COMPLETE)
        _sync(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    finish_replacing(folder)


def _complete(unfinished: Path, complete: Path) -> None:
    """Rename new contents, after those that another process completed."""
    while True:
        finish_replacing(complete.parent)
        try:
            unfinished.rename(complete)
            return
        except OSError:
            if not complete.exists():
                raise


def remove_file(unfinished: Path, name: str) -> None:
    """Mark a file that the folder is not to have any more."""
    mark = unfinished / f"{name}{_REMOVED}"
    mark.parent.mkdir(exist_ok=True)
    mark.touch()


def finish_replacing(folder: Path) -> None:
    """Move complete new contents to their places, if a process was killed meanwhile."""
    complete = folder / _COMPLETE
    if not complete.is_dir() or complete.is_symlink():
        return
    for parent, folders, files in os.walk(complete, topdown=False):
        target = folder / Path(parent).relative_to(complete)
        _make_way(target)
        links = (name for name in folders if Path(parent, name).is_symlink())
        for name in [*files, *links]:
            with contextlib.suppress(FileNotFoundError):  # another process moved it
                _put_in_place(Path(parent, name), target)
        _sync(target)
        with contextlib.suppress(OSError):  # another process fills it again
            Path(parent).rmdir()
            if target != folder:
                target.rmdir()  # where nothing is left in it


def _make_way(folder: Path) -> None:
    """Make a folder, in place of a link to one elsewhere."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)


def _put_in_place(entry: Path, folder: Path) -> None:
    """Move a file to its folder, or remove the file it marks."""
    target = folder / entry.name.removesuffix(_REMOVED)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    if entry.name == target.name:
        entry.replace(target)
    else:
        target.unlink(missing_ok=True)
        entry.unlink()


def _remove_left_behind(folder: Path, name: str) -> None:
    """Remove old files of processes that were killed while they wrote."""
    for left in folder.iterdir():
        if not (left.name.startswith(_UNFINISHED) and left.name.endswith(name)):
            continue
        with contextlib.suppress(OSError):
            if time.time() - left.lstat().st_mtime < _LEFT_BEHIND_S:
                continue
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()


def _sync(path: Path) -> None:
    """Have the contents of a file, or the names in a folder, written to the disk."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
