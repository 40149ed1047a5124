"""Thresholds with the largest expected F1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from skllkd.training.thresholds import best_threshold, best_thresholds

#: Few values, so that there are ties.
proba = st.integers(0, 8).map(lambda i: i / 8)


@given(st.lists(st.tuples(proba, st.booleans()), min_size=1, max_size=12))
def test_no_other_threshold_has_a_larger_f1(pairs):
    student, gold = np.array(pairs, dtype=float).T
    threshold, f1 = best_threshold(student, gold)
    if not gold.any():
        assert (threshold, f1) == (0.5, 0.0)
        return
    assert f1 == pytest.approx(f1_score(gold, student >= threshold))
    others = [f1_score(gold, student >= t, zero_division=0) for t in {*student, 2.0}]
    assert f1 == pytest.approx(max(others))


def test_with_true_probabilities_it_is_half_of_the_f1():
    # Lipton et al., "Optimal Thresholding of Classifiers to Maximize F1", theorem 1.
    p = np.random.RandomState(0).beta(0.5, 3, size=20_000)
    threshold, f1 = best_threshold(p, p)
    assert threshold == pytest.approx(f1 / 2, abs=0.002)
    drawn = np.random.RandomState(1).uniform(size=len(p)) < p
    assert f1_score(drawn, p >= threshold) == pytest.approx(f1, abs=0.02)


def test_each_class_has_its_own():
    student = np.array([[0.9, 0.2], [0.8, 0.15], [0.1, 0.1]])
    labels = np.array([[1, 1], [0, 1], [0, 0]])
    found = best_thresholds(student, labels)
    np.testing.assert_allclose(found, [0.85, 0.125])
