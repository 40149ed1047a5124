"""Head, or head and tail, of long texts."""

import pytest
from skllkd.teachers.prompting.shortening import Limit, as_limit


@pytest.mark.parametrize("n_tokens", [0, 1, 9, 10, 11, 60])
@pytest.mark.parametrize("limit", [Limit(10, 0), Limit(7, 3), Limit(1, 9)])
def test_short_texts_are_sent_whole_and_of_longer_ones_the_ends(limit, n_tokens):
    tokens, mark = list(range(n_tokens)), [-1, -2]
    short = limit.shorten(tokens, mark)
    assert len(short) == limit.shortened_length(n_tokens, len(mark))
    if n_tokens <= 10:
        assert short == tokens
        return
    assert short[: limit.head] == tokens[: limit.head]
    rest = short[limit.head :]
    assert rest == (mark + tokens[n_tokens - limit.tail :] if limit.tail else [])


def test_a_narrower_window_keeps_the_shares():
    assert Limit(300, 100).within(400) == Limit(300, 100)
    assert Limit(300, 100).within(200) == Limit(150, 50)
    assert Limit(300, 0).within(200) == Limit(200, 0)
    for longest in range(1, 12):
        assert Limit(7, 5).within(longest).total == longest


def test_a_limit_is_one_number_or_a_pair():
    assert as_limit(400, "n").as_json() == 400
    assert as_limit((300, 100), "n") == as_limit([300, 100], "n")
    assert as_limit((300, 100), "n").as_json() == [300, 100]
