"""The commands about stored answers: list, merge, prune."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skllkd._core.cache_dir import cache_folder
from skllkd.cli.arguments import add_command
from skllkd.cli.console import say
from skllkd.exceptions import InvalidParameterError


def add_commands(commands: Any) -> None:
    """Add the command about the label store."""
    store = add_command(
        commands,
        "store",
        None,
        "list, merge or prune stored labels",
        "The store is `labels.sqlite` in the user's cache folder, or in the folder "
        "SKLLKD_CACHE names.",
    )
    actions = store.add_subparsers(dest="action", metavar="action", required=True)
    listing = add_command(
        actions, "list", _list, "list its contents, by teacher and prompt", ""
    )
    add_store(listing)
    merge = add_command(
        actions, "merge", _merge, "merge another store, or an export of one", ""
    )
    merge.add_argument("file", help="file to merge")
    add_store(merge, may_create=True)
    prune = add_command(
        actions,
        "prune",
        _prune,
        "delete answers, after a question",
        "Texts whose answers are deleted are paid for again. Shows what would be deleted.",
    )
    prune.add_argument(
        "--fingerprint", help="the answers of one key, or of the start of one"
    )
    prune.add_argument(
        "--older-than-days", type=float, metavar="DAYS", help="older answers only"
    )
    prune.add_argument(
        "--unanswered", action="store_true", help="texts without a usable answer only"
    )
    prune.add_argument("--all", action="store_true", help="every answer of the store")
    prune.add_argument("--yes", action="store_true", help="delete without a question")
    add_store(prune)


def add_store(parser: argparse._ActionsContainer, *, may_create: bool = False) -> None:
    """Add the file of the store."""
    parser.add_argument("--store", metavar="FILE", help="file of stored answers")
    if may_create:
        parser.add_argument(
            "--create-store", action="store_true", help="make --store if it is missing"
        )


def store_path(options: argparse.Namespace) -> Path | None:
    """Return the store named, None for the default; raise unless it is to be there."""
    if options.store is None:
        return None
    path = Path(options.store).expanduser()
    if path.is_file() or getattr(options, "create_store", False):
        return path
    mend = (
        "Correct --store, or make a new store with --create-store."
        if hasattr(options, "create_store")
        else "Correct --store."
    )
    raise InvalidParameterError(f"there is no label store {str(path)!r}. {mend}")


@contextmanager
def answers_kept(options: argparse.Namespace, teacher: Any) -> Iterator[None]:
    """Say where the answers of a teacher are kept if the work with them fails."""
    path = store_path(options) or cache_folder() / "labels.sqlite"
    try:
        yield
    except Exception:
        if hasattr(teacher, "max_calls") and path.is_file():
            say(f"The teacher's answers so far are stored in {path}.")
        raise


def _opened(options: argparse.Namespace) -> Any:
    """Open the store; None where it is the default, which holds nothing yet."""
    from skllkd.teachers.metered.store import LabelStore

    path = store_path(options)
    usual = cache_folder() / "labels.sqlite"
    if path is None and not usual.is_file() and options.action != "merge":
        print(f"{usual}: no answers are stored yet")
        return None
    return LabelStore(path)


def _list(options: argparse.Namespace) -> None:
    """List the contents of a store."""
    store = _opened(options)
    if store is None:
        return
    with store:
        print(f"{store.path}: {len(store):,} answers")
        for entry in store.contents():
            print(_line(entry, entry.n_answers))


def _merge(options: argparse.Namespace) -> None:
    """Merge another store, or an export."""
    with _opened(options) as store:
        print(f"{store.merge(options.file):,} new answers")


def _prune(options: argparse.Namespace) -> None:
    """Delete answers that meet a criterion, once the user agrees."""
    names = ("fingerprint", "older_than_days", "unanswered", "all")
    if not any(getattr(options, name) not in (None, False) for name in names):
        raise InvalidParameterError(
            "`store prune` needs a criterion: --fingerprint, --older-than-days, "
            "--unanswered, or --all for every answer. Nothing is deleted."
        )
    store = _opened(options)
    if store is None:
        return
    with store:
        criterion = {
            "older_than_days": options.older_than_days or 0,
            "unanswered_only": options.unanswered,
        }
        going = [
            (entry, store.prune(entry.fingerprint, dry_run=True, **criterion))
            for entry in _entries(store, options.fingerprint)
        ]
        going = [(entry, number) for entry, number in going if number]
        total = sum(number for _, number in going)
        print(f"{store.path}: {total:,} of {len(store):,} answers would be deleted")
        for entry, number in going:
            print(_line(entry, number))
        if not total or not (options.yes or _agrees()):
            print("nothing is deleted")
            return
        removed = [store.prune(entry.fingerprint, **criterion) for entry, _ in going]
        print(f"{sum(removed):,} answers deleted")


def _entries(store: Any, start: str | None) -> list[Any]:
    """Return the entries whose key starts so; raise unless that names one."""
    entries = [
        entry
        for entry in store.contents()
        if start is None or entry.fingerprint.startswith(start)
    ]
    if start is not None and len(entries) != 1:
        found = f"{len(entries)} keys start so" if entries else "no key starts so"
        raise InvalidParameterError(
            f"--fingerprint {start!r}: {found}. `skllkd store list` shows the keys."
        )
    return entries


def _agrees() -> bool:
    """Ask the user; raise where nobody can answer."""
    if not sys.stdin.isatty():
        raise InvalidParameterError(
            "nobody can be asked, as standard input is no terminal: nothing is deleted. "
            "Give --yes to delete without a question."
        )
    say("These texts would have to be labelled, and paid for, again. Delete? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _line(entry: Any, number: int) -> str:
    """Return the line about a number of answers of a key."""
    about = ", ".join(f"{name}: {value}" for name, value in entry.description.items())
    return f"  {entry.fingerprint[:12]}  {number:>9,}  {about:.120}"
