"""The commands that measure a classifier: report, evaluate."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from skllkd._core.tables import format_of, write_rows
from skllkd.cli.arguments import (
    add_command,
    add_input,
    add_teacher,
    say,
    teacher_of,
    text_rows,
    texts_of,
)
from skllkd.cli.classifier import load_model
from skllkd.exceptions import InvalidParameterError


def add_commands(commands: Any) -> None:
    """Add the commands to the parser's."""
    report = add_command(
        commands,
        "report",
        _report,
        "measure a saved classifier without gold labels, and find label issues",
        "Ends with a verdict. Agreement with the teacher is known on the texts it was "
        "fitted on, and on others with --teacher.",
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
    )
    evaluate.add_argument("model", help="folder of `skllkd fit`, or an ONNX file")
    add_input(evaluate)
    evaluate.add_argument(
        "--label-column", default="label", help="column of the labels"
    )
    evaluate.add_argument("--teacher-column", help="column of the teacher's labels")
    evaluate.add_argument(
        "--output", "-o", help="folder to write to: Markdown, JSON and pictures"
    )
    add_teacher(evaluate, required=False)


def _report(options: argparse.Namespace) -> None:
    """Print the report of a saved classifier, and write it."""
    from skllkd.inspection.report_page import report_page

    kind = None if options.issues is None else format_of(options.issues, None)
    classifier, texts = load_model(options.model), texts_of(options)
    if options.teacher is not None:
        classifier.set_params(teacher=teacher_of(options))
    report = classifier.report(texts)
    if kind is not None:
        n_issues = write_rows(
            report.to_frame().to_dict("records"), options.issues, kind
        )
        say(f"{n_issues:,} label issues written to {options.issues}")
    if options.html is not None:
        page = report_page(classifier, texts, report)
        Path(options.html).write_text(page, encoding="utf-8")
        say(f"page written to {options.html}")


def _evaluate(options: argparse.Namespace) -> None:
    """Print the evaluation of a saved classifier, and write it."""
    from skllkd.inspection.measuring import evaluate_classifier

    rows, classifier = list(text_rows(options)), load_model(options.model)
    names = {str(name): name for name in classifier.classes_.tolist()}
    gold = _labels(rows, options.label_column, names, options.input)
    rows = [row for row, label in zip(rows, gold, strict=True) if label is not None]
    if len(rows) < len(gold):
        say(f"{len(gold) - len(rows):,} texts without a gold label are left out.")
    gold = [label for label in gold if label is not None]
    texts = [row[options.column] for row in rows]
    teacher_labels = None
    if options.teacher_column is not None:
        teacher_labels = _labels(rows, options.teacher_column, names, options.input)
    elif options.teacher is not None:
        teacher_labels = _asked(
            classifier.set_params(teacher=teacher_of(options)), texts
        )
    evaluation = evaluate_classifier(classifier, texts, gold, teacher_labels)
    print(evaluation.to_markdown())
    if options.output is not None:
        _write(evaluation, Path(options.output))
        say(f"written to {options.output}")


def _labels(
    rows: list[dict[str, Any]], column: str, names: dict[str, Any], path: str
) -> list[Any]:
    """Return a column of labels, as names of classes; None where there is none."""
    if rows and column not in rows[0]:
        raise InvalidParameterError(
            f"{path}: there is no column {column!r}; the columns are {list(rows[0])}."
        )
    labels = [row.get(column) for row in rows]
    return [None if n in (None, "") else names.get(str(n), n) for n in labels]


def _asked(classifier: Any, texts: list[str]) -> list[Any]:
    """Return the teacher's labels of texts; None where there is none."""
    names = classifier.classes_.tolist()
    proba = classifier.known_teacher_proba(texts)
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
