"""The command line: a thin layer over the Python interface."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from skllkd._version import __version__
from skllkd.exceptions import SkllkdError


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
        arguments that cannot be read, 130 when interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        from skllkd._demo import run_demo

        run_demo(
            n_pool=options.pool,
            n_held_out=options.held_out,
            seed=options.seed,
            output=options.output,
        )
    except (SkllkdError, OSError) as error:
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


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    parser = argparse.ArgumentParser(
        prog="skllkd",
        description="Distil a language model into a small text classifier.",
    )
    parser.add_argument("--version", action="version", version=f"skllkd {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="label news stories with a local model and train a classifier on them",
        description="Label news stories with a local language model, train a small "
        "transformer on the labels, and compare the two. Needs no network: model, "
        "encoder and stories come with the extra `demo`. Labels are stored as they "
        "come, so an interrupted run goes on where it was.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument("--pool", type=int, default=1200, help="stories to learn from")
    demo.add_argument("--held-out", type=int, default=400, help="stories to score on")
    demo.add_argument("--seed", type=int, default=0, help="seed of the student")
    demo.add_argument(
        "--output", type=Path, default=Path("skllkd-demo"), help="folder to write to"
    )
    return parser
