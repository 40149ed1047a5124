"""The commands about a teacher's labels: plan, label."""

from __future__ import annotations

import argparse
from typing import Any

from skllkd._core.arrays import is_missing
from skllkd._core.classes import as_classes
from skllkd._core.tables.blocks import Block
from skllkd._core.tables.reading import read_table
from skllkd._core.tables.writing import Writer
from skllkd.cli.arguments import add_command, add_teacher, classes_of, teacher_of
from skllkd.cli.console import say
from skllkd.cli.tables import (
    AddedColumns,
    TextReader,
    add_input,
    add_output,
    check_output,
    output_of,
    source_of,
    texts_of,
)


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
        "input's columns, the label, each class's probability, and where the answer is "
        "from.",
    )
    add_input(label)
    add_teacher(label)
    add_output(label, "label")


def _plan(options: argparse.Namespace) -> None:
    """Print the calls, tokens and cost of labelling."""
    print(teacher_of(options).plan(texts_of(options), classes_of(options)))


def _label(options: argparse.Namespace) -> None:
    """Label texts and write them, with all their columns, and the labels."""
    from skllkd.inspection.verdict import judge_labels
    from skllkd.teachers.labels import label_column_names, label_columns

    check_output(options)
    source, classes = source_of(options), as_classes(classes_of(options))
    reader = TextReader(source)
    with read_table(source) as table:
        blocks = list(table)
    texts = [text for block in blocks for text in reader.texts(block)]
    added = AddedColumns(options, "label", label_column_names(classes.words)[1:])
    for block in blocks:
        added.check(block.names)
    with output_of(options, table, added.label, lines=False) as output:
        known = ["" if text is None else text for text in texts]
        labels = teacher_of(options).label(known, classes, verbose=1)
        columns = [
            [None if is_missing(value) else value for value in column.tolist()]
            for column in label_columns(labels).values()
        ]
        _write_labels(output, blocks, added, columns)
    reader.tell("They have no label.")
    say(judge_labels(labels))
    say(
        f"{len(texts):,} texts labelled, {labels.n_asked:,} of them sent to the teacher "
        "now."
    )


def _write_labels(
    output: Writer, blocks: list[Block], added: AddedColumns, columns: list[list[Any]]
) -> None:
    """Write blocks with the labels of their rows."""
    start = 0
    for block in blocks:
        stop = start + len(block)
        output.write(added.add(block, [column[start:stop] for column in columns]))
        start = stop
