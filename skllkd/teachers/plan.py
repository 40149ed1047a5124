"""Plan of a labelling: calls, tokens, cost and time before the model is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from skllkd.teachers.labels import Usage


class TokenCount(NamedTuple):
    """Number of tokens that labelling would take.

    Parameters
    ----------
    input : int or None
        The tokens the model reads; None where nothing is known.
    output : int or None
        The tokens it writes at most.
    how : {"counted", "estimated", "unknown"}
        Whether a tokenizer counted them.

    Examples
    --------
    >>> from skllkd.teachers import OpenAITeacher
    >>> teacher = OpenAITeacher("model", base_url="http://localhost:8080/v1", store=False)
    >>> teacher.plan(["at noon"], ["spam", "ham"]).tokens.how
    'estimated'
    """

    input: int | None = None
    output: int | None = None
    how: str = "unknown"


@dataclass(frozen=True)
class LabellingPlan:
    """Calls, tokens, cost and time that labelling a list of texts would take.

    Parameters
    ----------
    n_texts : int
        Number of texts.
    n_distinct : int
        Number of distinct texts, without the empty ones.
    n_blank : int
        Number of texts that are empty or white space, which are never sent.
    n_stored : int
        Number of distinct texts that need no call.
    n_to_ask : int
        Number of texts that would be sent to the model.
    n_calls : int
        Number of calls, at most.
    tokens : TokenCount
        Tokens of these calls.
    cost : float or None
        Their cost at the teacher's `price_per_million`; None without one.
    seconds : float or None
        Their duration, from the speed of earlier answers, a measurement of this machine,
        or the rate limits; None where nothing is known.
    spent : Usage
        Calls, tokens and time of the answers stored already.
    spent_cost : float or None
        Their cost at the same price.
    max_calls : int or None
        The teacher's limit on calls, earlier ones included.
    max_cost : float or None
        Its limit on the cost, earlier ones included.

    Examples
    --------
    >>> from skllkd.teachers import CallableTeacher
    >>> teacher = CallableTeacher(lambda texts: ["ham"] * len(texts), store=False)
    >>> plan = teacher.plan(["a prize", "at noon", "at noon", ""], ["spam", "ham"])
    >>> plan.n_texts, plan.n_distinct, plan.n_blank, plan.n_calls
    (4, 2, 1, 2)
    """

    n_texts: int
    n_distinct: int
    n_blank: int
    n_stored: int
    n_to_ask: int
    n_calls: int
    tokens: TokenCount = field(default_factory=TokenCount)
    cost: float | None = None
    seconds: float | None = 0.0
    spent: Usage = field(default_factory=Usage)
    spent_cost: float | None = None
    max_calls: int | None = None
    max_cost: float | None = None

    def plus(self, other: LabellingPlan) -> LabellingPlan:
        """Add the plan of another teacher for the same texts.

        Parameters
        ----------
        other : LabellingPlan
            The other's plan.

        Returns
        -------
        LabellingPlan
            Calls, tokens, cost and time of both; unknown where one is unknown.
        """
        a, b = self.tokens, other.tokens
        how = a.how if a.how == b.how else "estimated"
        if None in (a.input, b.input):
            how = "unknown"
        return LabellingPlan(
            self.n_texts,
            self.n_distinct,
            self.n_blank,
            min(self.n_stored, other.n_stored),
            max(self.n_to_ask, other.n_to_ask),
            self.n_calls + other.n_calls,
            TokenCount(_whole(a.input, b.input), _whole(a.output, b.output), how),
            _sum(self.cost, other.cost),
            _sum(self.seconds, other.seconds),
            self.spent.plus(other.spent),
            _sum(self.spent_cost, other.spent_cost),
        )

    def __str__(self) -> str:
        """Return the plan as a table."""
        rows = [
            ("texts", f"{self.n_texts:,}"),
            ("distinct, not empty", f"{self.n_distinct:,}"),
            ("already stored", f"{self.n_stored:,}"),
            ("to be labelled", f"{self.n_to_ask:,}"),
            ("calls", f"{self.n_calls:,}{_limit(self.max_calls)}"),
        ]
        tokens = self.tokens
        if tokens.input is not None:
            rows += [
                (f"tokens read, {tokens.how}", f"{tokens.input:,}"),
                ("tokens written, at most", f"{tokens.output or 0:,}"),
            ]
        cost = "unknown" if self.cost is None else f"{self.cost:,.4f}"
        rows += [
            ("cost", cost + _limit(self.max_cost)),
            ("time", "unknown" if self.seconds is None else _duration(self.seconds)),
        ]
        if self.spent.n_calls:
            rows.append(("earlier calls", f"{self.spent.n_calls:,}"))
        if self.spent_cost:
            rows.append(("cost so far", f"{self.spent_cost:,.4f}"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _sum(a: float | None, b: float | None) -> float | None:
    """Add; None where a part is unknown."""
    return None if a is None or b is None else a + b


def _whole(a: int | None, b: int | None) -> int | None:
    """Add counts; None where a part is unknown."""
    return None if a is None or b is None else a + b


def _limit(limit: float | None) -> str:
    """Format a limit."""
    return "" if limit is None else f" (limit {limit:,}, earlier calls included)"


def _duration(seconds: float) -> str:
    """Format a time."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
