"""The commands about a classifier: fit, predict, export."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from typing import Any

from skllkd._core.tables import Row, format_of, write_rows
from skllkd.cli.arguments import (
    add_command,
    add_input,
    add_output,
    add_teacher,
    classes_of,
    output_format,
    say,
    teacher_of,
    text_rows,
    texts_of,
)

_CHUNK = 4096  # rows predicted together


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
    add_output(predict)

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
    source = format_of(options.input, options.format)
    kind = output_format(options, source if options.output == "-" else None)
    classifier = load_model(options.model)
    rows = _predicted(classifier, text_rows(options), options.column)
    write_rows(rows, options.output, kind)


def _predicted(classifier: Any, rows: Iterator[Row], column: str) -> Iterator[Row]:
    """Generate rows with the label predicted and its probability."""
    while chunk := list(islice(rows, _CHUNK)):
        proba = classifier.predict_proba([row[column] for row in chunk])
        names = classifier.classes_[proba.argmax(axis=1)]
        for row, name, sure in zip(chunk, names, proba.max(axis=1), strict=True):
            yield row | {"predicted": name.item(), "confidence": round(float(sure), 6)}


def _export(options: argparse.Namespace) -> None:
    """Write a classifier as an ONNX file that was checked."""
    quantize = "int8" if options.int8 else None
    classifier = load_model(options.model)
    print(classifier.export_onnx(options.output, texts_of(options), quantize=quantize))


def load_model(path: str) -> Any:
    """Return the classifier saved in a folder or an ONNX file."""
    import skllkd

    if path.endswith(".onnx"):
        return skllkd.ONNXClassifier(path)
    return skllkd.LLKDClassifier.load(path)


def _budget(given: str) -> float:
    """Return a number of texts, or a share of them."""
    return int(given) if given.isdecimal() else float(given)
