"""Replacing files and folders: whole, whatever happens on the way."""

import multiprocessing
import os
import time

import pytest
from skllkd._core import atomic_files
from skllkd._core.atomic_files import (
    finish_replacing,
    remove_file,
    replacing_contents,
    replacing_file,
)

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
STEPS = ["fsync", "rename", "replace", "unlink", "rmdir", "mkdir"]


def save(folder, version, others=()):
    """Write three files and a folder, all of which hold the version."""
    with replacing_contents(folder) as unfinished:
        for name in ("a", "b", "c", *others):
            (unfinished / name).write_text(str(version))
        (unfinished / "inner").mkdir()
        (unfinished / "inner" / f"only in {version}").write_text(str(version))
        if "extra" not in others:
            remove_file(unfinished, "extra")
            remove_file(unfinished, f"inner/only in {int(version) - 1}")


def versions(folder):
    """Return what each file holds, but for those left beside."""
    return {
        path.name: path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".unfinished" not in str(path)
    }


def save_until(folder, step):
    """Save version 2, and be killed at a step."""
    count = 0

    def killed(function):
        def call(*arguments, **named):
            nonlocal count
            count += 1
            if count == step:
                os._exit(9)
            return function(*arguments, **named)

        return call

    for name in STEPS:
        setattr(os, name, killed(getattr(os, name)))
    save(folder, 2)


def test_a_kill_at_any_step_leaves_the_old_or_the_new_contents_whole(tmp_path):
    """Deterministic: each call that changes the disk is the last one once."""
    old, new = [dict.fromkeys("abc", v) | {f"only in {v}": v} for v in ("1", "2")]
    found, step, code = [], 0, 9
    while code == 9:
        step += 1
        folder = tmp_path / str(step)
        save(folder, 1, ["extra"])
        (folder / "of the user").write_text("mine")
        process = PROCESSES.Process(target=save_until, args=(folder, step))
        process.start()
        process.join()
        code = process.exitcode
        finish_replacing(folder)
        held = versions(folder)
        assert held.pop("of the user") == "mine"
        assert (held.pop("extra", None) == "1") == (held == old)
        assert held in (old, new), step
        found.append(held == new)
    assert code == 0 and found == sorted(found) and 5 < sum(found) < len(found) - 5


def test_a_failure_leaves_the_file_and_the_folder_as_they_were(tmp_path):
    (tmp_path / "file").write_text("old")
    save(tmp_path / "folder", 1)

    def write_half(replacing, path):
        with replacing(path) as unfinished:
            file = unfinished / "a" if unfinished.is_dir() else unfinished
            file.write_text("half")
            raise ZeroDivisionError

    for replacing, name in ((replacing_file, "file"), (replacing_contents, "folder")):
        with pytest.raises(ZeroDivisionError):
            write_half(replacing, tmp_path / name)
    assert versions(tmp_path)["file"] == "old" and versions(tmp_path)["a"] == "1"
    assert not [p for p in tmp_path.rglob("*") if "unfinished" in p.name]


def test_files_are_synced_before_they_take_their_place(tmp_path, monkeypatch):
    order = []
    sync, replace = atomic_files._sync, os.replace
    monkeypatch.setattr(
        atomic_files, "_sync", lambda p: order.append(p.name) or sync(p)
    )
    monkeypatch.setattr(
        os, "replace", lambda a, b: order.append("replace") or replace(a, b)
    )
    with replacing_file(tmp_path / "file") as path:
        path.write_text("new")
    assert order == [path.name, "replace", tmp_path.name]


def test_a_link_stays_one_and_a_device_is_written_to(tmp_path):
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with replacing_file(tmp_path / "link") as path:
        path.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "new"
    with replacing_file(os.devnull) as path:
        path.write_text("new")
    assert not os.path.isfile(os.devnull)


def test_what_killed_processes_left_goes_after_a_day(tmp_path):
    old, new = tmp_path / ".unfinished-0-file", tmp_path / ".unfinished-1-file"
    other = tmp_path / ".unfinished-2-other"
    for path in (old, new, other):
        path.write_text("half")
    long_ago = time.time() - 2 * 86400
    for path in (old, other):
        os.utime(path, (long_ago, long_ago))
    with replacing_file(tmp_path / "file") as path:
        path.write_text("whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == [new.name, other.name, "file"]


def test_links_in_new_contents_are_moved_and_never_followed(tmp_path):
    """A folder of a stranger may be made to look unfinished."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (folder / ".complete").mkdir(parents=True)
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (folder / "inner").symlink_to(outside)
    (folder / ".complete" / "inner").mkdir()
    (folder / ".complete" / "inner" / "kept").write_text("changed")
    (folder / ".complete" / "link").symlink_to(outside / "kept")
    finish_replacing(folder)
    assert (outside / "kept").read_text() == "kept"
    assert (folder / "link").is_symlink() and not (folder / "inner").is_symlink()
    assert (folder / "inner" / "kept").read_text() == "changed"
