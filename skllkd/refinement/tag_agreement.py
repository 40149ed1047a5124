"""Agreement of sources with a teacher about each of several classes a text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from skllkd._core.arrays import BoolArray, FloatArray, nan_rows
from skllkd.refinement.base import Evidence, EvidenceContext
from skllkd.refinement.per_class import Heard, question

#: The largest number of texts that a model learns from to be compared.
_MOST_TEXTS = 5000
#: The nearest to certainty that a probability is taken for.
_EPSILON = 1e-6


def tag_agreements(
    source: Evidence, context: EvidenceContext
) -> tuple[float | None, ...]:
    """Return how far a source finds the texts of each class that the teacher finds.

    The texts of a class are as many of the likeliest as the teacher's probabilities add
    up to, in both: neither depends on a threshold, which a teacher may never reach. The
    agreement is Cohen's kappa, 0 for guessing and 1 at most; None where either says
    nothing.
    """
    context = replace(context, gold=None)
    return tuple(_agreement(source, context, k) for k in range(len(context.classes)))


def _agreement(source: Evidence, context: EvidenceContext, k: int) -> float | None:
    """Return the agreement of a source with the teacher about a class."""
    yes = context.teacher_proba[:, k]
    cut = likeliest_from(yes)
    if cut is None:
        return None
    if isinstance(source, Heard):
        said = None if source.answer is None else source.answer[:, k]
    else:
        said = _learned(source, context, k, cut)
    if said is None:
        return None
    known = ~np.isnan(yes) & ~np.isnan(said)
    if not known.any():
        return None
    has = yes[known] >= cut
    return kappa_of_likeliest(has, said[known])


def likeliest_from(proba: FloatArray) -> float | None:
    """Return the probability from which texts count as those of a class.

    They are as many as the probabilities add up to, and those of equal probability, but
    not those of the lowest. None if that is no text, or all are as probable.
    """
    known = np.sort(proba[~np.isnan(proba)])[::-1]
    n_expected = round(float(known.sum()))
    if not n_expected or known[0] == known[-1]:
        return None
    return float(max(known[n_expected - 1], known[known > known[-1]][-1]))


def kappa_of_likeliest(has: BoolArray, score: FloatArray) -> float | None:
    """Return Cohen's kappa of a class and as many of the texts with the highest scores.

    None if all texts have the class, or none has it.
    """
    n_yes, n = int(has.sum()), len(has)
    if n_yes in (0, n):
        return None
    order = np.argsort(-score, kind="stable")
    share = n_yes / n
    return float((has[order[:n_yes]].mean() - share) / (1 - share))


def _learned(
    source: Evidence, context: EvidenceContext, k: int, cut: float
) -> FloatArray | None:
    """Return a source's answer after it learned which texts the teacher finds.

    The odds are divided by those of the cut, so that these texts are likelier than not.
    """
    asked = question(context, k)
    clipped = np.clip(context.teacher_proba[:, k], _EPSILON, 1 - _EPSILON)
    yes = expit(logit(clipped) - logit(np.clip(cut, _EPSILON, 1 - _EPSILON)) + _EPSILON)
    labels = np.column_stack([1 - yes, yes])
    known = np.flatnonzero(~nan_rows(labels))
    left_out = np.random.RandomState(context.seed).permutation(known)[_MOST_TEXTS:]
    labels[left_out] = np.nan
    answer = source.log_prob(replace(asked, labels=labels, teacher_proba=labels))
    return None if answer is None else answer[:, 1] - answer[:, 0]
