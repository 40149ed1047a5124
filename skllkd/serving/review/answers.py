"""The file of answers: a plain CSV, to which each answer is appended and synced."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from filelock import FileLock, Timeout

from skllkd._core.atomic_files import replacing_file
from skllkd._core.params import shown
from skllkd._core.tables.delimited import long_cells
from skllkd.exceptions import InvalidParameterError

_MEND = "Mend the file, or name another with --answers."


class Answer(NamedTuple):
    """An answer of the reviewer, a row of the file."""

    text: str
    #: The class, or a tuple of several; None where the reviewer is unsure.
    gold: Any
    note: str
    asked: str  # the part of the review
    when: str  # in UTC


class AnswerFile:
    """Answers in the order they were given; the last one can be taken back.

    A kill leaves all of them but the one being written: a torn last line is dropped when
    the file is opened again. Only one process at a time has the file open.

    Parameters
    ----------
    path : Path
        The file; made when missing.
    classes : sequence
        The class names.
    multilabel : bool, default=False
        Whether a text may have several classes: they are a JSON list.
    """

    _size: int  # of the file as it was written last

    def __init__(
        self, path: Path, classes: Sequence[Any], *, multilabel: bool = False
    ) -> None:
        self.path, self._names = path, {str(name): name for name in classes}
        self._multilabel = multilabel
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        self._take()
        try:
            self.torn = self._open()
        except BaseException:
            self.close()
            raise

    def _take(self) -> None:
        """Keep other processes from the file."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InvalidParameterError(
                f"{str(self.path)!r} is open in another review. End that one first."
            ) from None

    def _open(self) -> bytes:
        """Read the answers; return the torn line at the end, which is cut off."""
        content = self.path.read_bytes() if self.path.exists() else b""
        ends = _ends_of_lines(content)
        header = _line(Answer._fields)
        if not ends and header.startswith(content):
            with replacing_file(self.path) as unfinished:
                unfinished.write_bytes(header)
            content, ends = header, [len(header)]
        self._answers = self._read(content[: ends[-1]] if ends else content)
        self._starts = ends[:-1]
        self._file = self.path.open("r+b", buffering=0)
        self._cut(ends[-1])
        return content[ends[-1] :]

    def _read(self, content: bytes) -> list[Answer]:
        """Return the answers in whole lines."""
        try:
            text = content.decode("utf-8-sig")  # spreadsheets write a byte-order mark
            with long_cells():
                rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise self._fault(f"cannot be read: {error}") from error
        if not rows or rows[0] != list(Answer._fields):
            raise self._fault(
                f"must have the columns {list(Answer._fields)}, separated by commas; got "
                f"{shown(rows[0] if rows else [])}"
            )
        answers = [self._answer(row, n) for n, row in enumerate(rows[1:], 1)]
        given: dict[str, Any] = {}
        for answer in answers:
            if given.setdefault(answer.text, answer.gold) != answer.gold:
                raise self._fault(
                    f"has two answers, {given[answer.text]!r} and {answer.gold!r}, for "
                    f"the text {shown(answer.text)}"
                )
        return answers

    def _answer(self, row: list[str], n: int) -> Answer:
        """Return the answer in a row."""
        if len(row) != len(Answer._fields):
            raise self._fault(
                f"has {len(row)} cells in answer {n}, {shown(row)}; "
                f"{len(Answer._fields)} are needed"
            )
        answer = Answer(*row)
        if not answer.gold:
            return answer._replace(gold=None)
        given = self._listed(answer.gold, n) if self._multilabel else [answer.gold]
        for name in given:
            if not isinstance(name, str) or name not in self._names:
                raise self._fault(
                    f"has the class {name!r} in answer {n}, which is none of "
                    f"{shown(list(self._names))}"
                )
        if not self._multilabel:
            return answer._replace(gold=self._names[answer.gold])
        gold = tuple(name for word, name in self._names.items() if word in given)
        return answer._replace(gold=gold)

    def _listed(self, cell: str, n: int) -> list[Any]:
        """Return the classes in a JSON list."""
        with suppress(ValueError, RecursionError):
            given = json.loads(cell)
            if isinstance(given, list):
                return given
        raise self._fault(
            f"has {shown(cell)} in answer {n}; a text may have several classes, which "
            'are a JSON list, as ["a", "b"] or []'
        )

    def _fault(self, words: str) -> InvalidParameterError:
        """Return the error of a file that is no file of answers."""
        return InvalidParameterError(f"{str(self.path)!r} {words}. {_MEND}")

    def __iter__(self) -> Any:
        """Return an iterator over the answers."""
        return iter(self._answers)

    def __len__(self) -> int:
        """Return the number of answers."""
        return len(self._answers)

    @property
    def last(self) -> Answer | None:
        """The answer given last."""
        return self._answers[-1] if self._answers else None

    def append(self, answer: Answer) -> None:
        """Write an answer to the disk."""
        self._check_untouched()
        line = _line(answer._replace(gold=self._cell(answer.gold)))
        start = self._size
        try:
            self._file.seek(start)
            if self._file.write(line) < len(line):
                raise OSError("the disk is full")
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                self._cut(start)
            raise
        self._size = start + len(line)
        self._starts.append(start)
        self._answers.append(answer)

    def _cell(self, gold: Any) -> str:
        """Return a label as a cell of the file."""
        if gold is None:
            return ""
        if not self._multilabel:
            return str(gold)
        return json.dumps(list(map(str, gold)), ensure_ascii=False)

    def take_back(self) -> Answer:
        """Remove the last answer from the file, and return it."""
        self._check_untouched()
        self._cut(self._starts.pop())
        return self._answers.pop()

    def _cut(self, size: int) -> None:
        """Shorten the file, on the disk too."""
        self._file.truncate(size)
        os.fsync(self._file.fileno())
        self._size = size

    def _check_untouched(self) -> None:
        """Raise if another program has changed the file, whose work would be lost."""
        with suppress(FileNotFoundError):
            own, there = os.fstat(self._file.fileno()), self.path.stat()
            if os.path.samestat(own, there) and there.st_size == self._size:
                return
        raise InvalidParameterError(
            f"{str(self.path)!r} was changed, moved or removed by another program: the "
            "answer is not saved. Start the review again."
        )

    def close(self) -> None:
        """Let others have the file."""
        if hasattr(self, "_file"):
            self._file.close()
        self._lock.release()

    def __enter__(self) -> Self:
        """Return the open file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


def _line(cells: Sequence[str]) -> bytes:
    """Return a row as a line of the file."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(cells)
    return line.getvalue().encode("utf-8")


def _ends_of_lines(content: bytes) -> list[int]:
    """Return where lines end: at line breaks outside of quotation marks."""
    ends, n_quotes, place = [], 0, 0
    for line in content.splitlines(keepends=True):
        place += len(line)
        n_quotes += line.count(b'"')
        if n_quotes % 2 == 0 and line.endswith(b"\n"):
            ends.append(place)
    return ends
