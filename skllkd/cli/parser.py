"""A parser of arguments that proposes the near word for a typo, and reads settings."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import override

from skllkd._core.near import near
from skllkd.cli.settings import with_settings
from skllkd.exceptions import InvalidParameterError


class Parser(argparse.ArgumentParser):
    """Parser of a command: options and files in any order, typos named with the mend."""

    _is_inside = False

    @override
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        if self._is_inside or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._is_inside, given = True, list(args or [])
        self.usage = self._short_usage()
        self._refuse_typos(given)
        try:
            tokens = with_settings(self, given)
            options, extras = self.parse_known_intermixed_args(tokens, namespace)
        except InvalidParameterError as error:
            self.error(str(error))
        finally:
            self._is_inside = False
        if extras:
            self.error(f"unrecognized arguments: {' '.join(extras)}")
        self._find_input(options)
        return options, []

    def _short_usage(self) -> str:
        """Return the usage without the options that can be left out, which are many."""
        needed = [a for a in self._actions if a.required or not a.option_strings]
        options = [a.option_strings[0] for a in needed if a.option_strings]
        words = [f"{option} ..." for option in options]
        words += [str(a.metavar or a.dest) for a in needed if not a.option_strings]
        return " ".join([self.prog, "[options]", *words])

    def _refuse_typos(self, given: list[str]) -> None:
        """Name an option that is not known before its values are taken for others."""
        options = self._option_string_actions
        for token in itertools.takewhile(lambda token: token != "--", given):
            name = token.partition("=")[0]
            is_option = name.startswith("--") and " " not in name
            if is_option and not any(known.startswith(name) for known in options):
                self.error(f"unrecognized arguments: {name}")

    def _find_input(self, options: argparse.Namespace) -> None:
        """Find the input where it stands behind the classes, which took it as one."""
        if getattr(options, "input", "") is not None:
            return
        classes = getattr(options, "classes", None)
        if isinstance(classes, list) and len(classes) > 1 and _is_input(classes[-1]):
            options.input = classes.pop()
            return
        hint = " The file comes before --classes." if classes else ""
        self.error(f"the following arguments are required: input.{hint}")

    @override
    def error(self, message: str) -> NoReturn:
        question = self._proposal(message)
        super().error(f"{message.rstrip('.')}.{question}" if question else message)

    def _proposal(self, message: str) -> str:
        """Return the near option or choice of a word that is not known."""
        if message.startswith("unrecognized arguments: "):
            words = message.removeprefix("unrecognized arguments: ").split()
            options = [name for name in self._option_string_actions if name[:2] == "--"]
            found = [near(w.partition("=")[0], options) for w in words if w[:2] == "--"]
            return next((question for question in found if question), "")
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice is None:
            return ""
        return near(choice[1], [word.strip(" '") for word in choice[2].split(",")])


def _is_input(name: str) -> bool:
    """Return whether the last class is the file to read: it is there, or standard input."""
    return name == "-" or Path(name).is_file()
