"""The commands about a classifier: fit, predict, export."""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from contextlib import redirect_stdout
from typing import Any

from skllkd._core.classes import as_classes
from skllkd._core.places import check_file
from skllkd._core.progress import progress_bar
from skllkd._core.tables.reading import read_table
from skllkd.cli.arguments import ANSWERS_ARE_STORED, add_command
from skllkd.cli.classes import classes_of
from skllkd.cli.console import say
from skllkd.cli.gold import add_gold, gold_of
from skllkd.cli.store import answers_kept
from skllkd.cli.student import add_student, classifier_of
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
from skllkd.cli.teacher import teacher_of
from skllkd.cli.teacher_options import add_teacher
from skllkd.cli.wording import in_shell_words, shell_options
from skllkd.exceptions import SavedModelError

#: Help of the option of `predict` and `evaluate`.
LEVEL_HELP = "level of a tree of classes whose groups are told apart, 1 at the top"


def add_commands(commands: Any) -> None:
    """Add the commands to the parser's."""
    _add_fit(commands)
    predict = add_command(
        commands,
        "predict",
        _predict,
        "predict texts with a saved classifier",
        "Reads and writes as it goes: from standard input to standard output, a text a "
        "line, unless files are named.",
        "A file named as output is not written; rows on standard output are complete.",
    )
    predict.add_argument("model", help="folder of `skllkd fit`, or an ONNX file")
    add_input(predict, default="-")
    add_output(predict, "predicted")
    predict.add_argument("--level", type=int, metavar="N", help=LEVEL_HELP)

    export = add_command(
        commands,
        "export",
        _export,
        "write a saved classifier as one ONNX file",
        "Both predict the texts given; a file that disagrees is not written.",
    )
    export.add_argument("model", help="folder of `skllkd fit`")
    add_input(export)
    export.add_argument("--output", "-o", required=True, help="file to write")
    export.add_argument("--int8", action="store_true", help="multiply in eight bits")


def _add_fit(commands: Any) -> None:
    """Add the command that fits."""
    fit = add_command(
        commands,
        "fit",
        _fit,
        "label texts with a teacher, train a classifier on them, and save it",
        "Whatever can fail later is tried before the first call. Prints the report of "
        "the classifier.",
        f"{ANSWERS_ARE_STORED} Training starts anew.",
    )
    add_input(fit)
    add_teacher(fit)
    add_student(fit)
    add_gold(fit)


def _fit(options: argparse.Namespace) -> None:
    """Label texts, train a classifier on them, and save it."""
    classes, texts = classes_of(options), texts_of(options)
    from skllkd.training.preflight import preflight

    say(f"{len(texts):,} texts, {len(as_classes(classes))} classes")
    gold = gold_of(options, texts, classes)
    teacher = teacher_of(options)
    classifier = classifier_of(options, teacher, classes)
    say("trying the student's encoder, and the folder to save in")
    student = classifier.student
    preflight(student, classes, n_texts=len(texts), folder=options.model)
    with answers_kept(options, teacher):
        classifier.fit(texts, gold=gold)
        where = _saved(classifier, options.model)
    say("measuring the classifier for its report")
    print_report(classifier, None, options)
    say(f"saved in {where}")


def _saved(classifier: Any, folder: str) -> str:
    """Save a classifier, elsewhere if its place fails after all; return the place."""
    try:
        classifier.save(folder)
    except OSError as error:
        rescue = tempfile.mkdtemp(prefix="skllkd-")
        classifier.save(rescue)
        raise SavedModelError(
            f"--model {folder} could not be written: {error}. The classifier is saved in "
            f"{rescue} instead; copy that folder."
        ) from error
    return folder


def print_report(classifier: Any, texts: Any, options: argparse.Namespace) -> Any:
    """Print and return a classifier's report, whose verdict names options of `fit`."""
    with redirect_stdout(io.StringIO()):  # it prints itself, in words of Python
        report = classifier.report(texts)
    figures, verdict, words = str(report).rpartition("\nVerdict: ")
    known = shell_options(options.commands.choices["fit"])
    words = in_shell_words(words, known, options)
    print(figures + verdict + words if verdict else report)
    return report


def _predict(options: argparse.Namespace) -> None:
    """Predict rows as they come."""
    check_output(options)
    source = source_of(options)
    reader = TextReader(source)
    with read_table(source) as table:
        if table.names is not None:
            reader.check_names(table.names)
            AddedColumns(options, "predicted", ["confidence"]).check(table.names)
        classifier = load_model(options.model)
        added = AddedColumns(options, "predicted", _other_columns(classifier))
        if table.names is not None:
            added.check(table.names)
        with output_of(options, table, added.label) as output:
            shows = options.output != "-" or not sys.stdout.isatty()
            with progress_bar(None, "predict", "text", shows) as bar:
                for block in table:
                    columns = _predicted(classifier, reader.texts(block), options.level)
                    output.write(added.add(block, columns))
                    bar.update(len(block))
    reader.tell("They have no label.")


def is_multilabel(classifier: Any) -> bool:
    """Return whether a classifier predicts several classes a text."""
    return getattr(classifier, "thresholds_", None) is not None


def _other_columns(classifier: Any) -> list[str]:
    """Return the names of the columns beside that of the labels."""
    if not is_multilabel(classifier):
        return ["confidence"]
    return [f"proba_{name}" for name in classifier.classes_.tolist()]


def _predicted(
    classifier: Any, texts: list[str | None], level: int | None
) -> list[list[Any]]:
    """Return the labels predicted and their probabilities, None without a text.

    With several classes a text these are lists of them, and a column for each class.
    """
    known = [text for text in texts if text is not None]
    if not known:
        return [[None] * len(texts)] * (1 + len(_other_columns(classifier)))
    names, proba = classifier.classes_, classifier.predict_proba(known, level=level)
    if level is not None:
        names = classifier.level_classes_[level]
    if is_multilabel(classifier):
        has = proba >= classifier.thresholds_
        labels = [names[row].tolist() for row in has]
        others = proba.round(6).T.tolist()
    else:
        labels = names[proba.argmax(axis=1)].tolist()
        others = [proba.max(axis=1).round(6).tolist()]
    return [_at_texts(column, texts) for column in (labels, *others)]


def _at_texts(values: list[Any], texts: list[str | None]) -> list[Any]:
    """Return values in the rows of the texts, None in rows without one."""
    left = iter(values)
    return [None if text is None else next(left) for text in texts]


def _export(options: argparse.Namespace) -> None:
    """Write a classifier as an ONNX file that was checked."""
    quantize = "int8" if options.int8 else None
    check_file(options.output)
    classifier = load_model(options.model)
    print(classifier.export_onnx(options.output, texts_of(options), quantize=quantize))


def load_model(path: str) -> Any:
    """Return the classifier saved in a folder or an ONNX file."""
    import skllkd

    if path.endswith(".onnx"):
        return skllkd.ONNXClassifier(path)
    return skllkd.LLKDClassifier.load(path)
