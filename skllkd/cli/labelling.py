"""The command that labels texts."""

from __future__ import annotations

import argparse
from typing import Any

from skllkd._core.arrays import is_missing
from skllkd._core.classes import as_classes
from skllkd._core.tables.blocks import Block
from skllkd._core.tables.formats import OUTPUT_FORMATS
from skllkd._core.tables.reading import Table, read_table
from skllkd._core.tables.writing import Writer, try_writing
from skllkd.cli.arguments import ANSWERS_ARE_STORED, add_command
from skllkd.cli.classes import classes_of
from skllkd.cli.console import say
from skllkd.cli.store import answers_kept
from skllkd.cli.tables import (
    AddedColumns,
    TextReader,
    add_input,
    add_output,
    check_output,
    output_format,
    output_of,
    source_of,
)
from skllkd.cli.teacher import teacher_of
from skllkd.cli.teacher_options import add_teacher
from skllkd.cli.wording import worded
from skllkd.teachers.labels import label_column_names, label_columns


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    label = add_command(
        commands,
        "label",
        _label,
        "label texts with a teacher",
        "Answers are stored as they come: run it again to continue. The table has the "
        "input's columns, the label, each class's probability, and where the answer is "
        "from.",
        ANSWERS_ARE_STORED,
    )
    add_input(label)
    add_teacher(label)
    add_output(label, "label")


def _label(options: argparse.Namespace) -> None:
    """Label texts and write them, with all their columns, and the labels."""
    check_output(options)
    source, classes = source_of(options), as_classes(classes_of(options))
    reader = TextReader(source)
    with read_table(source) as table:
        blocks = list(table)
    texts = [text for block in blocks for text in reader.texts(block)]
    if not texts:
        raise source.error(" holds no row: there is nothing to label.")
    added = AddedColumns(options, "label", label_column_names(classes.words)[1:])
    _try_writing(options, table, blocks, added)
    if options.output != "-":
        from skllkd.training.preflight import preflight  # takes seconds

        preflight(None, classes, n_texts=len(texts), file=options.output)
    teacher = teacher_of(options)
    opened = output_of(options, table, added.label, lines=False)
    with answers_kept(options, teacher), opened as output:
        known = ["" if text is None else text for text in texts]
        labels = teacher.label(known, classes, verbose=1)
        columns = [
            [None if is_missing(value) else value for value in column.tolist()]
            for column in label_columns(labels).values()
        ]
        _write_labels(output, blocks, added, columns)
    from skllkd.inspection.verdict import judge_labels

    reader.tell("They have no label.")
    say(worded(judge_labels(labels), options))
    say(
        f"{len(texts):,} texts labelled, {labels.n_asked:,} of them sent to the teacher "
        "now."
    )


def _try_writing(
    options: argparse.Namespace, table: Table, blocks: list[Block], added: AddedColumns
) -> None:
    """Raise if the table with more columns could not be written, before labels are paid."""
    kind = output_format(options, table, lines=False)
    wider = (added.add(b, [[None] * len(b) for _ in added.names]) for b in blocks)
    if kind in OUTPUT_FORMATS:
        try_writing(wider, options.output, kind, added.label)


def _write_labels(
    output: Writer, blocks: list[Block], added: AddedColumns, columns: list[list[Any]]
) -> None:
    """Write blocks with the labels of their rows."""
    start = 0
    for block in blocks:
        stop = start + len(block)
        output.write(added.add(block, [column[start:stop] for column in columns]))
        start = stop
