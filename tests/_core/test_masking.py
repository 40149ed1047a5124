"""Masking of secrets."""

from hypothesis import given
from skllkd._core.masking import mask, shorten

from tests.choices import built

KEY = "sk-abc-0123456789-XYZ"


others = built(lambda c: c.text(20).replace("*", ""))  # * is a mask


@given(
    before=others,
    part=built(lambda c: (c.below(len(KEY) + 1), c.below(len(KEY) + 1)), 2),
    after=others,
)
def test_no_part_of_eight_characters_is_left_and_the_rest_stays(before, part, after):
    text = before + KEY[slice(*part)] + after
    masked = mask(text, KEY)
    assert not any(KEY[i : i + 8] in masked for i in range(len(KEY) - 7))
    if not any(KEY[i : i + 8] in text for i in range(len(KEY) - 7)):
        assert masked == text
    rest = masked.split("***")
    assert text.startswith(rest[0]) and text.endswith(rest[-1])


def test_parts_are_masked_once_and_short_secrets_whole():
    assert mask(f"key {KEY}{KEY}!", KEY) == "key ***!"
    assert mask(f"{KEY[:9]} {KEY[5:]}", KEY) == "*** ***"
    assert mask("the key none is none", "none") == "the key *** is ***"
    assert mask("no key", "") == mask("no key", None) == "no key"


def test_a_message_is_cut_on_one_line():
    assert shorten("a\n b\tc", 10) == "a b c"
    assert shorten("a b c", 3) == "a b..."
