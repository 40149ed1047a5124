"""Drift: whether new texts are distributed as those the threshold was chosen on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skllkd._core.arrays import Float32Array, FloatArray, IntArray

#: Number of texts of each side that are compared; distances are of all pairs.
MAX_TEXTS = 500
_N_PERMUTATIONS = 999


@dataclass(frozen=True, eq=False)
class Sample:
    """Answers of the student to texts, and how its encoder reads them."""

    confidence: FloatArray  # (n_texts,)
    label: (
        IntArray  # (n_texts,), columns of the classes; or (n_texts, n_classes), 0 and 1
    )
    embedding: Float32Array | None  # (n_texts, n_features)


@dataclass(frozen=True, eq=False)
class Drift:
    """Comparison of new texts with those the threshold was chosen on.

    Parameters
    ----------
    p_values : dict of str to float
        For "confidence", "classes" and, with an encoder, "embedding": the p-value of a
        permutation test of the energy distance. Small where the texts differ.
    alpha : float
        The chance of a false alarm, over all of them together.
    mean_confidence : tuple of (float, float)
        The student's mean confidence, before and now.
    class_shares : dict of object to (float, float)
        The share of the texts the student gives each class, before and now.
    n_texts : tuple of (int, int)
        The number of texts compared, before and now.

    Examples
    --------
    >>> from skllkd.serving.drift import Drift
    >>> print(Drift({"confidence": 0.001, "classes": 0.4}, 0.05, (0.9, 0.7),
    ...             {"ham": (0.8, 0.8), "spam": (0.2, 0.2)}, (500, 300)))
    The new texts differ in confidence (300 compared with 500, false alarms 5 %):
      confidence  p = 0.001  mean 0.90 before, 0.70 now
      classes     p = 0.400  ham 80 % before, 80 % now; spam 20 % before, 20 % now
    """

    p_values: dict[str, float]
    alpha: float
    mean_confidence: tuple[float, float]
    class_shares: dict[object, tuple[float, float]]
    n_texts: tuple[int, int]

    @property
    def differing(self) -> list[str]:
        """The aspects in which the texts differ, by Bonferroni's rule."""
        bar = self.alpha / len(self.p_values)
        return [name for name, p in self.p_values.items() if p <= bar]

    @property
    def drifted(self) -> bool:
        """Whether the texts differ in anything."""
        return bool(self.differing)

    def __str__(self) -> str:
        """Return the comparison as a table."""
        verdict = "differ in " + ", ".join(self.differing) if self.drifted else ""
        before, now = self.mean_confidence
        changes = sorted(
            self.class_shares.items(), key=lambda item: -abs(item[1][0] - item[1][1])
        )
        shares = [f"{name} {a:.0%} before, {b:.0%} now" for name, (a, b) in changes[:3]]
        facts = {
            "confidence": f"mean {before:.2f} before, {now:.2f} now",
            "classes": "; ".join(shares).replace("%", " %"),
            "embedding": "texts as the encoder reads them",
        }
        return "\n".join(
            [
                f"The new texts {verdict or 'do not differ measurably'} "
                f"({self.n_texts[1]} compared with {self.n_texts[0]}, false alarms "
                f"{100 * self.alpha:.3g} %):",
                *(
                    f"  {k:<11} p = {p:.3f}  {facts[k]}"
                    for k, p in self.p_values.items()
                ),
            ]
        )


def compare(
    before: Sample, now: Sample, classes: list[object], alpha: float, seed: int = 0
) -> Drift:
    """Compare two samples by permutation tests that share their permutations."""
    has = [_indicator(sample.label, len(classes)) for sample in (before, now)]
    pairs: dict[str, tuple[Any, Any]] = {
        "confidence": (before.confidence[:, None], now.confidence[:, None]),
        "classes": (has[0], has[1]),
    }
    if before.embedding is not None and now.embedding is not None:
        pairs["embedding"] = (before.embedding, now.embedding)
    side = _permuted_sides(len(before.label), len(now.label), seed)
    shares = [indicator.mean(axis=0) for indicator in has]
    return Drift(
        p_values={name: _p_value(*pair, side) for name, pair in pairs.items()},
        alpha=alpha,
        mean_confidence=(float(before.confidence.mean()), float(now.confidence.mean())),
        class_shares={
            name: (float(a), float(b))
            for name, a, b in zip(classes, *shares, strict=True)
        },
        n_texts=(len(before.label), len(now.label)),
    )


def _indicator(label: IntArray, n_classes: int) -> FloatArray:
    """Return labels as rows of 0 and 1."""
    if label.ndim == 2:
        return label.astype(np.float64)
    one_hot: FloatArray = np.eye(n_classes)[label]
    return one_hot


def _permuted_sides(n_before: int, n_now: int, seed: int) -> Float32Array:
    """Return weights of the rows, 1 / n of the one side and -1 / n of the other.

    The first row is as it is, the others are permuted.
    """
    side = np.repeat([1 / n_before, -1 / n_now], [n_before, n_now]).astype(np.float32)
    permuted = np.tile(side, (_N_PERMUTATIONS + 1, 1))
    np.random.default_rng(seed).permuted(permuted[1:], axis=1, out=permuted[1:])
    return permuted


def _p_value(before: FloatArray, now: FloatArray, side: Float32Array) -> float:
    """Return the p-value of the energy distance between two sets of rows."""
    rows = np.concatenate([before, now]).astype(np.float64)
    square = (rows**2).sum(axis=1)
    squared = square[:, None] + square[None, :] - 2 * rows @ rows.T
    distance = np.sqrt(np.maximum(squared, 0)).astype(np.float32)
    np.fill_diagonal(distance, 0)
    energy = -np.einsum("pn,pn->p", side @ distance, side)
    rounding = 1e-6 * float(distance.mean() + 1e-12)
    return float(np.mean(energy >= energy[0] - rounding))
