"""Thresholds from which a text has a class, where it may have several."""

from __future__ import annotations

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray

#: Number of gold labels of either kind from which they give the threshold of a class.
_ENOUGH_GOLD = 20


def best_thresholds(student_proba: FloatArray, label_proba: FloatArray) -> FloatArray:
    """Return the threshold of each class with the largest expected F1.

    `label_proba` holds the probabilities that the texts have the classes, 0 and 1 where
    that is known.
    """
    pairs = zip(student_proba.T, label_proba.T, strict=True)
    return np.array([best_threshold(*of_class)[0] for of_class in pairs])


def gold_thresholds(
    student_proba: FloatArray, gold: IntArray, otherwise: FloatArray
) -> FloatArray:
    """Return the thresholds with the largest F1 on gold labels, where these suffice.

    `otherwise` holds those of classes that fewer than 20 texts have, or have not.
    """
    found = best_thresholds(student_proba, gold.astype(np.float64))
    n_yes = gold.sum(axis=0)
    enough = np.minimum(n_yes, len(gold) - n_yes) >= _ENOUGH_GOLD
    return np.where(enough, found, otherwise)


def best_threshold(
    student_proba: FloatArray, label_proba: FloatArray
) -> tuple[float, float]:
    """Return the threshold on a student's probabilities with the largest expected F1.

    Also return that F1. With the label's probability p_i and the n texts above the
    threshold, it is 2 sum_(i above) p_i / (n + sum_i p_i): the ratio of the expected
    counts, to which the expected F1 converges with the number of texts (Ye et al.,
    "Optimizing F-measures: A Tale of Two Approaches", ICML 2012). The threshold is
    halfway to the next text; 0.5, where no text is expected to have the class.
    """
    order = np.argsort(-student_proba, kind="stable")
    score, expected = student_proba[order], label_proba[order]
    f1 = (
        2 * expected.cumsum() / (np.arange(len(order)) + 1 + max(expected.sum(), 1e-12))
    )
    is_end = np.append(score[:-1] > score[1:], True)  # equal texts are above together
    best = int(np.where(is_end, f1, -1.0).argmax())
    if not expected.sum() > 0:
        return 0.5, 0.0
    below = score[best + 1] if best + 1 < len(score) else 0.0
    return float((score[best] + below) / 2), float(f1[best])
