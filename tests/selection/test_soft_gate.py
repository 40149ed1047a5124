"""Gates of the two signals against their formula."""

import numpy as np
import pytest
from skllkd.selection import SoftGate
from skllkd.selection.uncertainty import normalised_entropy

from tests.selection.synthetic import begin, distributions, select


def soft_gate_by_hand(signals, momentum, n_sigma, n_classes):
    """The weights of each batch of one signal, by plain loops."""
    mean, variance, weights = 1 / n_classes, 1.0, []
    for signal in signals:
        n = len(signal)
        if n:
            batch_mean = sum(signal) / n
            mean = momentum * mean + (1 - momentum) * batch_mean
        if n > 1:
            batch_variance = sum((s - batch_mean) ** 2 for s in signal) / (n - 1)
            variance = momentum * variance + (1 - momentum) * batch_variance
        weights.append(
            [
                np.exp(-((s - mean) ** 2) / (2 * variance / n_sigma**2))
                if s < mean
                else 1.0
                for s in signal
            ]
        )
    return weights, mean, variance


def test_it_follows_the_formula_over_many_steps():
    sizes = [20, 1, 0, 7, 20]
    batches = [
        (distributions(n, 4, 2 * i, 4.0), distributions(n, 4, 2 * i + 1))
        for i, n in enumerate(sizes)
    ]
    rule = begin(SoftGate(momentum=0.4, n_sigma=1.5), np.eye(4), len(sizes))
    kept = [select(rule, t, s, i) for i, (t, s) in enumerate(batches)]
    sure = [[max(row) for row in t] for t, _ in batches]
    unsure = [list(normalised_entropy(s)) for _, s in batches]
    of_sure, mean, variance = soft_gate_by_hand(sure, 0.4, 1.5, 4)
    of_unsure, *_ = soft_gate_by_hand(unsure, 0.4, 1.5, 4)
    for one, c, u in zip(kept, of_sure, of_unsure, strict=True):
        expected = np.array(c) * np.array(u)
        np.testing.assert_allclose(one.weight, expected, rtol=1e-9)
        np.testing.assert_array_equal(one.mask, expected >= 1e-3)
    assert rule.means_[-1, 0] == pytest.approx(mean)
    assert rule.variances_[-1, 0] == pytest.approx(variance)
    np.testing.assert_array_equal(rule.means_[2], rule.means_[1])  # an empty batch
    np.testing.assert_array_equal(rule.variances_[1], rule.variances_[0])  # one row


def test_it_opens_wide_at_first():
    """It starts at chance, which no confidence is below, as the paper's does."""
    teacher, flat = distributions(30, 5, 0), np.full((30, 5), 0.2)
    kept = select(begin(SoftGate(), teacher), teacher, flat)
    assert (kept.weight > 0.99).all()


def test_it_drops_rows_whose_weight_is_nothing():
    teacher = np.array([[0.95, 0.05]] * 30 + [[0.5, 0.5]])
    flat = np.full((31, 2), 0.5)
    kept = select(begin(SoftGate(0.0), teacher), teacher, flat)
    assert kept.weight[-1] < 1e-3
    np.testing.assert_array_equal(kept.mask, [True] * 30 + [False])


def test_it_keeps_all_where_nothing_varies():
    flat = np.full((6, 3), 1 / 3)
    kept = select(begin(SoftGate(momentum=0.0), flat), flat, flat)
    assert kept.mask.all()
    np.testing.assert_allclose(kept.weight, 1)


def test_it_goes_on_from_its_means():
    first, second = distributions(30, 3, 0, 3.0), distributions(50, 3, 1, 3.0)
    student = distributions(50, 3, 2)
    rule = begin(SoftGate(momentum=0.5), first, 1)
    select(rule, first, student[:30])
    again = SoftGate(momentum=0.5)
    again.set_state(rule.state())
    for each in (rule, again):
        begin(each, second, 2, first_step=1)
    kept = [select(each, second, student, 1) for each in (rule, again)]
    np.testing.assert_array_equal(kept[0].weight, kept[1].weight)
    np.testing.assert_array_equal(rule.means_, again.means_)
    assert rule.means_.shape == rule.variances_.shape == (3, 2)
    assert np.isnan(rule.means_[2]).all()
    half = (rule.means_[0, 0] + second.max(axis=1).mean()) / 2
    assert rule.means_[1, 0] == pytest.approx(half)
