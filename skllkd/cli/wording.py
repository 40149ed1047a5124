"""Messages of the Python interface in the words of the command line."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Mapping
from typing import Any

#: A parameter in a message: `name`, `name=value`, name=value or (the_name).
_PARAMETER = re.compile(
    r"""`?(?<![\w.=?&/-])(?P<name>[a-z_]+)=(?P<value>"[^"]*"|'[^']*'|\([^()]*\)|\[[^\]]*\]"""
    r"""|\{[^}]*\}|[\w.]+|(?=`))`?|`(?P<alone>[a-z_]+)`"""
    r"""|(?<=\()(?P<bare>[a-z]+_[a-z_]+)(?=\))"""
)
_WORDS = {"True": "yes", "False": "no", "Ellipsis": "..."}


def worded(message: str, given: argparse.Namespace) -> str:
    """Return a message in the words of the command that was given."""
    return in_shell_words(message, shell_options(given.parser), given)


def shell_options(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the option of each parameter of the Python interface that a command has."""
    return {
        action.dest: next(o for o in action.option_strings if o.startswith("--"))
        for action in parser._actions
        if action.option_strings
    }


def in_shell_words(
    message: str, options: Mapping[str, str], given: argparse.Namespace
) -> str:
    """Return a message with options in place of the parameters they stand for."""

    def option(found: re.Match[str]) -> str:
        name = found["name"] or found["alone"] or found["bare"]
        known = _model_option(message, given) if name == "model" else options.get(name)
        if known is None or known not in options.values():
            return found[0]
        value = "" if found["value"] is None else _shell_value(found["value"])
        return f"{known} {value}".rstrip()

    return _PARAMETER.sub(option, message)


def _model_option(message: str, given: argparse.Namespace) -> str:
    """Return the option of the model that a message is about: teacher or student."""
    if repr(getattr(given, "teacher", None)) in message:
        return "--teacher"
    return "--student" if re.search("encoder|student", message) else "--teacher"


def _shell_value(value: str) -> str:
    """Return a Python value as it is written on the command line."""
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError):  # as (input, output)
        found = value
    if value.startswith("{") or isinstance(found, dict):
        return re.sub(r"[{}'\"]", "", value).replace(": ", "=").replace(",", "")
    if isinstance(found, (list, tuple)):
        return " ".join(map(_word, found))
    return _word(found) if found != value else re.sub("[(),]", "", value).strip()


def _word(value: Any) -> str:
    """Return a value as a word, quoted where it has spaces."""
    word = _WORDS.get(str(value), str(value))
    return f'"{word}"' if " " in word else word
