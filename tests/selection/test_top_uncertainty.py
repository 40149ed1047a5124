"""The rows of every batch the student is most uncertain of."""

import numpy as np
import pytest
from skllkd.selection import TopUncertainty
from skllkd.selection.uncertainty import normalised_entropy

from tests.selection.synthetic import begin, distributions, select


def uncertainty_by_hand(measure, t, s):
    return {
        "entropy": lambda: -sum(p * np.log(p) for p in s),
        "kl": lambda: sum(p * np.log(p / q) for p, q in zip(t, s, strict=True)),
    }[measure]()


@pytest.mark.parametrize("measure", ["entropy", "kl"])
@pytest.mark.parametrize(("n_rows", "n_kept"), [(20, 6), (21, 7), (1, 1), (0, 0)])
def test_the_most_uncertain_of_a_batch_are_kept(measure, n_rows, n_kept):
    teacher, student = distributions(n_rows, 4, 0), distributions(n_rows, 4, 1)
    rule = begin(TopUncertainty(share=0.3, measure=measure), teacher)
    kept = select(rule, teacher, student)
    u = [uncertainty_by_hand(measure, teacher[i], student[i]) for i in range(n_rows)]
    most = sorted(range(n_rows), key=lambda i: -u[i])[:n_kept]
    assert set(np.flatnonzero(kept.mask)) == set(most)
    np.testing.assert_array_equal(kept.weight, 1)


def test_of_equally_uncertain_rows_the_first_are_kept():
    flat = np.full((100, 3), 1 / 3)
    kept = select(begin(TopUncertainty(share=0.07), flat), flat, flat)
    np.testing.assert_array_equal(np.flatnonzero(kept.mask), np.arange(7))


def test_kl_is_finite_where_the_student_has_ruled_a_class_out():
    teacher = np.array([[0.5, 0.5], [1.0, 0.0]])
    student = np.array([[0.6, 0.4], [0.0, 1.0]])
    kept = select(begin(TopUncertainty(measure="kl"), teacher), teacher, student)
    np.testing.assert_array_equal(kept.mask, [False, True])


def test_the_value_of_the_last_row_kept_is_readable_and_goes_on():
    teacher, student = distributions(10, 3, 0), distributions(10, 3, 1)
    rule = begin(TopUncertainty(share=0.3), teacher, 2)
    kept = select(rule, teacher, student, 0)
    entropy = normalised_entropy(student)
    again = TopUncertainty(share=0.3)
    again.set_state(rule.state())
    begin(again, teacher[:4], 2, first_step=1)
    select(again, teacher[:4], student[:4], 1)
    expected = [entropy[kept.mask].min(), sorted(entropy[:4])[-2], np.nan]
    np.testing.assert_allclose(again.thresholds_, expected, rtol=1e-6)
