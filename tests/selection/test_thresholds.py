"""Moving averages and thresholds of each class."""

import numpy as np
import pytest
from skllkd.selection.thresholds import AdaptiveThreshold, MovingAverage


def test_a_moving_average_starts_at_the_first_value():
    average = MovingAverage(2, 0.9)
    average.update(0, 0.4)
    assert average.value[0] == pytest.approx(0.4)
    assert np.isnan(average.value[1])
    average.update(0, 0.8)
    assert average.value[0] == pytest.approx((0.9 * 0.4 + 0.8) / 1.9)


def test_the_threshold_of_an_empty_batch_is_unchanged():
    threshold = AdaptiveThreshold(2, 0.9, "signal")
    proba = np.array([[0.8, 0.2], [0.3, 0.7]])
    before = threshold.update(proba.max(axis=1), proba.argmax(axis=1), proba)
    empty = np.zeros((0, 2))
    after = threshold.update(np.zeros(0), np.zeros(0, dtype=int), empty)
    np.testing.assert_array_equal(before, after)
