"""Limits on the calls and the cost of a labelling."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skllkd._core.params import check_number
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.labels import Usage


@dataclass(frozen=True)
class Budget:
    """Limits over all runs that share a store, and the price of tokens."""

    max_calls: int | None
    max_cost: float | None
    price_per_million: tuple[float, float] | None

    def __post_init__(self) -> None:
        """Raise InvalidParameterError unless the limits and the price make sense."""
        if self.max_calls is not None:
            check_number(self.max_calls, "max_calls", 0, integer=True)
        if self.price_per_million is not None:
            price = np.asarray(self.price_per_million, dtype=np.float64)
            if price.shape != (2,) or not (price >= 0).all():
                raise InvalidParameterError(
                    "`price_per_million` must be a pair: the price of a million tokens "
                    f"read and of a million written; got {self.price_per_million!r}."
                )
        if self.max_cost is not None:
            check_number(self.max_cost, "max_cost", 0)
            if self.price_per_million is None:
                raise InvalidParameterError(
                    "`max_cost` needs your price: set `price_per_million=(input, output)`, "
                    "in the currency of `max_cost`."
                )

    def cost(self, usage: Usage) -> float | None:
        """Compute the cost of a usage; None without a price."""
        if self.price_per_million is None:
            return None
        for_input, for_output = self.price_per_million
        total = usage.input_tokens * for_input + usage.output_tokens * for_output
        return total / 1e6


class Meter:
    """Usage of one labelling against its budget, counted by any number of threads.

    Before any text of it is settled, `expected` estimates the usage of texts.
    """

    def __init__(
        self,
        budget: Budget,
        spent: Usage,
        calls_per_text: int,
        expected: Callable[[list[str]], Usage] = lambda _: Usage(),
    ) -> None:
        self.used = Usage()
        #: The limit that was reached, in words, "" for none.
        self.stopped_by = ""
        self._budget, self._spent, self._calls_per_text = budget, spent, calls_per_text
        self._expected = expected
        self._n_under_way, self._n_settled = 0, 0
        self._lock = threading.Lock()

    @property
    def total(self) -> Usage:
        """Usage of this labelling and of those before."""
        return self._spent.plus(self.used)

    @property
    def cost(self) -> float | None:
        """Cost of the total; None without a price."""
        return self._budget.cost(self.total)

    def reserve(self, texts: list[str]) -> int:
        """Reserve calls for some texts, and return for how many there is budget."""
        with self._lock:
            n_allowed = 0 if self.stopped_by else self._n_allowed(texts)
            self._n_under_way += n_allowed
            return n_allowed

    def _n_allowed(self, texts: list[str]) -> int:
        """Count the texts there is budget for, beside those under way."""
        n_allowed = len(texts)
        if self._budget.max_calls is not None:
            n_left = self._budget.max_calls - self.total.n_calls
            n_left = n_left // self._calls_per_text - self._n_under_way
            n_allowed = self._limited(n_allowed, n_left, "max_calls")
        if self._budget.max_cost is not None:
            n_allowed = self._limited(n_allowed, self._n_payable(texts), "max_cost")
        return n_allowed

    def _limited(self, n_texts: int, n_left: float, name: str) -> int:
        """Note a limit that leaves no text, and return the number of texts it leaves."""
        if n_left < 1 <= n_texts:
            self.stopped_by = f"{name}={getattr(self._budget, name)} is reached"
        return max(0, min(n_texts, int(min(n_left, n_texts))))

    def _n_payable(self, texts: list[str]) -> float:
        """Count the texts that can be paid for, at the cost of those before."""
        usage, n = self.used, self._n_settled
        if not n:
            usage, n = self._expected(texts), len(texts)
        each = (self._budget.cost(usage) or 0.0) / n
        left = float(self._budget.max_cost or 0) - (self.cost or 0.0)
        if left <= 0:
            return 0
        return (left + 1e-9) / each - self._n_under_way if each else math.inf

    def _is_too_dear(self, under_way: Usage = Usage()) -> bool:  # noqa: B008  (frozen)
        """Return whether the limit on the cost is reached, and note it."""
        if self._budget.max_cost is None:
            return False
        cost = self._budget.cost(self.total.plus(under_way)) or 0.0
        is_reached = cost >= float(self._budget.max_cost)
        if is_reached:
            self.stopped_by = f"max_cost={self._budget.max_cost} is reached"
        return is_reached

    def may_send(self) -> bool:
        """Return whether a text that was drawn may still be sent."""
        with self._lock:
            return not self._is_too_dear()

    def may_spend(self, under_way: Usage) -> bool:
        """Return whether a text may take another call, after those it took already."""
        with self._lock:
            if self._is_too_dear(under_way):
                return False
            if self._budget.max_calls is None:
                return True
            n_reserved = self._n_under_way * self._calls_per_text
            n_more = max(0, under_way.n_calls + 1 - self._calls_per_text)
            return self.total.n_calls + n_reserved + n_more <= self._budget.max_calls

    def settle(self, n_texts: int, usage: Usage) -> None:
        """Replace the reservation of some texts by their usage."""
        with self._lock:
            self.used = self.used.plus(usage)
            self._n_under_way -= n_texts
            self._n_settled += n_texts
            n_tokens = usage.input_tokens + usage.output_tokens
            if usage.n_calls and not n_tokens and self._budget.max_cost is not None:
                self.stopped_by = (
                    f"max_cost={self._budget.max_cost} cannot be kept, because no tokens "
                    "are reported (use max_calls)"
                )

    def progress(self, seconds: float) -> str:
        """Describe the calls so far, their speed and the cost."""
        with self._lock:
            used, cost = self.used, self.cost
        parts = [f"{used.n_calls:,} calls"]
        n_tokens = used.input_tokens + used.output_tokens
        if n_tokens and seconds:
            parts.append(f"{n_tokens / seconds:,.0f} tokens/s")
        if cost is not None:
            parts.append(f"cost so far {cost:,.4f}")
        return ", ".join(parts)

    def reached(self) -> str:
        """Name the limit that is reached, "" for none."""
        self.may_send()
        return self.stopped_by
