"""Arguments that several commands take, and the objects they stand for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from skllkd._core.tables import FORMATS, SUFFIXES, Row, format_of, read_rows
from skllkd.exceptions import InvalidParameterError


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], None] | None,
    summary: str,
    more: str,
) -> argparse.ArgumentParser:
    """Add a command and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {more}".strip(),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    if run is not None:  # one with commands of its own has none
        parser.set_defaults(run=run)
    return parser


def add_input(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the file of texts."""
    parser.add_argument(
        "input",
        nargs="?" if default else None,
        default=default,
        help="file of texts: .csv, .tsv, .jsonl, .parquet or .txt (a text a line); - "
        "for standard input",
    )
    parser.add_argument("--column", default="text", help="column of the texts")
    parser.add_argument("--format", choices=FORMATS, help="format of the input")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the file to write."""
    parser.add_argument(
        "--output", "-o", default="-", help="file to write; - for standard output"
    )
    parser.add_argument("--output-format", choices=FORMATS, help="format of the output")


def add_teacher(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the teacher, its prompt and its budget, and the classes."""
    add = parser.add_argument
    add(
        "--teacher",
        required=required,
        help="a GGUF file, a table of answers (.csv, .tsv, .jsonl, .parquet), the folder "
        "of a sentence encoder, or the name of a model on a server that speaks the "
        "OpenAI API",
    )
    add(
        "--classes",
        nargs="+",
        required=required,
        metavar="CLASS",
        help="the labels: a name each, or name=description",
    )
    add("--base-url", help="address of the server, as for llama-server")
    add("--api-key-env", help="name of the environment variable with the key")
    add(
        "--examples",
        help="file of texts, in the same column as the input's, with a column `label`",
    )
    add("--instruction", help="task description in the prompt")
    add("--max-calls", type=int, help="maximum number of calls, earlier ones included")
    add(
        "--price",
        nargs=2,
        type=float,
        metavar=("READ", "WRITTEN"),
        help="your price of a million tokens read, and written, of a server's model",
    )
    add(
        "--max-cost", type=float, help="maximum cost at --price, earlier calls included"
    )


def text_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Generate the rows of the input, each with a text in its column."""
    kind = format_of(options.input, options.format)
    rows = read_rows(options.input, kind, options.column)
    return _with_text(rows, options.input, options.column)


def _with_text(rows: Iterator[Row], path: str, column: str) -> Iterator[Row]:
    """Generate rows, or raise at the first that has no text."""
    for number, row in enumerate(rows, start=1):
        if not isinstance(row.get(column), str):
            raise InvalidParameterError(
                f"{path}, row {number}: there is no text in column {column!r}; the "
                f"columns are {[str(name) for name in row]}. Say --column."
            )
        yield row


def texts_of(options: argparse.Namespace) -> list[str]:
    """Return the texts of the input."""
    return [row[options.column] for row in text_rows(options)]


def output_format(options: argparse.Namespace, usual: str | None) -> str:
    """Return the format to write, to a file that is not the one that is read."""
    if options.output != "-" and Path(options.output).resolve() == (
        Path(options.input).resolve()
    ):
        raise InvalidParameterError(
            f"--output {options.output!r} is the input, which would be lost. Name "
            "another file."
        )
    return format_of(options.output, options.output_format or usual)


def classes_of(options: argparse.Namespace) -> Any:
    """Return class names, or names with descriptions ("name=description")."""
    given: Sequence[str] = options.classes
    pairs = [name.partition("=") for name in given]
    if any(mark for _, mark, _ in pairs):
        return {name: text for name, _, text in pairs}
    return list(given)


def teacher_of(options: argparse.Namespace) -> Any:
    """Return the teacher named: a file, a folder, or a model of a server."""
    from skllkd import teachers

    name, suffix = options.teacher, Path(options.teacher).suffix.lower()
    if SUFFIXES.get(suffix, "txt") != "txt":
        return teachers.PrecomputedTeacher.from_table(name)
    if Path(name).is_dir() and options.base_url is None:
        return teachers.EmbeddingTeacher(name)
    settings: dict[str, Any] = {
        "examples": _examples(options),
        "max_calls": options.max_calls,
    }
    if options.instruction is not None:
        settings["instruction"] = options.instruction
    if suffix == ".gguf":
        return _gguf_teacher(name, settings)
    for setting in ("base_url", "api_key_env", "max_cost"):
        if getattr(options, setting) is not None:
            settings[setting] = getattr(options, setting)
    if options.price is not None:
        settings["price_per_million"] = tuple(options.price)
    return teachers.OpenAITeacher(name, **settings)


def _gguf_teacher(path: str, settings: dict[str, Any]) -> Any:
    """Return the teacher of a GGUF file, by transformers where llama.cpp is missing."""
    from skllkd import teachers

    if find_spec("llama_cpp") is not None:
        return teachers.LlamaCppTeacher(path, **settings)
    say("llama-cpp-python is not installed: the GGUF file is read by transformers.")
    return teachers.TransformersTeacher(path, **settings)


def _examples(options: argparse.Namespace) -> list[tuple[str, Any]]:
    """Return the examples for the prompt, from a file with text and label."""
    if options.examples is None:
        return []
    path, column = options.examples, options.column
    rows = list(_with_text(read_rows(path, format_of(path, None)), path, column))
    if any("label" not in row for row in rows):
        raise InvalidParameterError(
            f"{path}: examples need the columns {column!r} and 'label'."
        )
    return [(row[column], row["label"]) for row in rows]


def say(message: str) -> None:
    """Print a message that is no result."""
    print(message, file=sys.stderr, flush=True)
