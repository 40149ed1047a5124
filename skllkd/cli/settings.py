"""The configuration file of a task: options of the command line, in TOML.

Each key is an option without its dashes; the tables are only for the reader, but for
`[classes]`, which maps names to descriptions.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from skllkd._core.near import near
from skllkd.cli.console import say
from skllkd.exceptions import InvalidParameterError

#: The file that is read where none is named.
FILE = "skllkd.toml"


def add_settings(parser: argparse.ArgumentParser, *, usual: bool) -> None:
    """Add the configuration file; `usual` reads the one in this folder unasked."""
    where = f"; {FILE} in this folder if there is one" if usual else ""
    parser.set_defaults(reads_usual_settings=usual)
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"configuration file, as `skllkd init` writes it{where}. Options given here "
        "come first",
    )


def with_settings(parser: argparse.ArgumentParser, arguments: list[str]) -> list[str]:
    """Return arguments behind those of the configuration file, which they overrule."""
    if not _takes_settings(parser) or {"-h", "--help"} & {*arguments}:
        return arguments
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config")
    path = finder.parse_known_args(arguments)[0].config
    if path is None:
        if not (parser.get_default("reads_usual_settings") and Path(FILE).is_file()):
            return arguments
        path = FILE
        say(f"settings of {FILE}")
    return [*_tokens(parser, path), *arguments]


def _takes_settings(parser: argparse.ArgumentParser) -> bool:
    """Return whether a command reads a configuration file."""
    writes = parser.get_default("writes_settings")
    return "--config" in parser._option_string_actions and not writes


def _tokens(parser: Any, path: str) -> list[str]:
    """Return the settings of a file as arguments, without those of other commands."""
    tokens: list[str] = []
    for name, value in _read(path).items():
        action = parser._option_string_actions.get(f"--{name}")
        if name in ("classes", "input"):
            _set_default(parser, name, value)
        elif action is not None:
            tokens += _arguments(action, name, value)
        elif name not in _known(parser):
            raise InvalidParameterError(
                f"{path}: {name!r} is no setting.{near(name, _known(parser))}"
            )
    return tokens


def _read(path: str) -> dict[str, Any]:
    """Return the settings of a file by name; its tables are for the reader only."""
    try:
        with Path(path).expanduser().open("rb") as file:
            content = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise InvalidParameterError(f"{path} cannot be read: {error}") from error
    settings: dict[str, Any] = {}
    for name, value in content.items():
        is_table = isinstance(value, dict) and name != "classes"
        settings |= value if is_table else {name: value}
    return settings


def _known(parser: Any) -> set[str]:
    """Return the settings of every command that reads them."""
    names = {"classes", "input"}
    for other in parser.get_default("commands").choices.values():
        if _takes_settings(other):
            options = other._option_string_actions
            names |= {name[2:] for name in options if name.startswith("--")}
    return names - {"config", "help"}


def _arguments(action: argparse.Action, name: str, value: Any) -> list[str]:
    """Return a setting as arguments."""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise InvalidParameterError(
                f"{name!r} must be true or false; got {value!r}."
            )
        return [f"--{name}"] if value else []
    if isinstance(value, list) and action.nargs is not None:
        return [f"--{name}", *map(_word, value)]
    if isinstance(value, (list, dict)):
        raise InvalidParameterError(f"{name!r} must be one value; got {value!r}.")
    return [f"--{name}={_word(value)}"]


def _word(value: Any) -> str:
    """Return a value as it is written on the command line."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _set_default(parser: argparse.ArgumentParser, name: str, value: Any) -> None:
    """Set the value of an argument that is not given on the command line."""
    for action in parser._actions:
        if action.dest == name:
            action.default, action.required = value, False
