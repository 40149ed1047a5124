"""The command line: a thin layer over the Python interface."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from skllkd._core.tables import FORMATS, Row, format_of, read_rows, write_rows
from skllkd._version import __version__
from skllkd.exceptions import InvalidParameterError, SkllkdError

_CHUNK = 4096  # rows predicted together


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `skllkd`.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        The exit status: 0 for success, 1 for an error of the input or set-up, 2 for
        arguments that cannot be read, 130 when interrupted, 141 when what reads the
        output has gone.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # as `skllkd predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (SkllkdError, OSError, UnicodeDecodeError) as error:
        print(f"skllkd: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nskllkd: interrupted. The labels bought so far are in the store; run the "
            "command again to go on from there.",
            file=sys.stderr,
        )
        return 130
    return 0


def _demo(options: argparse.Namespace) -> None:
    """Run the demonstration."""
    from skllkd.cli.demo import run_demo

    run_demo(
        n_pool=options.pool,
        n_held_out=options.held_out,
        seed=options.seed,
        output=options.output,
    )


def _plan(options: argparse.Namespace) -> None:
    """Print what labelling would take."""
    print(_teacher(options).plan(_texts(options), _classes(options.classes)))


def _label(options: argparse.Namespace) -> None:
    """Label texts and write a table of them."""
    output = _output_format(options, None)
    texts = _texts(options)
    labels = _teacher(options).label(texts, _classes(options.classes), verbose=1)
    rows = labels.to_pandas(texts).to_dict("records")
    n_written = write_rows(rows, options.output, output)
    _say(f"{n_written:,} texts labelled, {labels.n_asked:,} asked about for now.")


def _fit(options: argparse.Namespace) -> None:
    """Label texts, train a classifier on them, and save it."""
    from skllkd._classifier import LLKDClassifier
    from skllkd.selection import AcceptReject
    from skllkd.students import FrozenEncoderStudent, TransformerStudent

    kind = FrozenEncoderStudent if options.frozen else TransformerStudent
    budget = options.budget
    classifier = LLKDClassifier(
        _teacher(options),
        _classes(options.classes),
        acquisition=None if budget is None else AcceptReject(budget),
        student=kind() if options.student is None else kind(options.student),
        n_epochs=options.epochs,
        random_state=options.seed,
    ).fit(_texts(options))
    classifier.save(options.model)
    classifier.report()
    _say(f"saved in {options.model}")


def _predict(options: argparse.Namespace) -> None:
    """Predict rows as they come."""
    source = format_of(options.input, options.format)
    output = _output_format(options, source if options.output == "-" else None)
    classifier = _load(options.model)
    rows = read_rows(options.input, source, options.column)
    write_rows(_predicted(classifier, rows, options.column), options.output, output)


def _predicted(classifier: Any, rows: Iterator[Row], column: str) -> Iterator[Row]:
    """Generate rows with the label predicted and its probability."""
    while chunk := list(islice(rows, _CHUNK)):
        proba = classifier.predict_proba([row[column] for row in chunk])
        names = classifier.classes_[proba.argmax(axis=1)]
        for row, name, sure in zip(chunk, names, proba.max(axis=1), strict=True):
            yield row | {"predicted": name.item(), "confidence": round(float(sure), 6)}


def _report(options: argparse.Namespace) -> None:
    """Print what to look at before trusting a classifier."""
    classifier = _load(options.model)
    if options.teacher is not None:
        classifier.set_params(teacher=_teacher(options))
    classifier.report(_texts(options))


def _export(options: argparse.Namespace) -> None:
    """Write a classifier as an ONNX file that was checked."""
    quantize = "int8" if options.int8 else None
    found = _load(options.model).export_onnx(
        options.output, _texts(options), quantize=quantize
    )
    print(found)


def _store(options: argparse.Namespace) -> None:
    """List what the label store holds, take another in, or forget."""
    from skllkd.teachers import LabelStore

    store = LabelStore(options.store)
    if options.action == "merge":
        print(f"{store.merge(options.file):,} new answers")
    elif options.action == "prune":
        removed = store.prune(
            options.fingerprint,
            older_than_days=options.older_than_days,
            unanswered_only=options.unanswered,
        )
        print(f"{removed:,} answers forgotten")
    else:
        print(f"{store.path}: {len(store):,} answers")
        for entry in store.contents():
            about = ", ".join(f"{k}: {v}" for k, v in entry.description.items())
            print(f"  {entry.fingerprint[:12]}  {entry.n_answers:>9,}  {about:.120}")


def _load(folder: str) -> Any:
    """Return a saved classifier, or one of an ONNX file."""
    if folder.endswith(".onnx"):
        from skllkd.persistence.onnx_classifier import ONNXClassifier

        return ONNXClassifier(folder)
    from skllkd._classifier import LLKDClassifier

    return LLKDClassifier.load(folder)


def _texts(options: argparse.Namespace) -> list[str]:
    """Return the texts of the input."""
    source = format_of(options.input, options.format)
    rows = read_rows(options.input, source, options.column)
    return [row[options.column] for row in rows]


def _output_format(options: argparse.Namespace, usual: str | None) -> str:
    """Return the format to write, to a file that is not the one that is read."""
    if options.output != "-" and Path(options.output).resolve() == (
        Path(options.input).resolve()
    ):
        raise InvalidParameterError(
            f"--output {options.output!r} is the input, which would be lost. Name "
            "another file."
        )
    return format_of(options.output, options.output_format or usual)


def _classes(given: Sequence[str]) -> Any:
    """Return class names, or names with descriptions ("name=description")."""
    pairs = [name.partition("=") for name in given]
    if any(mark for _, mark, _ in pairs):
        return {name: text for name, _, text in pairs}
    return list(given)


def _teacher(options: argparse.Namespace) -> Any:
    """Return the teacher that is named: a GGUF file, a table, or a model of a server."""
    from skllkd import teachers

    name, suffix = options.teacher, Path(options.teacher).suffix.lower()
    if suffix in (".csv", ".jsonl", ".parquet"):
        return teachers.PrecomputedTeacher.from_table(name)
    settings: dict[str, Any] = {
        "examples": _examples(options),
        "max_calls": options.max_calls,
    }
    if options.instruction is not None:
        settings["instruction"] = options.instruction
    if suffix == ".gguf":
        return teachers.LlamaCppTeacher(name, **settings)
    for setting in ("base_url", "api_key_env", "max_cost"):
        if getattr(options, setting) is not None:
            settings[setting] = getattr(options, setting)
    if options.price is not None:
        settings["price_per_million"] = tuple(options.price)
    return teachers.OpenAITeacher(name, **settings)


def _examples(options: argparse.Namespace) -> list[tuple[str, Any]]:
    """Return the examples for the prompt, from a file with text and label."""
    if options.examples is None:
        return []
    source = format_of(options.examples, None)
    rows = list(read_rows(options.examples, source, options.column))
    if any("label" not in row for row in rows):
        raise InvalidParameterError(
            f"{options.examples}: examples need the columns {options.column!r} and "
            "'label'."
        )
    return [(row[options.column], row["label"]) for row in rows]


def _say(message: str) -> None:
    """Tell the user something that is no result."""
    print(message, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    parser = argparse.ArgumentParser(
        prog="skllkd",
        description="Distil a language model into a small text classifier.",
    )
    parser.add_argument("--version", action="version", version=f"skllkd {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Any, what: str, more: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=what,
            description=f"{what[0].upper()}{what[1:]}. {more}",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    demo = command(
        "demo",
        _demo,
        "label news stories with a local model and train a classifier on them",
        "Needs no network: model, encoder and stories come with the extra `demo`. "
        "Labels are stored as they come, so an interrupted run goes on where it was.",
    )
    demo.add_argument("--pool", type=int, default=1200, help="stories to learn from")
    demo.add_argument("--held-out", type=int, default=400, help="stories to score on")
    demo.add_argument("--seed", type=int, default=0, help="seed of the student")
    demo.add_argument(
        "--output", type=Path, default=Path("skllkd-demo"), help="folder to write to"
    )

    plan = command(
        "plan",
        _plan,
        "say what labelling texts will take, before a call is made",
        "Texts, repeats, what the store knows, tokens, and the price where it is known.",
    )
    _add_input(plan)
    _add_teacher(plan)

    label = command(
        "label",
        _label,
        "label texts with a teacher",
        "Answers are stored as they come: run it again to go on. The table has the "
        "text, its label, each class's probability, and where the answer is from.",
    )
    _add_input(label)
    _add_teacher(label)
    _add_output(label)

    fit = command(
        "fit",
        _fit,
        "label texts with a teacher, train a classifier on them, and save it",
        "Prints the report of the classifier.",
    )
    _add_input(fit)
    _add_teacher(fit)
    fit.add_argument("--model", required=True, help="folder to save the classifier in")
    fit.add_argument("--student", help="encoder: a folder or a name on the model hub")
    fit.add_argument("--frozen", action="store_true", help="train a head only: seconds")
    fit.add_argument("--epochs", type=int, default=3, help="how often a text is shown")
    fit.add_argument("--seed", type=int, default=0, help="seed of the student")
    fit.add_argument(
        "--budget", type=_budget, help="ask about this share or number of texts only"
    )

    predict = command(
        "predict",
        _predict,
        "predict texts with a saved classifier",
        "Reads and writes as it goes: from standard input to standard output, a text a "
        "line, unless files are named.",
    )
    predict.add_argument("model", help="folder of `skllkd fit`, or an ONNX file")
    _add_input(predict, default="-")
    _add_output(predict)

    report = command(
        "report",
        _report,
        "measure a saved classifier against the teacher, and find suspects",
        "On the texts it was fitted on no teacher is needed.",
    )
    report.add_argument("model", help="folder of `skllkd fit`")
    _add_input(report)
    _add_teacher(report, required=False)

    export = command(
        "export",
        _export,
        "write a saved classifier as one ONNX file",
        "Both predict the texts given; a file that disagrees is not written.",
    )
    export.add_argument("model", help="folder of `skllkd fit`")
    _add_input(export)
    export.add_argument("--output", required=True, help="file to write")
    export.add_argument("--int8", action="store_true", help="multiply in eight bits")

    store = command(
        "store",
        _store,
        "list, merge or prune the labels bought",
        "The store is `labels.sqlite` in the user's cache folder, or in the folder "
        "SKLLKD_CACHE names.",
    )
    store.add_argument("--store", help="file of the store, if it is another")
    actions = store.add_subparsers(dest="action", metavar="action", required=True)
    actions.add_parser("list", help="what it holds, by teacher and prompt")
    merge = actions.add_parser(
        "merge", help="take in another store or an export of one"
    )
    merge.add_argument("file", help="file to take in")
    prune = actions.add_parser("prune", help="forget answers")
    prune.add_argument("--fingerprint", help="those of one key only")
    prune.add_argument("--older-than-days", type=float, help="those older only")
    prune.add_argument(
        "--unanswered", action="store_true", help="texts without a usable answer only"
    )
    return parser


def _add_input(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the file of texts."""
    parser.add_argument(
        "input",
        nargs="?" if default else None,
        default=default,
        help="file of texts: .csv, .jsonl, .parquet or .txt (a text a line); - for "
        "standard input",
    )
    parser.add_argument("--column", default="text", help="column of the texts")
    parser.add_argument("--format", choices=FORMATS, help="format of the input")


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Add the file to write."""
    parser.add_argument(
        "--output", "-o", default="-", help="file to write; - for standard output"
    )
    parser.add_argument("--output-format", choices=FORMATS, help="format of the output")


def _add_teacher(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add who labels, and into what."""
    parser.add_argument(
        "--teacher",
        required=required,
        help="a GGUF file, a table of answers (.csv, .jsonl, .parquet), or the name of "
        "a model on a server that speaks the OpenAI API",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        required=required,
        metavar="CLASS",
        help="the labels: a name each, or name=description",
    )
    parser.add_argument("--base-url", help="address of the server, as for llama-server")
    parser.add_argument(
        "--api-key-env", help="name of the environment variable with the key"
    )
    parser.add_argument(
        "--examples",
        help="file of texts, in the same column as the input's, with a column `label`",
    )
    parser.add_argument("--instruction", help="what the teacher is told to do")
    parser.add_argument(
        "--max-calls", type=int, help="stop before the model is asked more often"
    )
    parser.add_argument(
        "--price",
        nargs=2,
        type=float,
        metavar=("READ", "WRITTEN"),
        help="your price of a million tokens read, and written, of a server's model",
    )
    parser.add_argument(
        "--max-cost", type=float, help="stop before more than this is spent, at --price"
    )


def _budget(given: str) -> float:
    """Return a number of texts, or a share of them."""
    return int(given) if given.isdecimal() else float(given)
