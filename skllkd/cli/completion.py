"""Completion of commands, options and files in bash and zsh."""

from __future__ import annotations

import argparse
from typing import Any

from skllkd.cli.arguments import add_command

#: Arguments that name files or folders.
_FILES = {
    *("input", "output", "file", "model", "store", "examples", "config", "teacher"),
    *("classes", "student", "gold"),
}


def add_commands(commands: Any) -> None:
    """Add the command that writes a completion script."""
    parser = add_command(
        commands,
        "completion",
        _completion,
        "print the script that completes commands, options and files in a shell",
        'For bash, put `eval "$(skllkd completion bash)"` into ~/.bashrc; for zsh, write '
        "the script as `_skllkd` into a folder of $fpath.",
    )
    parser.add_argument("shell", choices=["bash", "zsh"], help="your shell")


def _completion(options: argparse.Namespace) -> None:
    """Print a completion script."""
    import shtab

    parser = options.whole
    for action in _actions(parser):
        if action.dest in _FILES:
            action.complete = shtab.FILE
    print(shtab.complete(parser, options.shell))


def _actions(parser: argparse.ArgumentParser) -> list[Any]:
    """Return the actions of a parser and of its commands."""
    actions: list[Any] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                actions += _actions(command)
        else:
            actions.append(action)
    return actions
