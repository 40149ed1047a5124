"""The teacher that the options of the command line stand for."""

from __future__ import annotations

import argparse
import inspect
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from skllkd._core.classes import as_classes
from skllkd._core.near import near
from skllkd._core.tables.formats import SUFFIXES, suffix_of
from skllkd.cli.classes import classes_of, tags_of
from skllkd.cli.console import say
from skllkd.cli.store import store_path
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
#: Options of language models only.
_OF_MODELS = (*_SETTINGS, "examples", "store")


def teacher_of(options: argparse.Namespace) -> Any:
    """Return the teacher named: a file, a folder, or a model of a server."""
    from skllkd import teachers

    name, suffix = options.teacher, suffix_of(options.teacher)
    if SUFFIXES.get(suffix, "txt") != "txt":
        _refuse(options, _OF_MODELS, "a table of answers")
        table = whole_table(name, options.column)
        column = options.column if options.column in table else "text"
        return teachers.PrecomputedTeacher.from_table(table, text=column)
    if Path(name).is_dir() and options.base_url is None:
        _refuse(options, _OF_MODELS, "a sentence encoder")
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
                f"'label'; the columns are {list(table)}.{near(column, table)}"
            )
    classes = as_classes(classes_of(options))
    if classes.multilabel:
        labels: list[Any] = [tags_of(cell, classes) or [] for cell in table["label"]]
    else:
        labels = [_class_name(label, classes.words) for label in table["label"]]
    return list(zip(table[options.column], labels, strict=True))


def _class_name(label: Any, words: tuple[str, ...]) -> Any:
    """Return the class of the command line that a number or a flag stands for."""
    written = (str(label), str(label).lower(), str(label).removesuffix(".0"))
    return next((word for word in written if word in words), label)
