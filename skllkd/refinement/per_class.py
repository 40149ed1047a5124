"""Refinement of several classes a text: each class is a question of yes or no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray, nan_rows
from skllkd._core.classes import Classes
from skllkd._core.log_odds import yes_no_columns
from skllkd.refinement.answers import checked_log_prob
from skllkd.refinement.base import Evidence, EvidenceContext
from skllkd.refinement.gold import Accuracy
from skllkd.refinement.record import Source


@dataclass(frozen=True, repr=False)
class Heard(Evidence):
    """The answer of a source about all classes, or about one of them as no and yes."""

    source: Evidence
    answer: FloatArray | None  # log-probabilities, (n_texts, n_classes)

    @property
    @override
    def name(self) -> str:
        return self.source.name

    @property
    def of_encoder(self) -> bool:  # type: ignore[override]
        """Whether the source knows no more than the student's encoder."""
        return self.source.of_encoder

    @property
    def requirement(self) -> str:  # type: ignore[override]
        """Requirement without which the source stands aside."""
        return self.source.requirement

    def of_class(self, column: int) -> Heard:
        """Return the answer about a class, None if it says nothing of any text."""
        if self.answer is None or np.isnan(self.answer[:, column]).all():
            return Heard(self.source, None)
        return Heard(self.source, yes_no_columns(self.answer[:, column]))

    @override
    def log_prob(self, context: EvidenceContext) -> FloatArray | None:
        return self.answer


def heard(source: Evidence, context: EvidenceContext) -> Evidence:
    """Ask a source about all classes at once, unless it learns from the labels."""
    if source.uses_labels:
        return source
    log_prob = checked_log_prob(source, context)
    if log_prob is None:
        return Heard(source, None)
    return Heard(source, np.minimum(log_prob, 0.0))


def of_class(evidence: Sequence[Evidence], column: int) -> tuple[Evidence, ...]:
    """Return sources that speak of one class."""
    return tuple(e.of_class(column) if isinstance(e, Heard) else e for e in evidence)


def question(context: EvidenceContext, column: int) -> EvidenceContext:
    """Return the context of the question whether texts have a class: no or yes."""
    word, about = context.classes.words[column], context.classes.descriptions[column]
    yes = context.teacher_proba[:, column]
    proba = np.column_stack([1 - yes, yes])
    return replace(
        context,
        classes=Classes((f"not {word}", word), ("", about)),
        teacher_proba=proba,
        labels=proba,
        gold=None if context.gold is None else context.gold[:, column],
    )


def joined_proba(parts: Sequence[FloatArray]) -> FloatArray:
    """Return the probability of yes of each question; a row is known or NaN."""
    proba = np.column_stack([part[:, 1] for part in parts])
    proba[nan_rows(proba)] = np.nan
    return proba


def joined_sources(
    parts: Sequence[tuple[Source, ...]],
    by_class: Mapping[str, tuple[float | None, ...]],
) -> tuple[Source, ...]:
    """Return each source with its mean weight and agreement over the questions.

    `by_class` holds the agreements of sources about each class, by their names.
    """
    joined = map(_joined_source, zip(*parts, strict=True))
    return tuple(replace(s, by_class=by_class.get(s.name, ())) for s in joined)


def _joined_source(of_classes: tuple[Source, ...]) -> Source:
    """Join the records of a source; it stood aside if it did for every class."""
    agreed = [s.agreement for s in of_classes if s.agreement is not None]
    spoke = any(not source.missing for source in of_classes)
    return Source(
        of_classes[0].name,
        float(np.mean([source.weight for source in of_classes])),
        max(source.n_texts for source in of_classes),
        "" if spoke else of_classes[0].missing,
        float(np.mean(agreed)) if agreed else None,
    )


def joined_accuracy(parts: Sequence[Accuracy]) -> Accuracy:
    """Return the mean accuracy of the questions, as of so many texts as each had."""
    n_texts = max(part.n_texts for part in parts)
    return Accuracy(n_texts, round(n_texts * float(np.mean([p.share for p in parts]))))
