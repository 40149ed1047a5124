"""Verdict on tags: which of several classes a text the classifier probably finds."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skllkd._core.arrays import FloatArray, nan_rows
from skllkd._fitted import FittedState
from skllkd.inspection.estimate import OUTCOMES, SAME

#: Limits of the joint figure of a tag: hardly found under the first, found from the
#: second; with all figures, and without class names.
_LIMITS, _LIMITS_WITHOUT_NAMES = (0.2, 0.35), (0.25, 0.4)
#: Expected number of texts with a tag from which a student can learn it.
_ENOUGH_TEXTS = 30
#: Share of the texts from which a tag is given to nearly all.
_NEARLY_ALL = 0.9
#: Probability that a text has a tag from which the teacher gives it.
_GIVEN = 0.5
#: Width of the lines of a verdict, number of tags listed, characters of their names.
_WIDTH, _SHOWN, _LONGEST = 88, 30, 30
FOUND, UNCLEAR, MISSED = "probably found", "doubtful", "hardly found"
_REMEDY = (
    "Give the teacher examples with these tags and without (`examples`; "
    "`propose_examples` finds some), a description of each, or take a larger model."
)


class TagSignals(NamedTuple):
    """Figures of a tag known without gold labels, 0 for guessing and 1 at most."""

    n_texts: int
    expected: float  # number of texts with the tag, as the probabilities add up
    confidence: float | None = None  # None for labels without confidences
    out_of_fold: float | None = None
    class_names: float | None = None

    @property
    def joint(self) -> float | None:
        """The geometric mean of the figures, None without predictions out of fold.

        Agreements are less a standard deviation of that of guesses, 1 / sqrt(n_texts).
        """
        if self.out_of_fold is None:
            return None
        found = [self.out_of_fold, self.confirming_names]
        by_chance = self.n_texts**-0.5
        known = [max(0.0, value - by_chance) for value in found if value is not None]
        known.append(known[0] if self.confidence is None else self.confidence)
        return float(np.prod(known) ** (1 / len(known)))

    @property
    def share(self) -> float:
        """The share of the texts that have the tag, as the probabilities add up."""
        return self.expected / self.n_texts

    @property
    def confirming_names(self) -> float | None:
        """The agreement with the class names, None of a teacher that is these names."""
        is_same = self.class_names is not None and self.class_names > SAME
        return None if is_same else self.class_names

    @property
    def limits(self) -> tuple[float, float]:
        """The limits of the joint figure."""
        return _LIMITS_WITHOUT_NAMES if self.confirming_names is None else _LIMITS


@dataclass(frozen=True)
class TagJudgement:
    """Judgement of a tag.

    Parameters
    ----------
    name : object
        The tag.
    outcome : {"probably found", "doubtful", "hardly found"}
        Whether the classifier finds its texts.
    signals : TagSignals
        The figures it rests on.
    highest : float
        The largest probability that the teacher gives it.

    Examples
    --------
    >>> from skllkd.inspection.tag_verdict import TagJudgement, TagSignals
    >>> TagJudgement("urgent", "doubtful", TagSignals(400, 12.0), 0.41).outcome
    'doubtful'
    """

    name: Any
    outcome: str
    signals: TagSignals
    highest: float


@dataclass(frozen=True)
class TagsVerdict:
    """Judgement of a classifier of texts that may have several classes.

    Parameters
    ----------
    outcome : {"works", "doubtful", "does not work"}
        "works": all tags are probably found; "does not work": at least half of them
        hardly are.
    tags : tuple of TagJudgement
        The judgements of the tags, in the order of `classes_`.
    reasons : tuple of str
        The reasons against it, with remedies.

    Examples
    --------
    >>> from skllkd.inspection.tag_verdict import TagJudgement, TagsVerdict, TagSignals
    >>> signals = TagSignals(1200, 120.0, 0.5, 0.6, 0.4)
    >>> legal = TagJudgement("legal", "probably found", signals, 0.9)
    >>> print(TagsVerdict("works", (legal,)))
    Verdict: this probably works.
    Without gold labels each tag is judged by three figures, 0 for guessing and 1 at most:
           texts  confidence  out of fold  class names
    legal    120        0.50         0.60         0.40  probably found
    """

    outcome: str
    tags: tuple[TagJudgement, ...]
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the verdict in words."""
        lines = [
            f"Verdict: {OUTCOMES[self.outcome]}.",
            "Without gold labels each tag is judged by three figures, 0 for guessing and "
            "1 at most:",
            *_table(self.tags),
            *(
                textwrap.fill(f"- {reason}", _WIDTH, subsequent_indent="  ")
                for reason in self.reasons
            ),
        ]
        return "\n".join(lines)

    @property
    def in_one_line(self) -> str:
        """The outcome and the numbers of tags, in one line."""
        outcomes = [tag.outcome for tag in self.tags]
        counts = [f"{outcomes.count(o)} {o}" for o in (FOUND, UNCLEAR, MISSED)]
        return (
            f"Verdict: {OUTCOMES[self.outcome]}; of {len(outcomes)} tags "
            f"{', '.join(counts)}. The report tells more."
        )


def tags_verdict_of(state: FittedState) -> TagsVerdict | None:
    """Return the verdict on a classifier of tags; None if nothing is known to judge by."""
    signals = tag_signals(state)
    if all(s.confidence is None and s.out_of_fold is None for s in signals):
        return None
    proba = state.teacher_proba[~nan_rows(state.teacher_proba)]
    tags = tuple(
        TagJudgement(name, _outcome(of), of, float(proba[:, k].max()))
        for k, (name, of) in enumerate(
            zip(state.classes.tolist(), signals, strict=True)
        )
    )
    outcomes = [tag.outcome for tag in tags]
    outcome = "works" if set(outcomes) == {FOUND} else "doubtful"
    if 2 * outcomes.count(MISSED) >= len(tags):
        outcome = "does not work"
    return TagsVerdict(outcome, tags, tuple(_reasons(tags)))


