"""A random share of every batch."""

import numpy as np
import pytest
from skllkd.selection import Pool, RandomSubset

from tests.selection.synthetic import begin, distributions, select


@pytest.mark.parametrize(("n_rows", "counts"), [(32, {8}), (30, {7, 8}), (1, {0, 1})])
def test_it_has_its_size_in_expectation(n_rows, counts):
    teacher = distributions(n_rows, 3, 0)
    rule = begin(RandomSubset(share=0.25), teacher, 4000)
    masks = np.array([select(rule, teacher, step=step).mask for step in range(4000)])
    assert set(masks.sum(axis=1)) == counts
    assert masks.mean() == pytest.approx(0.25, abs=0.025)
    np.testing.assert_allclose(masks.mean(axis=0), 0.25, atol=0.035)  # uniform


def test_random_draws_follow_the_seed_and_leave_the_caller_s_state_alone():
    teacher = distributions(40, 3, 0)
    given = np.random.RandomState(7)
    rule, same, other = RandomSubset(), RandomSubset(), RandomSubset()
    rule.begin(Pool(teacher), 5, given)
    begin(same, teacher, seed=7)
    begin(other, teacher, seed=8)
    before = given.get_state()[1].copy()
    first = select(rule, teacher)
    np.testing.assert_array_equal(given.get_state()[1], before)
    np.random.RandomState(7).uniform(size=100)
    given.uniform(size=3)
    np.testing.assert_array_equal(first.mask, select(same, teacher).mask)
    np.testing.assert_array_equal(
        select(rule, teacher, None, 1).mask, select(same, teacher, None, 1).mask
    )
    assert (first.mask != select(other, teacher).mask).any()
