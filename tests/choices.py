"""Random values with one draw of hypothesis each, where many draws would take most time.

Hypothesis draws bytes, and a function makes a value of the choices read from them. A byte
of 0 chooses the first option and bytes that lack are 0, so that failures still shrink to
simple values.
"""

import math
import struct

from hypothesis import strategies as st

#: Numbers at which arithmetic, conversions and formats change.
NUMBERS = (
    *(0.0, -0.0, 0.5, 1.0, -1.0, 1e-5, 1 / 3, 1.1, 2.0**53, 1e16, 1e300, 5e-324),
    *(1.7976931348623157e308, -1.7976931348623157e308, 2.2250738585072014e-308),
)
NOT_FINITE = (math.nan, math.inf, -math.inf)
#: Strings that programs take for something else, beside the random ones.
STRINGS = (
    "",
    "null",
    "NaN",
    "-inf",
    "1e1000",
    "\\",
    '"',
    "ÿ",
    "ß",
    "日本",
    "\u202e",
    "🏳️‍🌈",
)


class Choices:
    """Choices between options, read from bytes."""

    def __init__(self, data):
        self._rest = iter(data)

    def below(self, n):
        """Choose an integer from 0 to n - 1; n is 256 at most."""
        return next(self._rest, 0) * n >> 8

    def of(self, options):
        """Choose one of some options, given as a sequence."""
        return options[self.below(len(options))]

    def several(self, make, most, least=0):
        """Make a list of least to most values."""
        return [make(self) for _ in range(least + self.below(most - least + 1))]

    def take(self, n):
        """Return n bytes."""
        return bytes(next(self._rest, 0) for _ in range(n))

    def integer(self, n_bytes=(1, 1, 2, 4, 8, 16)):
        """Choose an integer, mostly a small one."""
        return int.from_bytes(self.take(self.of(n_bytes)), "little", signed=True)

    def finite(self):
        """Choose a finite number: a fraction of few digits, an edge, or any."""
        kind = self.below(3)
        if kind == 1:
            return self.of(NUMBERS)
        number = struct.unpack("<d", self.take(8))[0] if kind else math.nan
        return number if math.isfinite(number) else self.integer((1,)) / 8

    def number(self):
        """Choose a number, or none that is one."""
        return self.of(NOT_FINITE) if self.below(6) == 5 else self.finite()

    def character(self):
        """Choose a character: of the first 256 four times of five."""
        if self.below(5) < 4:
            return chr((self.below(256) + ord("0")) % 256)
        code = int.from_bytes(self.take(3), "little") % (0x110000 - 0x800)
        return chr(code if code < 0xD800 else code + 0x800)  # no surrogate

    def text(self, most=4):
        """Choose a text of some characters."""
        if self.below(12) == 11:
            return self.of(STRINGS)[:most]
        return "".join(self.several(Choices.character, most))

    def nested(self, leaf, key, depth=3):
        """Make a list or a mapping of such values, or a leaf: the likelier the deeper."""
        if self.below(4) < 4 - depth:
            return leaf(self)
        if self.below(2):
            return self.mapping(key, lambda c: c.nested(leaf, key, depth - 1))
        return self.several(lambda c: c.nested(leaf, key, depth - 1), 3)

    def mapping(self, key, value, most=3):
        """Make a dict of up to some items."""
        return dict(self.several(lambda c: (key(c), value(c)), most))


def built(make, size=128):
    """Return the strategy of what a function makes of choices read from so many bytes."""
    return st.binary(min_size=size, max_size=size).map(lambda data: make(Choices(data)))
