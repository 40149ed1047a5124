"""Plan of a labelling: calls, tokens, cost and time before the model is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from skllkd.teachers.labels import Usage

_N = TypeVar("_N", int, float)


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
    notes : tuple of str
        Stored answers that are not used: of another model behind the same name, or for
        other classes.

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
    notes: tuple[str, ...] = ()

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
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        return "\n".join([*lines, *self.notes])


def joint_plan(a: LabellingPlan, b: LabellingPlan) -> LabellingPlan:
    """Add up the plans of two teachers for the same texts."""
    how = a.tokens.how if a.tokens.how == b.tokens.how else "estimated"
    if None in (a.tokens.input, b.tokens.input):
        how = "unknown"
    return LabellingPlan(
        a.n_texts,
        a.n_distinct,
        a.n_blank,
        min(a.n_stored, b.n_stored),
        max(a.n_to_ask, b.n_to_ask),
        a.n_calls + b.n_calls,
        TokenCount(
            _sum(a.tokens.input, b.tokens.input),
            _sum(a.tokens.output, b.tokens.output),
            how,
        ),
        _sum(a.cost, b.cost),
        _sum(a.seconds, b.seconds),
        a.spent.plus(b.spent),
        _sum(a.spent_cost, b.spent_cost),
        notes=tuple(dict.fromkeys(a.notes + b.notes)),
    )


def _sum(a: _N | None, b: _N | None) -> _N | None:
    """Add; None where a part is unknown."""
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
