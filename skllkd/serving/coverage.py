"""Threshold of a cascade: selective accuracy with a bound that holds for the choice.

Each threshold has a hypothesis, that the answers above it are right less often than the
target. From the strictest threshold to the loosest, a hypothesis is rejected where the
Clopper-Pearson bound reaches the target; at the first that is not, the sequence ends, and
the last threshold rejected is chosen. No correction for the number of thresholds is due:
fixed-sequence testing, as in "Learn then Test" (arXiv:2110.01052).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import betaincinv, expit

from skllkd._core.arrays import BoolArray, FloatArray, IntArray

#: Thresholds, from the strictest: evenly spaced log-odds, whatever the texts.
_GRID = np.append(expit(np.linspace(36, -7, 43_001)), 0.0)
#: Number of wrong answers that the first bound of a sequence may tolerate at most.
_MAX_WRONG = 5
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
    lower_bound : ndarray of shape (n_points,)
        One-sided Clopper-Pearson bound of the share of right answers, in [0, 1].
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
    lower_bound: FloatArray
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

    The order of the thresholds and the first of them depend on no label. That first
    threshold leaves out those which too few texts reach to prove anything. The chance that
    the threshold chosen misses the target is at most 1 - confidence where a looser
    threshold is never the more accurate one; `benchmarks.cascade` measures it, also where
    that does not hold.
    """
    order = np.argsort(-confidence_of_text, kind="stable")
    n_above = np.searchsorted(-confidence_of_text[order], -_GRID, side="right")
    # Thresholds that the same texts reach are one test. The strictest stands for them: of
    # confidences that no held-out text has, nothing is known.
    strictest = np.flatnonzero(np.diff(n_above, prepend=0))
    n_answered = n_above[strictest]
    n_right = np.cumsum(is_right[order], dtype=np.int64)[n_answered - 1]
    bound = lower_bounds(n_right, n_answered, confidence)
    first = np.searchsorted(
        n_answered, first_count(len(order), target, confidence), side="left"
    )
    rejected = bound[first:] >= target
    n_rejected = len(rejected) if rejected.all() else int(rejected.argmin())
    return CoverageCurve(
        threshold=_GRID[strictest],
        n_answered=n_answered,
        n_right=n_right,
        lower_bound=bound,
        n_texts=len(order),
        target=target,
        confidence=confidence,
        chosen=int(first) + n_rejected - 1 if n_rejected else None,
    )


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


def first_count(n_texts: int, target: float, confidence: float) -> int:
    """Return how many texts the first threshold of a sequence must answer at least.

    Up to a third of the texts, so that a few wrong answers among the surest do not end
    the sequence, and as few as can prove anything.
    """
    counts = [fewest_texts(target, confidence, k) for k in range(_MAX_WRONG + 1)]
    return max([counts[0], *(n for n in counts if n <= n_texts / 3)])


def _bound(n: int, n_wrong: int, confidence: float) -> float:
    """Return the bound of n answers, some of them wrong."""
    return float(lower_bounds(np.array([n - n_wrong]), np.array([n]), confidence)[0])


def _answers_needed(share: float, target: float, confidence: float) -> float:
    """Return how many answers prove a target, were a share of them right."""
    n = np.unique(np.geomspace(5, 1e7, 600).astype(np.int64))
    proves = lower_bounds(np.floor(share * n + 1e-9), n, confidence) >= target
    return float(n[proves.argmax()]) if proves.any() else float("inf")
