"""Arguments that several commands take, and the objects they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from skllkd._core.classes import as_classes
from skllkd._core.tables.formats import SUFFIXES, suffix_of
from skllkd.cli.console import say
from skllkd.cli.tables import whole_table
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


def add_teacher(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the teacher, its prompt and its budget, and the classes."""
    add = parser.add_argument
    add(
        "--teacher",
        required=required,
        help="a GGUF file, a table of answers (as .csv, .jsonl, .parquet), the folder "
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

    name, suffix = options.teacher, suffix_of(options.teacher)
    if SUFFIXES.get(suffix, "txt") != "txt":
        table = whole_table(name, options.column)
        column = options.column if options.column in table else "text"
        return teachers.PrecomputedTeacher.from_table(table, text=column)
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
    table = whole_table(options.examples, options.column)
    for column in (options.column, "label"):
        if column not in table:
            raise InvalidParameterError(
                f"{options.examples}: examples need the columns {options.column!r} and "
                f"'label'; the columns are {list(table)}."
            )
    words = as_classes(classes_of(options)).words
    labels = [_class_name(label, words) for label in table["label"]]
    return list(zip(table[options.column], labels, strict=True))


def _class_name(label: Any, words: tuple[str, ...]) -> Any:
    """Return the class of the command line that a number or a flag stands for."""
    written = (str(label), str(label).lower(), str(label).removesuffix(".0"))
    return next((word for word in written if word in words), label)
