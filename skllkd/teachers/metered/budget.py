"""Limits on the calls and the cost of a labelling."""

from __future__ import annotations

import threading
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
    """Usage of one labelling against its budget, counted by any number of threads."""

    def __init__(self, budget: Budget, spent: Usage, calls_per_text: int) -> None:
        self.used = Usage()
        #: The limit that was reached, "" for none.
        self.stopped_by = ""
        self._budget, self._spent, self._calls_per_text = budget, spent, calls_per_text
        self._n_under_way = 0
        self._lock = threading.Lock()

    def reserve(self, n_texts: int) -> int:
        """Reserve calls for some texts, and return for how many there is budget."""
        with self._lock:
            n_allowed = self._n_allowed(n_texts)
            self._n_under_way += n_allowed
            return n_allowed

    def _n_allowed(self, n_texts: int) -> int:
        """Count the texts there is budget for."""
        if self.stopped_by or self._is_too_dear():
            return 0
        if self._budget.max_calls is None:
            return n_texts
        n_calls = self._spent.n_calls + self.used.n_calls
        n_left = self._budget.max_calls - n_calls
        n_left = n_left // self._calls_per_text - self._n_under_way
        if n_left < 1 <= n_texts:
            self.stopped_by = f"max_calls={self._budget.max_calls}"
        return max(0, min(n_left, n_texts))

    def _is_too_dear(self) -> bool:
        """Note whether the limit on the cost is reached."""
        total = self._spent.plus(self.used)
        cost = self._budget.cost(total) if self._budget.max_cost is not None else None
        if cost is not None and cost >= float(self._budget.max_cost or 0):
            self.stopped_by = f"max_cost={self._budget.max_cost}"
        return bool(self.stopped_by)

    def may_send(self) -> bool:
        """Return whether a text that was drawn may still be sent."""
        with self._lock:
            return not (self._budget.max_cost is not None and self._is_too_dear())

    def settle(self, n_texts: int, usage: Usage) -> None:
        """Replace the reservation of some texts by their usage."""
        with self._lock:
            self.used = self.used.plus(usage)
            self._n_under_way -= n_texts
