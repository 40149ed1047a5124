"""The rows of the pool the teacher is most confident of."""

import numpy as np
from skllkd.selection import TopConfidence

from tests.selection.synthetic import begin, distributions, select


def test_the_pool_keeps_its_most_confident_rows():
    pool = distributions(40, 3, 0, 3.0)
    rule = begin(TopConfidence(share=0.1), pool)
    kept = select(rule, pool)
    most_confident = sorted(range(40), key=lambda i: -max(pool[i]))[:4]
    assert set(np.flatnonzero(kept.mask)) == set(most_confident)
    np.testing.assert_array_equal(rule.thresholds_, max(pool[most_confident[-1]]))
    assert (kept.weight == 1).all()
    batch = np.array(
        [most_confident[3], most_confident[0], 5 if 5 not in most_confident else 6]
    )
    of_batch = select(rule, pool[batch], step=1, rows=batch)
    np.testing.assert_array_equal(of_batch.mask, [True, True, False])


def test_each_class_keeps_its_most_confident_rows():
    pool = distributions(60, 3, 0, 3.0)
    label = pool.argmax(axis=1)
    kept = select(begin(TopConfidence(share=0.3, per_class=True), pool), pool)
    for k in range(3):
        members = [i for i in range(60) if label[i] == k]
        n_kept = round(0.3 * len(members))
        most_confident = sorted(members, key=lambda i: -pool[i, k])[:n_kept]
        assert {i for i in members if kept.mask[i]} == set(most_confident)


def test_thirty_rows_have_three_in_a_tenth():
    """0.1 * 30 is a little more than 3 in floating point."""
    pool = distributions(30, 3, 0)
    assert select(begin(TopConfidence(share=0.1), pool), pool).mask.sum() == 3


def test_it_keeps_ties_and_nothing_of_absent_classes():
    pool = np.array([[0.9, 0.1, 0], [0.7, 0.3, 0], [0.3, 0.7, 0], [0.4, 0.6, 0]])
    rule = begin(TopConfidence(share=0.5), pool)
    np.testing.assert_array_equal(select(rule, pool).mask, [True, True, True, False])
    rule = begin(TopConfidence(share=0.5, per_class=True), pool)
    np.testing.assert_array_equal(rule.thresholds_, [0.9, 0.7, np.inf])
    certain = np.eye(2)[[0, 1, 1]]
    for per_class in (False, True):
        rule = begin(TopConfidence(share=0.1, per_class=per_class), certain)
        assert select(rule, certain).mask.all()


def test_other_pools_have_other_thresholds():
    pool, other = distributions(40, 3, 0), distributions(7, 3, 1, 4.0)
    rule = begin(TopConfidence(), pool)
    begin(rule, other, 2, first_step=5)
    kept = select(rule, other, step=5)
    np.testing.assert_array_equal(kept.mask, other.max(1) >= sorted(other.max(1))[-2])
    again = TopConfidence()
    again.set_state(rule.state())
    np.testing.assert_array_equal(select(again, other, step=5).mask, kept.mask)
    empty = begin(TopConfidence(per_class=True), np.empty((0, 3)))
    assert empty.thresholds_.shape == (3,)
    assert select(empty, np.empty((0, 3))).mask.shape == (0,)
