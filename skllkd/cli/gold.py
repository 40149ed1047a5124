"""Gold labels of the command line: a file of them, or a column of the input."""

from __future__ import annotations

import argparse
from typing import Any

from skllkd._core.arrays import is_missing
from skllkd._core.classes import Classes, as_classes
from skllkd._core.near import near
from skllkd._core.params import shown
from skllkd._core.tables.blocks import Block
from skllkd._core.tables.reading import read_table
from skllkd.cli.classes import tags_of
from skllkd.cli.console import say
from skllkd.cli.tables import TextReader, source_of, whole_table
from skllkd.exceptions import InvalidParameterError


def add_gold(parser: argparse.ArgumentParser) -> None:
    """Add the file of gold labels, and the column that holds them."""
    add = parser.add_argument_group("gold").add_argument
    add(
        "--gold",
        metavar="FILE",
        help="table of texts, in the column of that name or of --column, and their gold "
        "labels, as `skllkd review` writes it; rows without a label are left out",
    )
    add(
        "--gold-column",
        default="gold",
        metavar="NAME",
        help="column of the gold labels",
    )


def gold_of(
    options: argparse.Namespace, texts: list[str], classes: Any
) -> dict[str, Any] | None:
    """Return the gold labels of some of the texts, None without a file of them."""
    if options.gold is None:
        return None
    labels = _read(options, as_classes(classes))
    known = set(texts)
    gold = {text: label for text, label in labels.items() if text in known}
    if not gold:
        raise InvalidParameterError(
            f"--gold {options.gold}: none of its {len(labels):,} labelled texts is among "
            f"those of {options.input}. Give the texts that were reviewed."
        )
    n_others = len(labels) - len(gold)
    others = f"; those of {n_others:,} other texts are left out" if n_others else ""
    say(f"{len(gold):,} gold labels{others}")
    return gold


def _read(options: argparse.Namespace, classes: Classes) -> dict[str, Any]:
    """Return the labels of a file by text: a class each, or a list of several."""
    path, column = options.gold, options.gold_column
    names = {str(name): name for name in classes.names}
    table = whole_table(path, options.column)
    if column not in table:
        raise InvalidParameterError(
            f"--gold {path}: there is no column {column!r}; the columns are "
            f"{list(table)}.{near(column, table)} Name it with --gold-column."
        )
    of_text = options.column if options.column in table else "text"
    if of_text not in table:
        raise InvalidParameterError(
            f"--gold {path}: there is no column {options.column!r} or 'text'; the columns "
            f"are {list(table)}."
        )
    labels: dict[str, Any] = {}
    rows = zip(table[of_text], table[column], strict=True)
    for n, (text, label) in enumerate(rows, 1):
        if is_missing(text) or is_missing(label) or label == "":
            continue
        given = tags_of(label, classes) or [] if classes.multilabel else [label]
        for name in given:
            if str(name) not in names:
                raise InvalidParameterError(
                    f"--gold {path}, row {n}: {shown(name)} is none of the classes "
                    f"{shown(list(names))}.{near(str(name), names)}"
                )
        found = [names[str(name)] for name in given]
        one_or_more = found if classes.multilabel else found[0]
        if labels.setdefault(text, one_or_more) != one_or_more:
            raise InvalidParameterError(
                f"--gold {path}, row {n}: the text {shown(text)} has two gold labels, "
                f"{labels[text]!r} and {label!r}. Decide on one."
            )
    return labels


def judged_texts(
    options: argparse.Namespace, classes: Classes, option: str
) -> tuple[list[str], list[Any], list[Any] | None]:
    """Return the texts that have a gold label, these labels, and the teacher's column.

    The column of the gold labels is that of an option.
    """
    column = getattr(options, option[2:].replace("-", "_"))
    teacher_column = getattr(options, "teacher_column", None)
    source = source_of(options)
    reader = TextReader(source)
    with read_table(source) as table:
        blocks = list(table)
    texts = [text for block in blocks for text in reader.texts(block)]
    gold = _labels(blocks, column, classes, option)
    said: list[Any] = [None] * len(texts)
    if teacher_column is not None:
        said = _labels(blocks, teacher_column, classes, "--teacher-column")
    rows = [
        (text, label, other)
        for text, label, other in zip(texts, gold, said, strict=True)
        if text is not None and label is not None
    ]
    if len(rows) < len(texts):
        n_left_out = len(texts) - len(rows)
        say(f"{n_left_out:,} rows without a text or gold label are left out.")
    others = None if teacher_column is None else [row[2] for row in rows]
    return [row[0] for row in rows], [row[1] for row in rows], others


def _labels(
    blocks: list[Block], column: str, classes: Classes, option: str
) -> list[Any]:
    """Return a column of labels, as names of classes; None where there is none.

    With several classes a text the labels are lists of them.
    """
    columns = list(dict.fromkeys(name for block in blocks for name in block.names))
    if not any(block.has(column) for block in blocks):
        raise InvalidParameterError(
            f"there is no column {column!r}; the columns are {columns}."
            f"{near(column, columns)} Name it with {option}."
        )
    labels = [
        label
        for block in blocks
        for label in (
            block.values(column) if block.has(column) else [None] * len(block)
        )
    ]
    if classes.multilabel:
        return [tags_of(label, classes) for label in labels]
    names = dict(zip(classes.words, classes.names, strict=True))
    return [
        None if is_missing(label) or label == "" else names.get(str(label), label)
        for label in labels
    ]
