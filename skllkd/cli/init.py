"""The command that writes the configuration file of a task."""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from skllkd._core.classes import Multilabel
from skllkd.cli.arguments import add_command
from skllkd.cli.classes import classes_of
from skllkd.cli.console import say
from skllkd.cli.gold import add_gold
from skllkd.cli.settings import FILE
from skllkd.cli.student import add_student
from skllkd.cli.tables import add_input
from skllkd.cli.teacher_options import add_teacher, text_length
from skllkd.exceptions import InvalidParameterError

_HEAD = """\
# A task of skllkd: the commands plan, label and fit read it in the folder where they are
# run, and others with --config. Each setting is the option of that name; options given on
# the command line come first. Paths are seen from that folder.
"""
_TABLES = ("teacher", "prompt", "limits", "student", "training", "gold")
_CLASSES = """
# The classes: a name and a description, which the teacher reads, or "" for none.
[classes]"""
_EXAMPLE = {"billing": "invoices, refunds, charges", "outage": "something is down"}


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    init = add_command(
        commands,
        "init",
        _init,
        "write a configuration file of a task, with comments",
        f"It is {FILE} in this folder. Options given are filled in, the others stand there "
        "as comments.",
    )
    init.set_defaults(writes_settings=True)
    add_input(init, default="texts.csv")
    add_teacher(init, required=False)
    add_student(init, required=False)
    add_gold(init)


def _init(options: argparse.Namespace) -> None:
    """Write the configuration file."""
    path = Path(options.config or FILE)
    if path.exists():
        raise InvalidParameterError(
            f"{str(path)!r} is there already. Edit it, or name another file with --config."
        )
    path.write_text(_content(options), encoding="utf-8")
    say(f"{path} written. Fill it in, then run `skllkd plan`.")


def _content(options: argparse.Namespace) -> str:
    """Return the file: a table for each group of options, and one of the classes."""
    lines = [_HEAD, f"input = {_value(options.input)}"]
    for group in options.parser._action_groups:
        actions = [a for a in group._group_actions if _is_setting(a)]
        if not actions:
            continue
        if group.title in _TABLES:
            lines.append(f"\n[{group.title}]")
        for action in actions:
            lines += _setting(action, getattr(options, action.dest))
    lines.append(_CLASSES)
    classes = _EXAMPLE if options.classes is None else classes_of(options)
    if isinstance(classes, Multilabel):
        classes = classes.classes
    if not isinstance(classes, dict):
        classes = dict.fromkeys(classes, "")
    lines += [f"{_key(name)} = {_value(about)}" for name, about in classes.items()]
    return "\n".join(lines) + "\n"


def _is_setting(action: argparse.Action) -> bool:
    """Return whether an action is an option that a configuration file may hold."""
    return bool(action.option_strings) and action.dest not in (
        *("help", "config", "classes", "create_store"),
    )


def _setting(action: argparse.Action, value: Any) -> list[str]:
    """Return the lines of a setting: its help, and the value, as a comment if unknown."""
    name = next(o for o in action.option_strings if o.startswith("--"))[2:]
    shown = [f"# {line}" for line in textwrap.wrap(str(action.help), 86)]
    is_needed = action.dest in ("teacher", "column", "model")
    if (value is None or value is False) and not is_needed:
        example = "false" if action.nargs == 0 else _example(action)
        return [*shown, f"# {name} = {example}"]
    return [*shown, f"{name} = {_value(f'my-{name}' if value is None else value)}"]


def _example(action: argparse.Action) -> str:
    """Return a value of the kind that an option takes."""
    if action.choices is not None:
        return _value(next(iter(action.choices)))
    number = {int: 1000, float: 1.0, text_length: 1000}.get(action.type, "...")
    return _value([number] * action.nargs if isinstance(action.nargs, int) else number)


def _value(value: Any) -> str:
    """Return a value as TOML; a table, as of a group of classes, in a line."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, tuple):  # lengths of head and tail
        value = "+".join(map(str, value))
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    """Return a name as a key of TOML."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _value(name)
