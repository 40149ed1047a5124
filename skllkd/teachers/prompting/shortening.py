"""Part of a long text that a language model is sent: its head, or head and tail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from skllkd._core.params import check_number, shown
from skllkd.exceptions import InvalidParameterError

#: Longest text: of its head, or of its head and of its tail.
TextLimit: TypeAlias = int | tuple[int, int]
#: Stands for the part left out between head and tail.
LEFT_OUT = " [...] "
_Text = TypeVar("_Text", str, list[int])


class Limit(NamedTuple):
    """Lengths of the head and of the tail that are sent, in tokens or characters."""

    head: int
    tail: int

    @property
    def total(self) -> int:
        """Length of the longest text that is sent whole."""
        return self.head + self.tail

    def within(self, longest: int) -> Limit:
        """Return the limit, or one of the same shares that adds up to less."""
        if self.total <= longest:
            return self
        tail = longest * self.tail // self.total
        return Limit(longest - tail, tail)

    def shorten(self, text: _Text, left_out: _Text) -> _Text:
        """Return a text, or head and tail of a longer one with a mark between them."""
        if len(text) <= self.total:
            return text
        if not self.tail:
            return text[: self.head]
        return text[: self.head] + left_out + text[-self.tail :]

    def shortened_length(self, length: int, n_left_out: int) -> int:
        """Return the length that `shorten` leaves."""
        if length <= self.total:
            return length
        return self.total + (n_left_out if self.tail else 0)

    def as_json(self) -> int | list[int]:
        """Return the limit as it is given."""
        return [self.head, self.tail] if self.tail else self.head


def as_limit(given: TextLimit | Sequence[int], name: str) -> Limit:
    """Return the limit of a parameter: a number, or a pair of head and tail."""
    if not isinstance(given, (tuple, list)):
        check_number(given, name, 1, integer=True)
        return Limit(int(given), 0)  # type: ignore[arg-type]
    if len(given) != 2:
        raise InvalidParameterError(
            f"`{name}` must be the length of the head, or a pair: of the head and of the "
            f"tail; got {shown(given)}. E.g. {name}=(300, 100)."
        )
    for part in given:
        check_number(part, name, 1, integer=True)
    return Limit(int(given[0]), int(given[1]))
