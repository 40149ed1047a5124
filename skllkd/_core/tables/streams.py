"""The bytes of a file or of standard input, decompressed, and their lines as they come."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from skllkd._core.params import optional_import
from skllkd._core.tables.formats import MAGIC, Source, format_of_bytes

_CHUNK = 1 << 16
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BEGINNINGS = (*MAGIC, *_BYTE_ORDER_MARKS)
#: Places of NULs among the first four bytes, where two letters begin a file.
_NULLS: dict[tuple[int, ...], str] = {
    (1, 3): "utf-16-le",
    (0, 2): "utf-16-be",
    (1, 2, 3): "utf-32-le",
    (0, 1, 2): "utf-32-be",
}
_LINE_ENDS = (b"\n", b"\r")


class _Rejoined(io.RawIOBase):
    """A stream and the first bytes that were taken from it to look at."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the bytes at hand."""
        part = self._head[: len(buffer)]
        self._head = self._head[len(part) :]
        part = part or self._stream.read1(len(buffer))  # type: ignore[attr-defined]
        buffer[: len(part)] = part
        return len(part)


class OpenedBytes(NamedTuple):
    """The bytes of a table, decompressed."""

    head: bytes  # the first of them
    stream: BinaryIO  # all of them
    path: str | None  # of the file that has the same bytes


@contextmanager
def opened(source: Source) -> Iterator[OpenedBytes]:
    """Open the bytes of a table."""
    if source.path == "-":
        yield _decompressed(sys.stdin.buffer, source)
        return
    if not Path(source.path).exists() or Path(source.path).is_dir():
        raise source.error(": there is no file of that name.")
    with open(source.path, "rb") as file:
        yield _decompressed(file, source)


def _decompressed(stream: BinaryIO, source: Source) -> OpenedBytes:
    """Return the bytes of a stream, after gzip or zstandard."""
    head, stream = _begun(stream)
    kind = format_of_bytes(head)
    if kind == "gzip":
        unpacked: Any = gzip.GzipFile(fileobj=stream)
    elif kind == "zstd":
        arrow = optional_import("pyarrow", "table")
        unpacked = io.BufferedReader(arrow.CompressedInputStream(stream, "zstd"))
    else:
        is_file = source.path != "-" and Path(source.path).is_file()
        return OpenedBytes(head, stream, source.path if is_file else None)
    with damage_named(source):
        return OpenedBytes(*_begun(unpacked), None)


def _begun(stream: Any) -> tuple[bytes, BinaryIO]:
    """Return the first bytes of a stream and a stream that has them still.

    No more is waited for than tells the format: a line of text may come alone.
    """
    head = stream.read1(_CHUNK)
    while _tells_nothing(head):
        more = stream.read1(_CHUNK)
        if not more:
            break
        head += more
    return head, io.BufferedReader(_Rejoined(head, stream), _CHUNK)


@contextmanager
def damage_named(source: Source) -> Iterator[None]:
    """Raise a named error where compressed bytes are damaged or cut off."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise source.error(
            f" is compressed, and damaged or cut off: {error}."
        ) from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise source.error(f" is compressed, and damaged: {error}.") from None


def _tells_nothing(head: bytes) -> bool:
    """Return whether more bytes may tell a format, or UTF-16 without a mark."""
    if any(start.startswith(head) and start != head for start in _BEGINNINGS):
        return True
    has_null = len(head) < 2 or 0 in head[:2]
    return len(head) < 4 and has_null and head not in _LINE_ENDS


class Lines:
    """Lines of text with their ends, as they come; only CR, LF and CRLF end one.

    A mark of the byte order tells the encoding, and is not part of the text.
    """

    def __init__(self, opened: OpenedBytes, source: Source) -> None:
        self.n_given = 0
        self._source, self._stream = source, opened.stream
        self._encoding = source.encoding or _encoding_of(opened.head)
        decoder = _decoder(self._encoding, source)
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=False)
        self._ready: deque[str] = deque()
        self._parts: list[str] = []
        self._ended = self._begun = False
        self._n_read = 1
        if source.encoding is None and self._encoding != "utf-8":
            source.notice(f"{source.name} is read as {self._encoding.upper()}.")

    @property
    def at_hand(self) -> bool:
        """Whether a line is there without a wait."""
        return bool(self._ready)

    def __iter__(self) -> Iterator[str]:
        """Return the lines, which can be read once."""
        return self

    def __next__(self) -> str:
        """Return the next line with its end."""
        if self.first() is None:
            raise StopIteration
        self.n_given += 1
        return self._ready.popleft()

    def first(self) -> str | None:
        """Return the line that comes next and leave it there; None at the end."""
        while not self._ready and not self._ended:
            self._read()
        return self._ready[0] if self._ready else None

    def put_back(self, lines: list[str]) -> None:
        """Give lines again that were taken."""
        self.n_given -= len(lines)
        self._ready.extendleft(reversed(lines))

    def _read(self) -> None:
        """Read the bytes at hand, at least one unless the end is reached."""
        with damage_named(self._source):
            data = self._stream.read1(_CHUNK)  # type: ignore[attr-defined]
        self._ended = not data
        try:
            text = self._decoder.decode(data, final=self._ended)
        except UnicodeError as error:
            raise self._wrong_encoding(error) from None
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        self._keep(text)

    def _keep(self, text: str) -> None:
        """Add text to the lines, the last of which may be unfinished."""
        for piece in io.StringIO(text, newline=""):
            self._parts.append(piece)
            if piece.endswith(("\n", "\r")):
                self._finish()
        if self._ended and self._parts:
            self._finish()

    def _finish(self) -> None:
        """End the line that is being read."""
        self._ready.append("".join(self._parts))
        self._parts = []
        self._n_read += 1

    def _wrong_encoding(self, error: UnicodeError) -> Exception:
        """Return the error about bytes that are not in the encoding."""
        line, shown = self._n_read, ""
        if isinstance(error, UnicodeDecodeError):
            line += error.object[: error.start].count(b"\n")
            shown = f": {error.object[max(error.start - 20, 0) : error.end]!r}"
        return self._source.error(
            f", line {line} is not {self._encoding.upper()}{shown}. Save it as UTF-8.",
            "Or say its encoding, as --encoding cp1252 for most files of Windows.",
        )


def _encoding_of(head: bytes) -> str:
    """Return the encoding that a mark of the byte order or NULs tell, or UTF-8."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    nulls = tuple(place for place, byte in enumerate(head[:4]) if not byte)
    if len(head) < 4 or head[:1] in _LINE_ENDS:
        return "utf-8"
    return _NULLS.get(nulls, "utf-8")


def _decoder(encoding: str, source: Source) -> Any:
    """Return an incremental decoder of a text encoding."""
    try:
        "".encode(encoding)  # of bytes to bytes, as "hex", is refused
        return codecs.getincrementaldecoder(encoding)()
    except (LookupError, UnicodeError, ValueError):
        raise source.error(
            f" cannot be read: --encoding {encoding!r} is not known. Say one as utf-8, "
            "utf-16, cp1252, latin-1, shift_jis or gb18030."
        ) from None
