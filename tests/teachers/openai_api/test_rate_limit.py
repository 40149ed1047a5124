"""Rate limits and waits."""

import math
import threading
from datetime import UTC, datetime

import numpy as np
from hypothesis import example, given
from skllkd.teachers.openai_api.rate_limit import RateLimiter, backoff_s, retry_after_s

from tests.choices import built
from tests.teachers.openai_api.common import CLASSES, TEXTS, teacher


def test_retry_after_in_every_form():
    now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert retry_after_s({"retry-after": "7"}, now) == 7
    assert retry_after_s({"retry-after-ms": "250", "retry-after": "7"}, now) == 0.25
    assert retry_after_s({"retry-after": "Thu, 01 Jan 2026 12:01:00 GMT"}, now) == 60
    assert retry_after_s({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, now) == 0
    for nonsense in ("soon", "", "nan", "-3", "inf"):
        assert retry_after_s({"retry-after": nonsense}, now) in (None, 0)
    assert retry_after_s({}) is None


WORDS = ["Thu", "Jan", "jan", "GMT", "EST", "utc", "_1a"]


def likely_date(choices):
    """Make a text of the form of a date, whose words and numbers may be any."""

    def digits(c):
        return str(c.below(70)) if c.below(4) else str(abs(c.integer()))

    def word(c):
        return c.of(WORDS) if c.below(4) else c.take(2).hex()[:3]

    day, year, *time = choices.several(digits, 5, least=5)
    zone = choices.of(["", "", "+", "-"]) + choices.of([word, digits])(choices)
    named, month = word(choices), word(choices)
    return f"{named}, {day} {month} {year} {':'.join(time)} {zone}"


@given(built(lambda c: c.text(12) if c.below(2) else likely_date(c)))
@example("Thu, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("1e400")
def test_any_time_to_wait_is_read_or_is_none(value):
    for name in ("retry-after", "retry-after-ms"):
        seconds = retry_after_s({name: value})
        assert seconds is None or 0 <= seconds < math.inf


def test_backoff_doubles_up_to_a_minute():
    waits = [backoff_s(attempt, chance=lambda: 1.0) for attempt in range(10)]
    assert waits[:4] == [0.5, 1, 2, 4] and waits[-1] == 60
    assert backoff_s(1, chance=lambda: 0.0) == 0.5
    assert backoff_s(10_000) <= 60


def paced(n, n_tokens=0, **limits):
    """Return when each of some requests goes out, in seconds."""

    class Clock(threading.Event):
        now = 0.0

        def wait(self, timeout=None):
            self.now += timeout or 0
            return False

    stop = Clock()
    pace = RateLimiter(
        limits.get("requests"), limits.get("tokens"), clock=lambda: stop.now
    )
    times = []
    for _ in range(n):
        assert pace.wait(n_tokens, stop)
        times.append(stop.now)
    return times


def test_rate_limits_are_kept():
    assert paced(4) == [0, 0, 0, 0]
    np.testing.assert_allclose(paced(4, requests=30), [0, 2, 4, 6])
    np.testing.assert_allclose(paced(3, 100, tokens=600), [0, 10, 20])
    np.testing.assert_allclose(paced(3, 100, requests=1, tokens=600), [0, 60, 120])


def test_a_wait_ends_when_the_labelling_stops():
    pace, stop = RateLimiter(1, None), threading.Event()
    assert pace.wait(0, stop)
    threading.Timer(0.05, stop.set).start()
    assert not pace.wait(0, stop)


def test_the_limits_reach_the_requests(served):
    served()
    labels = teacher(rate_limit=(6000, None)).label(TEXTS, CLASSES)
    assert labels.seconds >= 0.01 * 11
