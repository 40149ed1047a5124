"""The commands about a teacher's labels: plan, label."""

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


def _plan(options: argparse.Namespace) -> None:
    """Print the calls, tokens and cost of labelling."""
    print(teacher_of(options).plan(texts_of(options), classes_of(options)))


def _label(options: argparse.Namespace) -> None:
    """Label texts and write a table of them."""
    from skllkd.inspection.verdict import judge_labels

    kind = output_format(options, "csv" if options.output == "-" else None)
    if kind == "txt":
        raise InvalidParameterError(
            f"--output {options.output!r} must be a table: .csv, .tsv, .jsonl or .parquet."
        )
    texts = texts_of(options)
    labels = teacher_of(options).label(texts, classes_of(options), verbose=1)
    rows = labels.to_pandas(texts).to_dict("records")
    n_written = write_rows(rows, options.output, kind)
    say(judge_labels(labels))
    say(
        f"{n_written:,} texts labelled, {labels.n_asked:,} of them sent to the teacher now."
    )
