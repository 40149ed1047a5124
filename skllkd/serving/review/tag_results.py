"""Scores of a review where a text may have several classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from skllkd._core.arrays import IntArray
from skllkd.inspection.tag_scoring import counts_of, f1_intervals, f1_scores
from skllkd.refinement.gold import Accuracy
from skllkd.serving.review.pool import ReviewPool


@dataclass(frozen=True)
class TagScores:
    """F1 scores of a judge, with 95 % intervals by 1,000 resamples of the texts.

    Parameters
    ----------
    micro_f1, macro_f1 : float or None
        The F1 score of all texts and classes together, and the mean of those of the
        classes that occur; None of no text.
    micro_interval, macro_interval : tuple of float or None
        Their intervals.

    Examples
    --------
    >>> from skllkd.serving.review.tag_results import TagScores
    >>> print(TagScores(0.8, 0.7, (0.7, 0.9), (0.5, 0.8)))
    micro-F1 0.80 [0.70, 0.90], macro-F1 0.70 [0.50, 0.80]
    """

    micro_f1: float | None = None
    macro_f1: float | None = None
    micro_interval: tuple[float, float] | None = None
    macro_interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        """Return the scores with their intervals."""
        if self.micro_interval is None or self.macro_interval is None:
            return "no answer yet"
        micro, macro = self.micro_interval, self.macro_interval
        return (
            f"micro-F1 {self.micro_f1:.2f} [{micro[0]:.2f}, {micro[1]:.2f}], "
            f"macro-F1 {self.macro_f1:.2f} [{macro[0]:.2f}, {macro[1]:.2f}]"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the scores for JSON.

        Returns
        -------
        dict
            The parameters.
        """
        return asdict(self)


def tag_scores(wanted: IntArray, said: IntArray) -> TagScores:
    """Return the scores of labels, rows of 0 and 1."""
    if not len(wanted):
        return TagScores()
    has = wanted.astype(bool), said.astype(bool)
    macro, micro = f1_scores(*counts_of(*has))
    macro_interval, micro_interval = f1_intervals(*has)
    return TagScores(micro, macro, micro_interval, macro_interval)


def whole_texts(wanted: IntArray, said: IntArray) -> Accuracy:
    """Return the accuracy of texts, all classes of which must be right."""
    return Accuracy(len(wanted), int((wanted == said).all(axis=1).sum()))


def one_class(wanted: IntArray, said: IntArray, k: int) -> Accuracy:
    """Return the accuracy of a class, as a question of yes or no."""
    return Accuracy(len(wanted), int((wanted[:, k] == said[:, k]).sum()))


def wrong_tags(
    pool: ReviewPool, judge: str, column: IntArray, rows: IntArray
) -> list[tuple[str, str, list[str]]]:
    """Return the errors of a judge in some rows, with their texts, the most first.

    Each is a class and "not" before its name, or the other way round.
    """
    said = pool.said(judge)
    rows, found = rows[said[rows, 0] >= 0], []
    for k, name in enumerate(map(str, pool.classes)):
        for has in (1, 0):
            wrong = rows[(column[rows, k] == has) & (said[rows, k] != has)]
            names = (name, f"not {name}") if has else (f"not {name}", name)
            if len(wrong):
                found.append((*names, [pool.texts[row] for row in wrong]))
    return sorted(found, key=lambda error: -len(error[2]))
