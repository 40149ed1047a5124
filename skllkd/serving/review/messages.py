"""Messages of a review to its page, as values of JSON."""

from __future__ import annotations

from typing import Any

from skllkd.refinement.gold import Accuracy
from skllkd.serving.review.session import ReviewSession
from skllkd.serving.review.trial import Trial

#: Characters shown of the text answered last, and of the neighbours of a text.
_LAST_CHARS, _NEAR_CHARS = 120, 400


def state_message(session: ReviewSession, name: str) -> dict[str, Any]:
    """Return the text to ask about, without any view of it, and the state of the review."""
    pool, row = session.pool, session.row
    asked = None
    if row is not None:
        asked = {"key": pool.keys[row], "text": pool.texts[row], "part": session.part}
    return {
        "model": name,
        "multilabel": pool.multilabel,
        "file": session.answers.path.name,
        "classes": [
            {"name": str(name), "description": pool.descriptions.get(name, "")}
            for name in pool.classes
        ],
        "asked": asked,
        "progress": session.progress()._asdict(),
        "accuracy": {
            judge: _accuracy(found)
            for judge, found in session.results().accuracy.items()
        },
        "last": _last(session),
    }


def _last(session: ReviewSession) -> dict[str, Any] | None:
    """Return the text answered last, and the view of each judge."""
    row = session.last_row
    if row is None:
        return None
    return {
        "text": _cut(session.pool.texts[row], _LAST_CHARS),
        "gold": _gold(session, row),
        "said": _views(session, row),
    }


def _cut(text: str, n: int) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= n else f"{text[: n - 1].rstrip()}\u2026"


def _views(session: ReviewSession, row: int) -> dict[str, dict[str, Any]]:
    """Return the label that each judge gives a text, and how sure it is of it."""
    pool, views = session.pool, {}
    for judge in pool.judges:
        label = pool.view(judge, row)
        if label is not None:
            p = float(pool.sureness(judge)[row])
            views[judge] = {"name": pool.words(label), "p": p}
    return views


def _accuracy(found: Accuracy) -> dict[str, Any]:
    """Return an accuracy with its interval; None of no text."""
    low, high = found.interval if found.n_texts else (None, None)
    return {
        "n_texts": found.n_texts,
        "n_right": found.n_right,
        "share": found.share if found.n_texts else None,
        "low": low,
        "high": high,
    }


def results_message(session: ReviewSession) -> dict[str, Any]:
    """Return the results of a review."""
    results = session.results()
    return {
        "progress": session.progress()._asdict(),
        "accuracy": {name: _accuracy(of) for name, of in results.accuracy.items()},
        "by_class": [
            {"name": str(label)} | {name: _accuracy(of) for name, of in found.items()}
            for label, found in results.by_class.items()
        ],
        "tags": {judge: tags.to_dict() for judge, tags in results.tags.items()},
        "n_undecided": results.n_undecided,
        "comparison": str(results.comparison) if results.comparison else "",
        "confusion": {name: n.tolist() for name, n in results.confusion.items()},
        "confused": {
            judge: [
                pair._asdict() | {"gold": str(pair.gold), "said": str(pair.said)}
                for pair in pairs
            ]
            for judge, pairs in results.confused.items()
        },
        "file": str(session.answers.path),
    }


def trial_message(
    session: ReviewSession, trial: Trial, threshold: float | None
) -> dict[str, Any]:
    """Return the probabilities of a text and its neighbours with their labels."""
    pool = session.pool
    order = (-trial.proba).argsort(kind="stable").tolist()
    return {
        "proba": [
            {"name": str(pool.classes[k]), "p": float(trial.proba[k])} for k in order
        ],
        "confidence": pool.confidence_of(trial.proba),
        # Above 1 where no threshold reaches the target: nothing is answered.
        "threshold": threshold if threshold is None or threshold <= 1 else 2,
        "nearest": [
            {
                "text": _cut(pool.texts[near.row], _NEAR_CHARS),
                "likeness": near.likeness,
                "gold": _gold(session, near.row),
                "said": {}
                if _is_to_be_blind(session, near.row)
                else _views(session, near.row),
            }
            for near in trial.nearest
        ],
    }


def _gold(session: ReviewSession, row: int) -> str | None:
    """Return the answer to a text, None without one."""
    gold = session.gold.get(row)
    return None if gold is None else session.pool.words(gold)


def _is_to_be_blind(session: ReviewSession, row: int) -> bool:
    """Return whether a text is of the random sample and still to be answered."""
    return row in session.sample and row not in session.gold
