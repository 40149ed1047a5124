"""Acceptance by uncertainty, and the parts of a budget."""

import numpy as np
import pytest
from skllkd.selection import AcceptReject


def test_acceptance_follows_uncertainty():
    least = np.array([0.0, 0.01, 0.03, 0.1])  # entropies of 0, 0.08, 0.19 and 0.47
    proba = np.column_stack([1 - least, least])
    rule = AcceptReject()
    rng = np.random.RandomState(0)
    counts = np.zeros(4)
    for _ in range(4000):
        counts[rule.accept(proba, 1, rng)] += 1
    assert counts[0] == 0
    # drawn first and accepted, or the others were rejected: more than proportional
    assert counts[1] < counts[2] < counts[3]
    assert counts[3] / 4000 > 0.5
    np.testing.assert_array_equal(rule.accept(proba, 3, rng), [1, 2, 3])


@pytest.mark.parametrize("unsure", [0.0, 1.0])
def test_a_student_that_is_the_same_about_all_accepts_at_random(unsure):
    proba = np.full((50, 2), [1 - unsure / 2, unsure / 2])
    accepted = AcceptReject().accept(proba, 10, np.random.RandomState(0))
    assert len(set(accepted.tolist())) == 10
    assert len(AcceptReject().accept(proba, 80, np.random.RandomState(0))) == 50
    assert len(AcceptReject().accept(proba[:0], 3, np.random.RandomState(0))) == 0


@pytest.mark.parametrize(
    ("rule", "n_rows", "expected"),
    [
        (AcceptReject(0.5, initial=0.2, n_rounds=2), 100, [10, 20, 20]),
        (AcceptReject(0.5, initial=1.0), 100, [50]),
        (AcceptReject(3, n_rounds=4), 100, [1, 1, 1]),
        (AcceptReject(1), 100, [1]),
        (AcceptReject(1.0, n_rounds=1), 1, [1]),
        (AcceptReject(0.001), 10, [1]),
    ],
)
def test_parts_add_up_to_the_budget(rule, n_rows, expected):
    assert rule.parts(n_rows) == expected
