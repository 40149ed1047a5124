"""Threshold of a cascade: selective accuracy with a bound that holds for the choice.

Each threshold has a hypothesis, that the answers above it are right less often than the
target. From the strictest threshold to the loosest, hypotheses are tested in sequences,
each of which ends at the first that is not rejected; the last threshold rejected is chosen.
The error is divided by the number of sequences, not of thresholds: fixed-sequence testing
with several starts, as in "Learn then Test" (arXiv:2110.01052). A sequence that comes as
far as the start of the next has the error of both from there on: Wiens, "A fixed sequence
Bonferroni procedure for testing multiple endpoints", Pharmaceutical Statistics 2(3), 2003.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import bdtrc, betaincinv, expit

from skllkd._core.arrays import BoolArray, FloatArray, IntArray

#: Thresholds, from the strictest: evenly spaced log-odds, whatever the texts.
_GRID = np.append(expit(np.linspace(36, -7, 43_001)), 0.0)
#: Shares of the texts that the first thresholds of the sequences answer, about: a strict
#: one for students of whom few answers are good enough, and one that errors among the
#: surest do not end.
_FIRST_SHARES = (0.15, 0.4)
#: Number of points of a curve that an estimate of the texts needed looks at.
_N_LOOKED_AT = 25


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Answers above each threshold on texts that the student never learned from.

    Parameters
    ----------
    threshold : ndarray of shape (n_points,)
        Thresholds on the student's confidence, in [0, 1], falling.
    n_answered : ndarray of shape (n_points,), int
        Number of texts with at least that confidence.
    n_right : ndarray of shape (n_points,), int
        Number of them that the student answers right.
    n_texts : int
        Number of texts.
    target, confidence : float
        The share of right answers to be reached, and the confidence of the bounds.
    chosen : int or None
        Index of the threshold chosen; None if no threshold reaches the target.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.serving.coverage import coverage_curve
    >>> confidence = np.linspace(0.5, 1, 400)
    >>> curve = coverage_curve(confidence, confidence > 0.6, target=0.9, confidence=0.95)
    >>> round(float(curve.coverage[curve.chosen]), 2)
    0.86
    """

    threshold: FloatArray
    n_answered: IntArray
    n_right: IntArray
    n_texts: int
    target: float
    confidence: float
    chosen: int | None

    @property
    def coverage(self) -> FloatArray:
        """The share of the texts answered at each threshold, in [0, 1]."""
        return self.n_answered / max(self.n_texts, 1)

    @property
    def share_right(self) -> FloatArray:
        """The share of the answers that is right at each threshold, in [0, 1]."""
        return self.n_right / self.n_answered

    @property
    def lower_bound(self) -> FloatArray:
        """The one-sided Clopper-Pearson bound of the share of right answers, in [0, 1]."""
        return lower_bounds(self.n_right, self.n_answered, self.confidence)

    @property
    def expected_share(self) -> FloatArray:
        """The share of further answers expected to be right, in [0, 1].

        Krichevsky and Trofimov's estimate: three right answers of three are no proof.
        """
        return (self.n_right + 0.5) / (self.n_answered + 1)

    @property
    def chosen_threshold(self) -> float:
        """The threshold chosen; infinity if none reaches the target."""
        return float("inf") if self.chosen is None else self.threshold[self.chosen]

    @property
    def chosen_coverage(self) -> float:
        """The share of the texts answered at the threshold chosen; 0 without one."""
        return 0.0 if self.chosen is None else float(self.coverage[self.chosen])

    def texts_needed(self) -> int | None:
        """Estimate how many texts let a threshold reach the target.

        Returns
        -------
        int or None
            The number, were further texts answered as these were; None if no number
            suffices, because no threshold is right more often than the target.
        """
        if not self.n_texts:
            return fewest_texts(self.target, self.confidence)
        points = np.flatnonzero(self.expected_share > self.target)
        points = points[:: -max(1, len(points) // _N_LOOKED_AT)]
        pairs = zip(self.expected_share[points], self.coverage[points], strict=True)
        needed = [
            _answers_needed(share, self.target, self.confidence) / coverage
            for share, coverage in pairs
        ]
        fewest = min(needed, default=np.inf)
        return int(np.ceil(fewest)) if np.isfinite(fewest) else None


def coverage_curve(
    confidence_of_text: FloatArray,
    is_right: BoolArray,
    target: float,
    confidence: float,
) -> CoverageCurve:
    """Choose the loosest threshold whose answers reach a target, and the curve around it.

    The order of the thresholds and the starts of the sequences depend on no label. The
    chance that the threshold chosen misses the target is at most 1 - confidence where a
    looser threshold is never the more accurate one; `benchmarks.cascade` measures it, also
    where that does not hold.
    """
    order = np.argsort(-confidence_of_text, kind="stable")
    n_above = np.searchsorted(-confidence_of_text[order], -_GRID, side="right")
    # Thresholds that the same texts reach are one test. The strictest stands for them: of
    # confidences that no held-out text has, nothing is known.
    strictest = np.flatnonzero(np.diff(n_above, prepend=0))
    n_answered = n_above[strictest]
    n_right = np.cumsum(is_right[order], dtype=np.int64)[n_answered - 1]
    starts = np.searchsorted(
        n_answered, first_counts(len(order), target, confidence), side="left"
    )
    # the chance of as many right answers, were the target just missed
    p_value = bdtrc(n_right - 1.0, n_answered, target)
    return CoverageCurve(
        threshold=_GRID[strictest],
        n_answered=n_answered,
        n_right=n_right,
        n_texts=len(order),
        target=target,
        confidence=confidence,
        chosen=last_rejected(p_value.tolist(), starts.tolist(), 1 - confidence),
    )


def last_rejected(p_values: list[float], starts: list[int], alpha: float) -> int | None:
    """Return the last hypothesis rejected, of sequences with equal shares of alpha."""
    level = 0.0
    last: int | None = None
    for i in range(starts[0], len(p_values)):
        level += alpha * starts.count(i) / len(starts)
        if level > 0 and p_values[i] <= level:
            last = i
        else:
            level = 0.0
    return last


def not_shown(curve: CoverageCurve) -> str:
    """Return a message: no threshold reaches the target, and how many texts would do."""
    needed, n = curve.texts_needed(), curve.n_texts
    fewest = fewest_texts(curve.target, curve.confidence)
    if n < fewest:
        advice = f"{fewest} would do if all answers were right"
        if needed is not None and needed > fewest:
            advice += f", and about {needed} as these are answered"
    elif needed is not None:
        advice = f"about {max(needed, n + 1)} would do"
    else:
        advice = (
            f"no number would do, as at no threshold more than "
            f"{curve.expected_share.max():.3f} of the answers seem right. Lower the "
            "target, or improve the student"
        )
    return (
        f"the student answers nothing: {n} held-out texts with a label do not show that "
        f"{curve.target:g} of its answers are right, with confidence "
        f"{curve.confidence:g}; {advice}."
    )


def lower_bounds(n_right: IntArray, n: IntArray, confidence: float) -> FloatArray:
    """Return one-sided Clopper-Pearson bounds of shares."""
    some = np.maximum(n_right, 1)
    bound = betaincinv(some, n - some + 1, 1 - confidence)
    return np.where(n_right > 0, bound, 0.0)


@cache
def fewest_texts(target: float, confidence: float, n_wrong: int = 0) -> int:
    """Return the fewest answers, some of them wrong, whose bound reaches a target."""
    n = n_wrong + 1
    step = 1
    while _bound(n, n_wrong, confidence) < target:
        n, step = n + step, step * 2
    low = n - step // 2  # the last step may have gone too far
    while low < n:
        middle = (low + n) // 2
        if _bound(middle, n_wrong, confidence) >= target:
            n = middle
        else:
            low = middle + 1
    return n


def first_counts(n_texts: int, target: float, confidence: float) -> list[int]:
    """Return how many texts the first threshold of each sequence must answer at least.

    As many as suffice for one more wrong answer, of its share of the texts; and one
    sequence only, with the whole error, of few texts.
    """
    of_each = 1 - (1 - confidence) / len(_FIRST_SHARES)
    shares = [share * n_texts for share in _FIRST_SHARES]
    counts = sorted({_next_proof(n, target, of_each) for n in shares})
    return counts if len(counts) > 1 else [_next_proof(shares[0], target, confidence)]


def _next_proof(n: float, target: float, confidence: float) -> int:
    """Return the fewest answers from n on that tolerate one more wrong answer."""
    n_wrong = 0
    while fewest_texts(target, confidence, n_wrong) < n:
        n_wrong += 1
    return fewest_texts(target, confidence, n_wrong)


def _bound(n: int, n_wrong: int, confidence: float) -> float:
    """Return the bound of n answers, some of them wrong."""
    return float(lower_bounds(np.array([n - n_wrong]), np.array([n]), confidence)[0])


def _answers_needed(share: float, target: float, confidence: float) -> float:
    """Return how many answers prove a target, were a share of them right."""
    n = np.unique(np.geomspace(5, 1e7, 600).astype(np.int64))
    proves = lower_bounds(np.floor(share * n + 1e-9), n, confidence) >= target
    return float(n[proves.argmax()]) if proves.any() else float("inf")
