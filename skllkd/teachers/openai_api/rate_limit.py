"""Rate limits of a server, and the waits between attempts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: The wait before a second attempt, and the longest one, in seconds.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0


class RateLimiter:
    """Keeps requests, from any number of threads, under a server's rate limits.

    They are spread evenly, a minute's worth over a minute, rather than sent in a burst
    that is then refused.
    """

    def __init__(
        self,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request_s = 60 / requests_per_minute if requests_per_minute else 0.0
        self._token_s = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, n_tokens: int, stop: threading.Event) -> bool:
        """Wait for a request's turn; return whether it came before `stop` was set."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + max(self._request_s, n_tokens * self._token_s)
        return not stop.wait(turn - now) if turn > now else not stop.is_set()

    def pause(self, seconds: float) -> None:
        """Let no request go out for a while: a server that is overrun said so."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


def backoff_s(attempt: int, chance: Callable[[], float] = random.random) -> float:
    """Choose the wait after a failed attempt, counted from 0: twice as long after each."""
    longest: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempt, 30))
    return longest * (0.5 + chance() / 2)


def retry_after_s(
    headers: Mapping[str, str], now: datetime | None = None
) -> float | None:
    """Read how many seconds a server asks to wait (RFC 9110); None if it does not say."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        try:
            seconds = float(value) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        if date.tzinfo is None:  # "-0000": a time in UTC
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
    except (
        ValueError,
        TypeError,
        IndexError,
        OverflowError,
    ):  # no date, or none there is
        return None
