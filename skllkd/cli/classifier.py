"""The commands that make a classifier: fit, export."""

from __future__ import annotations

import argparse
import io
import tempfile
from contextlib import redirect_stdout
from typing import Any

from skllkd._core.classes import as_classes
from skllkd._core.places import check_file
from skllkd.cli.arguments import ANSWERS_ARE_STORED, add_command
from skllkd.cli.classes import classes_of
from skllkd.cli.console import say
from skllkd.cli.gold import add_gold, gold_of
from skllkd.cli.store import answers_kept
from skllkd.cli.student import add_student, classifier_of
from skllkd.cli.tables import (
    add_input,
    texts_of,
)
from skllkd.cli.teacher import teacher_of
from skllkd.cli.teacher_options import add_teacher
from skllkd.cli.wording import in_shell_words, shell_options
from skllkd.exceptions import SavedModelError


def add_commands(commands: Any) -> None:
    """Add the commands to the parser's."""
    _add_fit(commands)
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


def is_multilabel(classifier: Any) -> bool:
    """Return whether a classifier predicts several classes a text."""
    return getattr(classifier, "thresholds_", None) is not None
