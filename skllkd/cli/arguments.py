"""Commands of the parser, each with its help and the function that runs it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from typing_extensions import override

#: The hint after an interrupt of a command whose labels are stored as they come.
ANSWERS_ARE_STORED = (
    "Answers so far are stored, and not asked for again: run the same command to go on."
)


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help that shows a default where there is one."""

    @override
    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int | None] | None,
    summary: str,
    more: str,
    if_interrupted: str = "",
) -> argparse.ArgumentParser:
    """Add a command and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {more}".strip(),
        formatter_class=_Formatter,
    )
    parser.set_defaults(parser=parser, commands=commands, if_interrupted=if_interrupted)
    if run is not None:  # one with commands of its own has none
        parser.set_defaults(run=run)
    return parser
