"""The simulated teachers of the benchmarks."""

import numpy as np
import pytest
from benchmarks.data import Pool, noisy


def real_pool():
    """A teacher that takes a for b and never the other way round, less surely."""
    gold = np.array(["a", "b", "c"])[np.arange(3000) % 3]
    proba = np.eye(3)[np.arange(3000) % 3] * 0.7 + 0.1
    proba[0:900:3] = [0.3, 0.6, 0.1]
    return Pool([str(i) for i in range(3000)], gold, proba, ["a", "b", "c"])


@pytest.mark.parametrize("accuracy", [0.5, 0.85])
def test_a_noisy_teacher_is_right_as_often_as_wanted(accuracy):
    pool = real_pool()
    drawn = noisy(pool, accuracy, 0)
    label = np.array(pool.classes)[drawn.teacher_proba.argmax(axis=1)]
    right = label == pool.gold
    assert right.mean() == pytest.approx(accuracy, abs=0.03)
    np.testing.assert_allclose(drawn.teacher_proba.sum(axis=1), 1)
    wrong_of_a = label[(pool.gold == "a") & ~right]
    assert (wrong_of_a == "b").mean() > 0.99  # as the real one errs
    confidence = drawn.teacher_proba.max(axis=1)
    np.testing.assert_allclose(confidence[right], 0.8)
    np.testing.assert_allclose(confidence[~right], 0.6)


def test_noise_is_drawn_anew_for_each_seed():
    pool = real_pool()
    one, same, other = (noisy(pool, 0.7, seed).teacher_proba for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
