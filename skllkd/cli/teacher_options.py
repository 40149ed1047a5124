"""Options of the teacher: its model, prompt, limits and classes."""

from __future__ import annotations

import argparse

from skllkd.cli.classes import CLASSES_HELP
from skllkd.cli.settings import add_settings
from skllkd.cli.store import add_store


def add_teacher(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the teacher, its prompt and its limits, the classes, and their file."""
    _add_model(parser.add_argument_group("teacher"), required)
    _add_prompt(parser.add_argument_group("prompt"))
    _add_limits(parser.add_argument_group("limits"))
    classes = parser.add_argument_group("classes").add_argument
    classes(
        "--classes", nargs="+", required=required, metavar="CLASS", help=CLASSES_HELP
    )
    classes(
        "--multilabel",
        action="store_true",
        help="a text has none, one or several of the classes",
    )
    add_settings(parser, usual=required)


def _add_model(group: argparse._ArgumentGroup, required: bool) -> None:
    """Add the model, the way of asking it, and the store of its answers."""
    add = group.add_argument
    add(
        "--teacher",
        required=required,
        help="a GGUF file, a table of answers (as .csv, .jsonl, .parquet), the folder "
        "of a sentence encoder, or the name of a model on a server that speaks the "
        "OpenAI API",
    )
    add("--base-url", metavar="URL", help="address of the server, as for llama-server")
    add(
        "--api-key-env",
        metavar="NAME",
        help="name of the environment variable with the key",
    )
    add(
        "--method",
        choices=["logprobs", "votes", "label", "questions"],
        help="source of a server's confidence: log-probabilities (usual), the share of "
        "8 votes, or none; with --multilabel also a question about each class",
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
    add_store(group, may_create=True)


def _add_prompt(group: argparse._ArgumentGroup) -> None:
    """Add the prompt."""
    add = group.add_argument
    add("--instruction", metavar="TEXT", help="task description in the prompt")
    add(
        "--examples",
        metavar="FILE",
        help="file of texts, in the same column as the input's, with a column `label`",
    )
    add(
        "--chat",
        choices=["auto", "yes", "no"],
        help="whether a local model's chat template is used",
    )
    add(
        "--max-text-chars",
        type=text_length,
        metavar="N",
        help="a server reads so many characters of a text; as 6000+2000 of its head and "
        "tail",
    )
    add(
        "--max-text-tokens",
        type=text_length,
        metavar="N",
        help="a local model reads so many tokens of a text; as 300+100 of its head and "
        "tail",
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    """Add the limits of calls and cost."""
    add = group.add_argument
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


def text_length(given: str) -> int | tuple[int, int]:
    """Return a length, or two of them, of head and tail, with a plus between them."""
    head, plus, tail = given.partition("+")
    return (int(head), int(tail)) if plus else int(head)


def _limit(given: str) -> float | None:
    """Return a limit, None for none."""
    return None if given.lower() == "none" else float(given)
