"""Identity of a teacher's answers in a store: whose they are, and in which order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from skllkd._core.classes import Classes
from skllkd.teachers.metered.scores import Scores
from skllkd.teachers.metered.store import LabelStore, fingerprint_key

#: Number of classes that a note lists, and of notes.
_LISTED, _NOTED = 8, 3


class Identity(NamedTuple):
    """Key of the answers of a teacher about some classes, with their description."""

    key: str
    #: The classes in the order of the prompts, which may be an earlier one.
    asked: Classes
    description: dict[str, Any]
    #: What the user should know before a text is paid for.
    notes: tuple[str, ...] = ()


class _Entry(NamedTuple):
    """Answers in a store."""

    key: str
    description: dict[str, Any]
    n_calls: int


def identify(
    store: LabelStore,
    own: dict[str, Any],
    fingerprint: Callable[[Classes], dict[str, Any] | None],
    classes: Classes,
    description: dict[str, Any],
    serves: str | None,
    *,
    in_any_order: bool,
) -> Identity:
    """Find the answers of a teacher, also those to the classes in another order.

    `own` is the fingerprint for the classes as given. `serves` is what the server says
    is behind the model's name, "" for nothing; None, if it does not answer, stands for
    the model of the last answers.
    """
    entries = [
        _Entry(key, json.loads(described), n_calls)
        for key, described, n_calls in store._rows(
            "SELECT usage.fingerprint, description, n_calls FROM usage LEFT JOIN answers "
            "USING (fingerprint) GROUP BY usage.fingerprint "
            "ORDER BY max(answered_at) DESC"
            if serves is None
            else "SELECT fingerprint, description, n_calls FROM usage"
        )
    ]
    orders = _orders(entries, classes) if in_any_order else iter(())
    for asked, some in (
        (classes, own),
        *((order, fingerprint(order)) for order in orders),
    ):
        base = fingerprint_key(some or {})
        for entry in entries:
            is_last = serves is None and entry.description.get("base") == base
            if is_last or entry.key == _served_key(some or {}, serves or ""):
                return Identity(entry.key, asked, entry.description)
    new = description | {"serves": serves or "", "base": fingerprint_key(own)}
    new = {name: value for name, value in new.items() if value}
    key = _served_key(own, serves or "")
    return Identity(key, classes, new, tuple(islice(_notes(entries, new), _NOTED)))


def reordered(scores: Scores, of: Classes, to: Classes) -> Scores:
    """Put the columns of scores into the order of other classes, the same ones."""
    if of.names == to.names:
        return scores
    columns = [of.names.index(name) for name in to.names]
    return replace(scores, log_prob=scores.log_prob[:, columns])


def whose(description: Mapping[str, Any]) -> str:
    """Name the model of some answers."""
    model = description.get("serves") or description.get("model") or "the teacher"
    server = description.get("server")
    return f"{model} at {server}" if server else str(model)


def _served_key(fingerprint: dict[str, Any], serves: str) -> str:
    """Digest a fingerprint and the model that the server serves."""
    return fingerprint_key(fingerprint | ({"serves": serves} if serves else {}))


def _orders(entries: list[_Entry], classes: Classes) -> Iterator[Classes]:
    """Generate the other orders of the classes in which answers are stored."""
    places = {word: place for place, word in enumerate(classes.words)}
    seen = {classes.words}
    for entry in entries:
        words = tuple(entry.description.get("classes") or ())
        if words not in seen and len(words) == len(places) and {*words} == {*places}:
            seen.add(words)
            rows = [places[word] for word in words]
            names = tuple(classes.names[row] for row in rows)
            about = tuple(classes.descriptions[row] for row in rows)
            yield replace(classes, names=names, descriptions=about)


def _notes(entries: list[_Entry], new: dict[str, Any]) -> Iterator[str]:
    """Say which answers, bought before, are not those of a new fingerprint."""
    for entry in entries:
        old = entry.description
        named = [name for name in ("teacher", "model", "server") if name in new]
        if not entry.n_calls or any(old.get(name) != new[name] for name in named):
            continue
        bought = f"{entry.n_calls:,} answers of {whose(old)} are in the store"
        if old.get("serves") != new.get("serves"):
            yield f"{bought}, but the model is {whose(new)} now: all texts are sent"
        elif {*old.get("classes", ())} != {*new["classes"]}:
            listed = ", ".join(map(str, old.get("classes", ())[:_LISTED]))
            yield f"{bought}, for other classes ({listed}): all texts are sent again"
