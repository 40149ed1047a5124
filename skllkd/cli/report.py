"""The commands that measure a classifier: report, evaluate."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from skllkd._core.places import check_file
from skllkd._core.tables.blocks import RowBlock
from skllkd._core.tables.formats import format_of_name
from skllkd._core.tables.writing import open_output
from skllkd.cli.arguments import ANSWERS_ARE_STORED, add_command
from skllkd.cli.classifier import is_multilabel, load_model, print_report
from skllkd.cli.console import say
from skllkd.cli.gold import judged_texts
from skllkd.cli.predict import LEVEL_HELP
from skllkd.cli.tables import add_input, texts_of
from skllkd.cli.teacher import teacher_of
from skllkd.cli.teacher_options import add_teacher


def add_commands(commands: Any) -> None:
    """Add the commands to the parser's."""
    report = add_command(
        commands,
        "report",
        _report,
        "measure a saved classifier without gold labels, and find label issues",
        "Ends with a verdict. Agreement with the teacher is known on the texts it was "
        "fitted on, and on others with --teacher.",
        ANSWERS_ARE_STORED,
    )
    report.add_argument("model", help="folder of `skllkd fit`")
    add_input(report)
    report.add_argument("--html", help="file to write: a page with tables and pictures")
    report.add_argument("--issues", help="file to write: a table of the label issues")
    add_teacher(report, required=False)

    evaluate = add_command(
        commands,
        "evaluate",
        _evaluate,
        "evaluate a saved classifier on texts with gold labels",
        "Prints Markdown: accuracy, macro-F1, each class, confusion, calibration, "
        "coverage; against the teacher and the class names alone.",
        ANSWERS_ARE_STORED,
    )
    evaluate.add_argument("model", help="folder of `skllkd fit`, or an ONNX file")
    add_input(evaluate)
    evaluate.add_argument(
        "--label-column", default="label", help="column of the labels"
    )
    evaluate.add_argument("--teacher-column", help="column of the teacher's labels")
    evaluate.add_argument("--level", type=int, metavar="N", help=LEVEL_HELP)
    evaluate.add_argument(
        "--output", "-o", help="folder to write to: Markdown, JSON and pictures"
    )
    add_teacher(evaluate, required=False)


def _report(options: argparse.Namespace) -> None:
    """Print the report of a saved classifier, and write it."""
    from skllkd.inspection.report_page import report_page

    for path in (options.html, options.issues):
        if path is not None:
            check_file(path)
    kind = None if options.issues is None else format_of_name(options.issues)
    classifier, texts = load_model(options.model), texts_of(options)
    if options.teacher is not None:
        classifier.set_params(teacher=teacher_of(options))
    report = print_report(classifier, texts, options)
    if kind is not None:
        rows = [vars(issue) for issue in report.label_issues]
        names = ["row", "text", "teacher", "student", "confidence"]
        with open_output(options.issues, kind, "text") as output:
            output.write(RowBlock(rows, names))
        say(f"{len(rows):,} label issues written to {options.issues}")
    if options.html is not None:
        page = report_page(classifier, texts, report)
        Path(options.html).write_text(page, encoding="utf-8")
        say(f"page written to {options.html}")


def _evaluate(options: argparse.Namespace) -> None:
    """Print the evaluation of a saved classifier, and write it."""
    from skllkd.inspection.measuring import evaluate_classifier
    from skllkd.serving.estimator import given_classes

    classifier = load_model(options.model)
    classes = given_classes(classifier)
    texts, gold, teacher_labels = judged_texts(options, classes, "--label-column")
    if teacher_labels is None and options.teacher is not None:
        teacher_labels = _asked(
            classifier.set_params(teacher=teacher_of(options)), texts
        )
    judged = (texts, gold, teacher_labels, options.level)
    evaluation = evaluate_classifier(classifier, *judged)
    print(evaluation.to_markdown())
    if options.output is not None:
        _write(evaluation, Path(options.output))
        say(f"written to {options.output}")


def _asked(classifier: Any, texts: list[str]) -> list[Any]:
    """Return the teacher's labels of texts; None where there is none."""
    from skllkd.teachers.labels import names_of_proba

    names = classifier.classes_.tolist()
    proba = classifier.known_teacher_proba(texts)
    if is_multilabel(classifier):
        lists = names_of_proba(proba, names)
        return [None if row[0] != row[0] else lists[i] for i, row in enumerate(proba)]
    return [None if row[0] != row[0] else names[row.argmax()] for row in proba]


def _write(evaluation: Any, folder: Path) -> None:
    """Write an evaluation to a folder: Markdown, JSON and pictures."""
    from skllkd.inspection.pictures import evaluation_pictures

    folder.mkdir(parents=True, exist_ok=True)
    pictures = evaluation_pictures(evaluation)
    for name, content in pictures.items():
        (folder / f"{name}.png").write_bytes(content)
    links = "\n".join(f"![{name}]({name}.png)" for name in pictures)
    page = f"{evaluation.to_markdown()}\n{links}\n"
    (folder / "evaluation.md").write_text(page, encoding="utf-8")
    scores = json.dumps(evaluation.to_dict(), indent=1, default=str)
    (folder / "evaluation.json").write_text(scores, encoding="utf-8")
