"""Gold labels of the command line: a file of them, as `skllkd review` writes it."""

from __future__ import annotations

import argparse
from typing import Any

from skllkd._core.arrays import is_missing
from skllkd._core.classes import Classes, as_classes
from skllkd._core.near import near
from skllkd._core.params import shown
from skllkd.cli.classes import tags_of
from skllkd.cli.console import say
from skllkd.cli.tables import whole_table
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
