"""The teacher of the command line: its options, and the object they stand for."""

from __future__ import annotations

import argparse
import inspect
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from skllkd._core.classes import as_classes
from skllkd._core.tables.formats import SUFFIXES, suffix_of
from skllkd.cli import classes as _classes
from skllkd.cli.classes import classes_of
from skllkd.cli.console import say
from skllkd.cli.settings import add_settings
from skllkd.cli.store import add_store, store_path
from skllkd.cli.tables import whole_table
from skllkd.exceptions import InvalidParameterError

#: Options that are parameters of a teacher, by the same name.
_SETTINGS = (
    *("base_url", "api_key_env", "method", "cache_key", "timeout_s", "max_concurrency"),
    *(
        "rate_limit",
        "instruction",
        "chat",
        "dtype",
        "max_text_chars",
        "max_text_tokens",
    ),
    *("max_calls", "max_cost", "price_per_million"),
)


def add_teacher(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the teacher, its prompt and its limits, the classes, and their file."""
    teacher = parser.add_argument_group("teacher")
    teacher.add_argument(
        "--teacher",
        required=required,
        help="a GGUF file, a table of answers (as .csv, .jsonl, .parquet), the folder "
        "of a sentence encoder, or the name of a model on a server that speaks the "
        "OpenAI API",
    )
    add = teacher.add_argument
    add("--base-url", metavar="URL", help="address of the server, as for llama-server")
    add(
        "--api-key-env",
        metavar="NAME",
        help="name of the environment variable with the key",
    )
    add(
        "--method",
        choices=["logprobs", "votes", "label"],
        help="source of a server's confidence: log-probabilities (usual), the share of "
        "8 votes, or none",
    )
    add(
        "--cache-key",
        metavar="NAME",
        help="name of server and model, under which answers are stored",
    )
    add(
        "--timeout",
        dest="timeout_s",
        type=float,
        metavar="SECONDS",
        help="the longest a server's answer may take",
    )
    add(
        "--concurrency",
        dest="max_concurrency",
        type=int,
        metavar="N",
        help="requests to a server at once",
    )
    add(
        "--rate-limit",
        nargs=2,
        type=_limit,
        metavar=("REQUESTS", "TOKENS"),
        help="a server's limits per minute, none for no limit",
    )
    add("--dtype", help="numbers a local model computes with, as float32 or bfloat16")
    add_store(teacher, may_create=True)
    prompt = parser.add_argument_group("prompt").add_argument
    prompt("--instruction", metavar="TEXT", help="task description in the prompt")
    prompt(
        "--examples",
        metavar="FILE",
        help="file of texts, in the same column as the input's, with a column `label`",
    )
    prompt(
        "--chat",
        choices=["auto", "yes", "no"],
        help="whether a local model's chat template is used",
    )
    prompt(
        "--max-text-chars",
        type=int,
        metavar="N",
        help="a server reads so much of a text",
    )
    prompt(
        "--max-text-tokens",
        type=int,
        metavar="N",
        help="a local model reads so much of a text",
    )
    _add_limits(parser)
    parser.add_argument_group("classes").add_argument(
        "--classes", nargs="+", required=required, metavar="CLASS", help=_classes.HELP
    )
    add_settings(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """Add the limits of calls and cost."""
    add = parser.add_argument_group("limits").add_argument
    add(
        "--max-calls",
        type=int,
        metavar="N",
        help="maximum number of calls, earlier ones included",
    )
    add(
        "--price",
        dest="price_per_million",
        nargs=2,
        type=float,
        metavar=("READ", "WRITTEN"),
        help="your price of a million tokens read, and written, of a server's model",
    )
    add(
        "--max-cost",
        type=float,
        metavar="COST",
        help="maximum cost at --price, earlier calls included",
    )


def teacher_of(options: argparse.Namespace) -> Any:
    """Return the teacher named: a file, a folder, or a model of a server."""
    from skllkd import teachers

    name, suffix = options.teacher, suffix_of(options.teacher)
    if SUFFIXES.get(suffix, "txt") != "txt":
        _refuse(options, _SETTINGS, "a table of answers")
        table = whole_table(name, options.column)
        column = options.column if options.column in table else "text"
        return teachers.PrecomputedTeacher.from_table(table, text=column)
    if Path(name).is_dir() and options.base_url is None:
        _refuse(options, _SETTINGS, "a sentence encoder")
        return teachers.EmbeddingTeacher(name)
    kind: Any = teachers.OpenAITeacher
    what = "a model on a server"
    if suffix == ".gguf":
        kind, what = _reader_of_gguf(), "a local model"
    taken = inspect.signature(kind).parameters
    _refuse(options, [name for name in _SETTINGS if name not in taken], what)
    return kind(name, **_settings(options))


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of a language model as teacher."""
    given = {name: getattr(options, name) for name in _SETTINGS}
    given |= {"store": store_path(options), "examples": _examples(options)}
    if given["chat"] in ("yes", "no"):
        given["chat"] = given["chat"] == "yes"
    for name in ("rate_limit", "price_per_million"):
        given[name] = given[name] and tuple(given[name])
    return {name: value for name, value in given.items() if value is not None}


def _refuse(options: argparse.Namespace, names: Any, what: str) -> None:
    """Raise if a parameter is given that a kind of teacher does not take."""
    for name in names:
        if getattr(options, name) is not None:
            raise InvalidParameterError(
                f"`{name}` is not for {what}, which --teacher {options.teacher} is. Leave "
                "it out."
            )


def _reader_of_gguf() -> Any:
    """Return the teacher of GGUF files: of transformers where llama.cpp is missing."""
    from skllkd import teachers

    if find_spec("llama_cpp") is not None:
        return teachers.LlamaCppTeacher
    say("llama-cpp-python is not installed: the GGUF file is read by transformers.")
    return teachers.TransformersTeacher


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


def _limit(given: str) -> float | None:
    """Return a limit, None for none."""
    return None if given.lower() == "none" else float(given)
