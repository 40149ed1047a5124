"""The command about the label store: list, merge, prune."""

from __future__ import annotations

import argparse
from typing import Any

from skllkd.cli.arguments import add_command


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    store = add_command(
        commands,
        "store",
        _store,
        "list, merge or prune stored labels",
        "The store is `labels.sqlite` in the user's cache folder, or in the folder "
        "SKLLKD_CACHE names.",
    )
    store.add_argument("--store", help="file of the store, if it is another")
    actions = store.add_subparsers(dest="action", metavar="action", required=True)
    actions.add_parser("list", help="list its contents, by teacher and prompt")
    merge = actions.add_parser("merge", help="merge another store, or an export of one")
    merge.add_argument("file", help="file to merge")
    prune = actions.add_parser("prune", help="delete answers")
    prune.add_argument("--fingerprint", help="those of one key only")
    prune.add_argument("--older-than-days", type=float, help="those older only")
    prune.add_argument(
        "--unanswered", action="store_true", help="texts without a usable answer only"
    )


def _store(options: argparse.Namespace) -> None:
    """List the contents of the label store, merge another, or prune."""
    from skllkd.teachers import LabelStore

    store = LabelStore(options.store)
    if options.action == "merge":
        print(f"{store.merge(options.file):,} new answers")
    elif options.action == "prune":
        removed = store.prune(
            options.fingerprint,
            older_than_days=options.older_than_days,
            unanswered_only=options.unanswered,
        )
        print(f"{removed:,} answers deleted")
    else:
        print(f"{store.path}: {len(store):,} answers")
        for entry in store.contents():
            about = ", ".join(f"{k}: {v}" for k, v in entry.description.items())
            print(f"  {entry.fingerprint[:12]}  {entry.n_answers:>9,}  {about:.120}")
