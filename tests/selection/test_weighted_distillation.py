"""Weights that debias distillation, against their formula."""

import numpy as np
import pytest
from skllkd.selection import WeightedDistillation

from tests.selection.synthetic import begin, distributions, select


def isotonic_by_hand(x, y):
    """The decreasing isotonic fit: max over starts of min over ends of means."""
    values = sorted(set(x))
    fitted = []
    for v in x:
        best = -np.inf
        for high in (w for w in values if w >= v):
            means = [
                np.mean([b for a, b in zip(x, y, strict=True) if low <= a <= high])
                for low in values
                if low <= v
            ]
            best = max(best, min(means))
        fitted.append(best)
    return fitted


def test_the_chance_of_an_error_falls_with_confidence():
    teacher = distributions(50, 3, 0, 3.0).round(1) + 1e-3  # rounded: ties
    teacher /= teacher.sum(axis=1, keepdims=True)
    teacher[:20] = teacher[20:40]
    other = distributions(50, 3, 1)
    rule = begin(WeightedDistillation(), teacher, student=other)
    disagrees = (other.argmax(axis=1) != teacher.argmax(axis=1)).astype(float)
    expected = isotonic_by_hand(list(teacher.max(axis=1).round(9)), list(disagrees))
    np.testing.assert_allclose(rule.error_proba_, expected, atol=1e-6)
    order = np.argsort(teacher.max(axis=1))
    assert (np.diff(rule.error_proba_[order]) <= 1e-7).all()
    assert len(np.unique(rule.error_proba_)) > 1


def test_weighted_distillation_follows_the_formula():
    teacher, other = distributions(60, 3, 0, 3.0), distributions(60, 3, 1)
    student = distributions(20, 3, 2)
    student[0] = [1, 0, 0]
    student[1] = [0, 0, 1]
    rule = begin(WeightedDistillation(), teacher, student=other)
    rows = np.arange(60)[::-1][:20]
    label = teacher[rows].argmax(axis=1)
    kept = select(rule, teacher[rows], student, rows=rows)
    assert kept.mask.all()
    for i in range(20):
        at_label = max(-np.log(max(student[i, label[i]], 1e-12)), 0.05)
        at_own = max(-np.log(max(student[i])), 0.05)
        e = rule.error_proba_[rows[i]]
        assert kept.weight[i] == pytest.approx(1 / (1 + e * (at_label / at_own - 1)))
    assert (kept.weight > 0).all() and (kept.weight <= 1).all()
    agrees = student.argmax(axis=1) == label
    np.testing.assert_allclose(kept.weight[agrees], 1)
    assert kept.weight[~agrees].min() < 0.9


def test_nothing_is_weighed_down_where_others_agree_with_the_teacher():
    teacher = distributions(30, 3, 0)
    rule = begin(WeightedDistillation(), teacher, student=teacher)
    kept = select(rule, teacher, distributions(30, 3, 1))
    np.testing.assert_array_equal(kept.weight, 1)


def test_confidences_a_rounding_error_apart_are_alike():
    """A teacher that is nearly certain has them; the largest once got NaN."""
    top = np.array([1.0, 1 - 1.2e-16, 1 - 2.3e-16, 0.8, 0.8 + 1.2e-16, 0.8])
    teacher = np.column_stack([top, 1 - top])
    other = np.eye(2)[[0, 0, 1, 1, 1, 0]]
    rule = begin(WeightedDistillation(), teacher, student=other)
    np.testing.assert_allclose(rule.error_proba_, [1 / 3] * 3 + [2 / 3] * 3, rtol=1e-6)
