"""A review in the terminal: a text, the classes by number, and a line as the answer."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from typing import Any

from skllkd.serving.review.session import ReviewSession

_COMMANDS = "u unsure, s skip, z undo, n NOTE, r results, q quit"
#: Lines of a text that are shown before `t` is asked for.
_MAX_LINES = 30
#: Control characters but tabs and line breaks, and those that override directions.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Terminal:
    """Questions on standard output, answers on standard input.

    Parameters
    ----------
    session : ReviewSession
        The review.
    """

    def __init__(self, session: ReviewSession) -> None:
        self.session, self.note = session, ""
        self.names = [str(name) for name in session.pool.classes]
        self.width = min(100, shutil.get_terminal_size().columns)

    def run(self) -> None:
        """Ask until all texts have an answer, the input ends, or it says quit."""
        while (row := self.session.row) is not None:
            self._ask(row)
            while True:
                print("> ", end="", flush=True)
                line = sys.stdin.readline()
                if not line or line.strip().casefold() == "q":
                    print()
                    self._results()
                    return
                if self._take(row, line.strip()):
                    break
        print("Every text has an answer.")
        self._results()

    def _ask(self, row: int) -> None:
        """Show a text and the classes."""
        progress = self.session.progress()
        place, of = progress.n_answered + progress.n_unsure, progress.n_texts
        if progress.n_sample_asked < progress.n_sample:
            place, of = progress.n_sample_asked, progress.n_sample
        print(f"\n--- {place + 1} of {of:,} ({self.session.part}) ---\n")
        print(self._wrapped(self.session.pool.texts[row]), end="\n\n")
        numbered = [f"{n} {name}" for n, name in enumerate(self.names, 1)]
        if self.session.pool.multilabel:
            numbered = ["several, as 1 2:", *numbered, f"0 {self._words(())}"]
        print(textwrap.fill("   ".join(numbered), self.width, break_on_hyphens=False))
        print(f"[{_COMMANDS}]")

    def _wrapped(self, text: str) -> str:
        """Return a text in lines of the terminal's width, and not too many of them."""
        lines = [
            part
            for line in shown_safely(text).splitlines()
            for part in textwrap.wrap(line, self.width) or [""]
        ]
        if len(lines) > _MAX_LINES:
            n_more = len(lines) - _MAX_LINES
            lines = [*lines[:_MAX_LINES], f"[{n_more} more lines; t shows them]"]
        return "\n".join(lines)

    def _take(self, row: int, line: str) -> bool:
        """Do as a line says; return whether to go on to the next text."""
        label = self._label(line)
        if label is not None or line.casefold() == "u":
            self.session.answer(row, label, self.note)
            self.note = ""
            self._tell(row, "unsure" if label is None else self._words(label))
            return True
        return self._obey(row, line)

    def _words(self, label: Any) -> str:
        """Return a label in words."""
        return self.session.pool.words(label)

    def _label(self, line: str) -> Any:
        """Return the label of a line, None if it names none.

        Of several classes the line holds numbers or, between commas, names.
        """
        classes = self.session.pool.classes
        if not self.session.pool.multilabel:
            place = self._place(line)
            return None if place is None else classes[place]
        if line == "0":
            return ()
        are_numbers = re.fullmatch(r"[\d\s,;]+", line) is not None
        parts = re.split(r"[\s,;]+" if are_numbers else r"[,;]", line.strip(" ,;"))
        places = [self._place(part.strip()) for part in parts]
        named = [classes[place] for place in places if place is not None]
        return tuple(named) if len(named) == len(places) else None

    def _place(self, line: str) -> int | None:
        """Return the place of a class by its number, its name, or a beginning of it."""
        if line in self.names:
            return self.names.index(line)
        if line.isdecimal() and 1 <= int(line) <= len(self.names):
            return int(line) - 1
        if len(line) < 2:  # commands have one letter
            return None
        begun = [name.casefold().startswith(line.casefold()) for name in self.names]
        return begun.index(True) if sum(begun) == 1 else None

    def _obey(self, row: int, line: str) -> bool:
        """Obey a command; return whether to go on to the next text."""
        command = line.casefold()
        if command == "s":
            self.session.skip(row)
            self.note = ""
            return True
        if command == "z":
            taken = self.session.undo()
            print("nothing to undo" if taken is None else "taken back")
            self.note = self.note if taken is None else taken.note
            return taken is not None
        if command.startswith("n "):
            self.note = line[2:]
            print("the note goes with the answer")
        elif command == "r":
            self._results()
        elif command == "t":
            print(shown_safely(self.session.pool.texts[row]))
        elif line:
            print(f"{shown_safely(line)!r} is no class, number, or one of: {_COMMANDS}")
        return False

    def _tell(self, row: int, answer: str) -> None:
        """Say the answer, and the view of each judge, which is no secret any more."""
        pool = self.session.pool
        views = [
            f"{judge} {pool.words(label)}"
            for judge in pool.judges
            if (label := pool.view(judge, row)) is not None
        ]
        print(f"saved: {answer}. {', '.join(views)}")
        found: Any = self.session.results().accuracy.get("student")
        if found and found.n_texts:
            print(f"student so far: {found}")

    def _results(self) -> None:
        """Print the results."""
        print(self.session.results())


def review_in_terminal(session: ReviewSession) -> None:
    """Ask about texts in the terminal."""
    Terminal(session).run()


def shown_safely(text: str) -> str:
    """Return a text that cannot steer the terminal."""
    return _STEERING.sub("\ufffd", text)
