"""The command that predicts, with a classifier or a cascade."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from skllkd._core.progress import progress_bar
from skllkd._core.tables.reading import read_table
from skllkd.cli.arguments import add_command
from skllkd.cli.cascade import add_price
from skllkd.cli.classifier import is_multilabel, load_model
from skllkd.cli.console import say
from skllkd.cli.tables import (
    AddedColumns,
    TextReader,
    add_input,
    add_output,
    check_output,
    output_of,
    source_of,
)
from skllkd.cli.teacher import teacher_of
from skllkd.cli.teacher_options import add_teacher
from skllkd.exceptions import InvalidParameterError

#: Help of the option of `predict` and `evaluate`.
LEVEL_HELP = "level of a tree of classes whose groups are told apart, 1 at the top"


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    predict = add_command(
        commands,
        "predict",
        _predict,
        "predict texts with a saved classifier or cascade",
        "Reads and writes as it goes: from standard input to standard output, a text a "
        "line, unless files are named. A cascade asks --teacher about the texts that it "
        "does not answer itself; its report follows on standard error.",
        "A file named as output is not written; rows on standard output are complete.",
    )
    predict.add_argument(
        "model", help="folder of `skllkd fit` or `skllkd cascade`, or an ONNX file"
    )
    add_input(predict, default="-")
    add_output(predict, "predicted")
    predict.add_argument("--level", type=int, metavar="N", help=LEVEL_HELP)
    add_price(predict)
    add_teacher(predict, required=False)


def _predict(options: argparse.Namespace) -> None:
    """Predict rows as they come."""
    check_output(options)
    source = source_of(options)
    reader = TextReader(source)
    with read_table(source) as table:
        if table.names is not None:
            reader.check_names(table.names)
            AddedColumns(options, "predicted", ["confidence"]).check(table.names)
        predictor = _predictor(options)
        added = AddedColumns(options, "predicted", predictor.others)
        if table.names is not None:
            added.check(table.names)
        with output_of(options, table, added.label) as output:
            shows = options.output != "-" or not sys.stdout.isatty()
            with progress_bar(None, "predict", "text", shows) as bar:
                for block in table:
                    columns = _columns(predictor, reader.texts(block))
                    output.write(added.add(block, columns))
                    bar.update(len(block))
    reader.tell("They have no label.")
    if isinstance(predictor, _OfCascade):
        say(str(predictor.cascade.report(options.teacher_price)))


def _predictor(options: argparse.Namespace) -> _OfClassifier | _OfCascade:
    """Return the model, with the columns that it adds."""
    from skllkd.serving.files import SETTINGS

    if not (Path(options.model) / SETTINGS).exists():
        if options.teacher is not None:
            raise InvalidParameterError(
                f"--teacher is asked by a cascade, and {options.model} holds none. Make "
                "one with `skllkd cascade`, or leave --teacher out."
            )
        return _OfClassifier(load_model(options.model), options.level)
    from skllkd import CascadeClassifier

    teacher = None if options.teacher is None else teacher_of(options)
    return _OfCascade(CascadeClassifier.load(options.model, teacher), options.level)


def _columns(
    predictor: _OfClassifier | _OfCascade, texts: list[str | None]
) -> list[list[Any]]:
    """Return the columns of texts, None in rows without one."""
    known = [text for text in texts if text is not None]
    if not known:
        return [[None] * len(texts)] * (1 + len(predictor.others))
    columns = predictor.columns(known)
    return [_at_texts(column, texts) for column in columns]


def _at_texts(values: list[Any], texts: list[str | None]) -> list[Any]:
    """Return values in the rows of the texts, None in rows without one."""
    left = iter(values)
    return [None if text is None else next(left) for text in texts]


class _OfClassifier:
    """Labels predicted and their probabilities.

    With several classes a text the labels are lists, and each class has a column.
    """

    def __init__(self, classifier: Any, level: int | None) -> None:
        self.classifier, self.level = classifier, level
        self.others = ["confidence"]
        if is_multilabel(classifier):
            names = classifier.classes_.tolist()
            self.others = [f"proba_{name}" for name in names]

    def columns(self, texts: list[str]) -> list[list[Any]]:
        """Return a column for the labels, and for each of the others."""
        classifier, level = self.classifier, self.level
        names, proba = classifier.classes_, classifier.predict_proba(texts, level=level)
        if level is not None:
            names = classifier.level_classes_[level]
        if is_multilabel(classifier):
            labels = [names[row].tolist() for row in proba >= classifier.thresholds_]
            return [labels, *proba.round(6).T.tolist()]
        confidence = proba.max(axis=1).round(6)
        return [names[proba.argmax(axis=1)].tolist(), confidence.tolist()]


class _OfCascade:
    """Labels, confidences and sources; no label where nobody answers."""

    def __init__(self, cascade: Any, level: int | None) -> None:
        self.cascade, self.level = cascade, level
        self.others = ["confidence", "source"]

    def columns(self, texts: list[str]) -> list[list[Any]]:
        """Return a column for the labels, and for each of the others."""
        decided = self.cascade.decision(texts, self.level)
        labels = [
            list(label) if isinstance(label, tuple) else label
            for label in decided.label.tolist()
        ]
        return [labels, decided.confidence.round(6).tolist(), decided.source.tolist()]
