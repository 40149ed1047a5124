"""The command line: a thin layer over the Python interface.

Each command imports its dependencies when it runs, so that help and errors in the
arguments appear at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skllkd._version import __version__
from skllkd.cli import classifier, labelling, serve, store
from skllkd.cli.arguments import add_command
from skllkd.exceptions import SkllkdError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `skllkd` with the arguments given, or those of the process.

    Returns the exit status: 0 for success, 1 for an error of the input or set-up, 2 for
    arguments that cannot be read, 130 when interrupted, 141 when the reader of the
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
            "\nskllkd: interrupted. Labels so far are in the store; run the command "
            "again to continue.",
            file=sys.stderr,
        )
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    parser = argparse.ArgumentParser(
        prog="skllkd",
        description="Distil a language model into a small text classifier.",
    )
    parser.add_argument("--version", action="version", version=f"skllkd {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_demo(commands)
    labelling.add_commands(commands)
    classifier.add_commands(commands)
    store.add_commands(commands)
    serve.add_commands(commands)
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
