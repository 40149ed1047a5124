"""The commands about a classifier: fit, predict, report, export."""

from __future__ import annotations

import argparse
from typing import Any

from skllkd._core.tables.reading import read_table
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
    _add_fit(commands)
    predict = add_command(
        commands,
        "predict",
        _predict,
        "predict texts with a saved classifier",
        "Reads and writes as it goes: from standard input to standard output, a text a "
        "line, unless files are named.",
    )
    predict.add_argument("model", help="folder of `skllkd fit`, or an ONNX file")
    add_input(predict, default="-")
    add_output(predict, "predicted")

    report = add_command(
        commands,
        "report",
        _report,
        "measure a saved classifier against the teacher, and find label issues",
        "On the texts it was fitted on no teacher is needed.",
    )
    report.add_argument("model", help="folder of `skllkd fit`")
    add_input(report)
    add_teacher(report, required=False)

    export = add_command(
        commands,
        "export",
        _export,
        "write a saved classifier as one ONNX file",
        "Both predict the texts given; a file that disagrees is not written.",
    )
    export.add_argument("model", help="folder of `skllkd fit`")
    add_input(export)
    export.add_argument("--output", required=True, help="file to write")
    export.add_argument("--int8", action="store_true", help="multiply in eight bits")


def _add_fit(commands: Any) -> None:
    """Add the command that fits."""
    fit = add_command(
        commands,
        "fit",
        _fit,
        "label texts with a teacher, train a classifier on them, and save it",
        "Prints the report of the classifier.",
    )
    add_input(fit)
    add_teacher(fit)
    fit.add_argument("--model", required=True, help="folder to save the classifier in")
    fit.add_argument("--student", help="encoder: a folder or a name on the model hub")
    fit.add_argument("--frozen", action="store_true", help="train a head only: seconds")
    fit.add_argument("--epochs", type=int, default=3, help="passes over the texts")
    fit.add_argument("--seed", type=int, default=0, help="seed of the student")
    fit.add_argument(
        "--budget", type=_budget, help="number or share of the texts to be labelled"
    )


def _fit(options: argparse.Namespace) -> None:
    """Label texts, train a classifier on them, and save it."""
    from skllkd import LLKDClassifier
    from skllkd.selection import AcceptReject
    from skllkd.students import FrozenEncoderStudent, TransformerStudent

    kind = FrozenEncoderStudent if options.frozen else TransformerStudent
    budget = options.budget
    classifier = LLKDClassifier(
        teacher_of(options),
        classes_of(options),
        acquisition=None if budget is None else AcceptReject(budget),
        student=kind() if options.student is None else kind(options.student),
        n_epochs=options.epochs,
        random_state=options.seed,
    ).fit(texts_of(options))
    classifier.save(options.model)
    classifier.report()
    say(f"saved in {options.model}")


def _predict(options: argparse.Namespace) -> None:
    """Predict rows as they come."""
    check_output(options)
    source = source_of(options)
    added = AddedColumns(options, "predicted", ["confidence"])
    reader = TextReader(source)
    with read_table(source) as table, output_of(options, table, added.label) as output:
        if table.names is not None:
            reader.check_names(table.names)
            added.check(table.names)
        classifier = _load(options.model)
        for block in table:
            columns = _predicted(classifier, reader.texts(block))
            output.write(added.add(block, columns))
    reader.tell("They have no label.")


def _predicted(classifier: Any, texts: list[str | None]) -> list[list[Any]]:
    """Return the labels predicted and their probabilities, None without a text."""
    known = [text for text in texts if text is not None]
    if not known:
        return [[None] * len(texts), [None] * len(texts)]
    proba = classifier.predict_proba(known)
    labels = iter(classifier.classes_[proba.argmax(axis=1)].tolist())
    sure = iter(proba.max(axis=1).round(6).tolist())
    return [
        [None if text is None else next(values) for text in texts]
        for values in (labels, sure)
    ]


def _report(options: argparse.Namespace) -> None:
    """Print the report of a saved classifier."""
    classifier = _load(options.model)
    if options.teacher is not None:
        classifier.set_params(teacher=teacher_of(options))
    classifier.report(texts_of(options))


def _export(options: argparse.Namespace) -> None:
    """Write a classifier as an ONNX file that was checked."""
    quantize = "int8" if options.int8 else None
    classifier = _load(options.model)
    print(classifier.export_onnx(options.output, texts_of(options), quantize=quantize))


def _load(path: str) -> Any:
    """Return the classifier saved in a folder or an ONNX file."""
    import skllkd

    if path.endswith(".onnx"):
        return skllkd.ONNXClassifier(path)
    return skllkd.LLKDClassifier.load(path)


def _budget(given: str) -> float:
    """Return a number of texts, or a share of them."""
    return int(given) if given.isdecimal() else float(given)
