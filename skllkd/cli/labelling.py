"""The commands about a teacher's labels: plan, label, store."""

from __future__ import annotations

import argparse
from typing import Any

from skllkd._core.tables import write_rows
from skllkd.cli.arguments import (
    add_command,
    add_input,
    add_output,
    add_teacher,
    classes_of,
    output_format,
    say,
    teacher_of,
    texts_of,
)
from skllkd.exceptions import InvalidParameterError


def add_commands(commands: Any) -> None:
    """Add the commands to the parser's."""
    plan = add_command(
        commands,
        "plan",
        _plan,
        "estimate calls, tokens, cost and time before labelling",
        "Prints texts, repeats, stored answers, tokens, and, with a price, the cost.",
    )
    add_input(plan)
    add_teacher(plan)
    label = add_command(
        commands,
        "label",
        _label,
        "label texts with a teacher",
        "Answers are stored as they come: run it again to continue. The table has the "
        "text, its label, each class's probability, and where the answer is from.",
    )
    add_input(label)
    add_teacher(label)
    add_output(label)
    _add_store(commands)


def _add_store(commands: Any) -> None:
    """Add the command about the label store."""
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


def _plan(options: argparse.Namespace) -> None:
    """Print the calls, tokens and cost of labelling."""
    print(teacher_of(options).plan(texts_of(options), classes_of(options)))


def _label(options: argparse.Namespace) -> None:
    """Label texts and write a table of them."""
    kind = output_format(options, "csv" if options.output == "-" else None)
    if kind == "txt":
        raise InvalidParameterError(
            f"--output {options.output!r} must be a table: .csv, .tsv, .jsonl or .parquet."
        )
    texts = texts_of(options)
    labels = teacher_of(options).label(texts, classes_of(options), verbose=1)
    rows = labels.to_pandas(texts).to_dict("records")
    n_written = write_rows(rows, options.output, kind)
    say(
        f"{n_written:,} texts labelled, {labels.n_asked:,} of them sent to the teacher now."
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
