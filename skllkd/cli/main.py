"""The command line: a thin layer over the Python interface.

Each command imports its dependencies when it runs, so that help and errors in the
arguments appear at once.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skllkd._version import __version__
from skllkd.cli import (
    cascade,
    classifier,
    completion,
    init,
    labelling,
    plan,
    predict,
    report,
    review,
    serve,
    store,
)
from skllkd.cli.arguments import ANSWERS_ARE_STORED, add_command
from skllkd.cli.parser import Parser
from skllkd.cli.wording import worded
from skllkd.exceptions import SkllkdError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `skllkd` with the arguments given, or those of the process.

    Returns the exit status: 0 for success, 1 for an error of the input or set-up, 2 for
    arguments that cannot be read, 130 when interrupted, 141 when the reader of the
    output has gone.
    """
    options = parser_of_all().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # whatever the locale cannot write
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _warnings_in_words(options):
            status: int = options.run(options) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # as `skllkd predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (SkllkdError, OSError, UnicodeDecodeError) as error:
        print(f"skllkd: {worded(str(error), options)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        lines = [options.if_interrupted]
        notes = getattr(interrupt, "__notes__", [])  # how far a labelling has come
        if notes:
            command = shlex.join(["skllkd", *(arguments or sys.argv[1:])])
            lines = [*notes, f"To go on: {command}"]
        said = "\n".join(lines)
        print(f"\nskllkd: interrupted. {said}".rstrip(), file=sys.stderr)
        return 130
    return status


@contextmanager
def _warnings_in_words(options: argparse.Namespace) -> Iterator[None]:
    """Print warnings as messages, without the line of code that issued them."""

    def show(message: Any, *_: Any) -> None:
        print(f"skllkd: warning: {worded(str(message), options)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def parser_of_all() -> Parser:
    """Return the parser of the arguments."""
    parser = Parser(
        prog="skllkd",
        description="Distil a language model into a small text classifier.",
    )
    parser.add_argument("--version", action="version", version=f"skllkd {__version__}")
    parser.set_defaults(whole=parser)
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_demo(commands)
    modules = (
        init,
        plan,
        labelling,
        classifier,
        predict,
        report,
        review,
        cascade,
        serve,
    )
    for module in (*modules, store, completion):
        module.add_commands(commands)
    return parser


def _add_demo(commands: Any) -> None:
    """Add the demonstration."""
    demo = add_command(
        commands,
        "demo",
        _demo,
        "label news stories with a local model and train a classifier on them",
        "Needs no network: model, encoder and stories come with the extra `demo`. "
        "Labels are stored as they come, so an interrupted run can be continued.",
        ANSWERS_ARE_STORED,
    )
    demo.add_argument("--pool", type=int, default=1200, help="stories to learn from")
    demo.add_argument("--held-out", type=int, default=400, help="stories to score on")
    demo.add_argument(
        "--teacher",
        choices=["transformers", "llama.cpp"],
        default="transformers",
        help="library that runs the language model; llama.cpp comes with the extra `llama`",
    )
    demo.add_argument("--seed", type=int, default=0, help="seed of the student")
    demo.add_argument(
        "--output", type=Path, default=Path("skllkd-demo"), help="folder to write to"
    )


def _demo(options: argparse.Namespace) -> None:
    """Run the demonstration."""
    from skllkd.cli.demo import run_demo

    run_demo(
        n_pool=options.pool,
        n_held_out=options.held_out,
        seed=options.seed,
        teacher=options.teacher,
        output=options.output,
    )