def tag_signals(state: FittedState) -> list[TagSignals]:
    """Return the figures of each tag, in the order of `classes`."""
    names = list(state.given_classes.names)
    place = [names.index(name) for name in state.classes.tolist()]
    by_class = {source.name: source.by_class for source in state.sources}

    def agreement(source: str, column: int) -> float | None:
        return by_class[source][place[column]] if by_class.get(source) else None

    proba = state.teacher_proba[~nan_rows(state.teacher_proba)]
    return [
        TagSignals(
            len(proba),
            float(proba[:, k].sum()),
            _confidence(proba[:, k]),
            agreement("out of fold", k),
            agreement("class names", k),
        )
        for k in range(len(names))
    ]


def _confidence(proba: FloatArray) -> float | None:
    """Return how much a tag's probability differs with the text, 0 to 1.

    It is the mean distance from the mean over that of certain answers. None if all
    answers are certain, which says nothing, or there is none.
    """
    if not len(proba) or np.abs(proba - 0.5).min() > 0.5 - 1e-6:
        return None
    share = float(proba.mean())
    distance = float(np.abs(proba - share).mean())
    return distance / max(2 * share * (1 - share), 1e-12)


def _outcome(signals: TagSignals) -> str:
    """Return the judgement of a tag."""
    joint, (low, high) = signals.joint, signals.limits
    if joint is None:
        unsure = signals.confidence is not None and signals.confidence < low
        return MISSED if unsure else UNCLEAR
    if joint < low:
        return MISSED
    is_confirmed = signals.confirming_names is not None or signals.class_names is None
    knows = signals.confidence is not None and signals.expected >= _ENOUGH_TEXTS
    return FOUND if joint >= high and knows and is_confirmed else UNCLEAR


def _reasons(tags: tuple[TagJudgement, ...]) -> Iterator[str]:
    """Generate the reasons against the tags, with remedies."""
    missed = [tag.name for tag in tags if tag.outcome == MISSED]
    if missed:
        yield f"Hardly found: {_listed(missed)}. {_REMEDY}"
    signals = [tag.signals for tag in tags]
    if all(of.out_of_fold is None for of in signals):
        yield (
            "The judgement rests on the teacher's own confidence alone. Leave `refine` at "
            "its default."
        )
    if all(of.confidence is None for of in signals):
        yield (
            "The teacher gives no confidences, so it is hard to tell how good it is. Ask "
            "for log-probabilities or votes."
        )
    if any(
        of.class_names is not None and of.confirming_names is None for of in signals
    ):
        yield (
            "The teacher repeats the class names as the student's encoder reads them: "
            "nothing else confirms it. Review fifty texts: `skllkd review`."
        )
    yield from _about_numbers(tags)


def _about_numbers(tags: tuple[TagJudgement, ...]) -> Iterator[str]:
    """Generate the reasons in the numbers of texts with each tag."""
    never = [tag.name for tag in tags if tag.highest < _GIVEN]
    if never:
        highest = max(tag.highest for tag in tags if tag.highest < _GIVEN)
        yield (
            f"The teacher finds no text likelier than not to have: {_listed(never)} "
            f"(probabilities up to {highest:.2f}). If more texts have it, say how many: "
            "BatchCalibration(class_prior={name: share, ...})."
        )
    few = [
        f"{tag.name} ({tag.signals.expected:.0f})"
        for tag in tags
        if tag.signals.expected < _ENOUGH_TEXTS
    ]
    if few:
        yield (
            f"Fewer than {_ENOUGH_TEXTS} texts are expected to have: {_listed(few)}. Add "
            "texts that may have it, or leave it out."
        )
    every = [
        f"{tag.name} ({tag.signals.share:.0%})"
        for tag in tags
        if tag.signals.share > _NEARLY_ALL
    ]
    if every:
        yield (
            f"Nearly all texts have: {_listed(every)}, as the teacher tells. A tag of all "
            "texts tells none apart: describe it more narrowly, or leave it out."
        )


def _listed(names: list[Any]) -> str:
    """Return names in words, not too many of them."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(str, names[:10])) + more


def _in_one_line(name: Any) -> str:
    """Return a name in one line, which is not too long."""
    words = " ".join(str(name).split())
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 3]}..."


def _table(tags: tuple[TagJudgement, ...]) -> list[str]:
    """Return a line a tag, those hardly found first if not all are listed."""
    shown = list(tags)
    if len(tags) > _SHOWN:
        order = [MISSED, UNCLEAR, FOUND]
        shown = sorted(tags, key=lambda tag: order.index(tag.outcome))[:_SHOWN]
    names = [_in_one_line(tag.name) for tag in shown]
    width = max(map(len, names))
    lines = [f"{'':{width}}  texts  confidence  out of fold  class names"]
    for name, tag in zip(names, shown, strict=True):
        figures = [
            f"{'-' if value is None else f'{value:.2f}':>{size}}"
            for value, size in zip(tag.signals[2:], (10, 11, 11), strict=True)
        ]
        lines.append(
            f"{name:{width}}  {tag.signals.expected:5.0f}  {'  '.join(figures)}  "
            f"{tag.outcome}"
        )
    return [*lines, *([f"and {len(tags) - _SHOWN} more"] if len(tags) > _SHOWN else [])]
