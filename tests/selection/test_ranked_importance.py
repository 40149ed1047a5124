"""The default rule: weights by rank, sampled by gradient norm."""

import numpy as np
import pytest
from skllkd.selection import Pool, RankedImportance
from skllkd.selection.ranked_importance import rank_weights

from tests.selection.synthetic import begin, distributions, select


def test_weights_follow_the_formula():
    pool = distributions(60, 4, 0, 3.0).round(2)  # rounded, so that there are ties
    label, confidence = pool.argmax(axis=1), pool.max(axis=1)
    expected = np.empty(60)
    for i in range(60):
        same = [j for j in range(60) if label[j] == label[i]]
        ranks = {
            k: (
                sum(confidence[j] < confidence[k] for j in same)
                + sum(confidence[j] == confidence[k] for j in same) / 2
            )
            / len(same)
            for k in same
        }
        expected[i] = ranks[i] ** 2 / np.mean([r**2 for r in ranks.values()])
    np.testing.assert_allclose(rank_weights(Pool(pool), 2.0), expected, rtol=1e-5)


def test_every_class_has_the_same_weight_on_average():
    """A class the teacher is never sure of must be learned as the others are."""
    pool = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.4, 0.6, 0], [0.3, 0.3, 0.4]])
    weights = rank_weights(Pool(pool), 1.0)
    np.testing.assert_allclose(weights, [1.5, 0.5, 1.0, 1.0])


def test_without_confidences_all_weights_are_one():
    np.testing.assert_array_equal(
        rank_weights(Pool(np.eye(3)[[0, 1, 2, 2, 0]]), 1.0), 1
    )


def test_the_expected_weight_of_a_row_is_its_sample_weight():
    """Unbiased: over many draws mask times weight is the sample weight, row by row."""
    teacher, student = distributions(40, 3, 0, 4.0), distributions(40, 3, 1, 2.0)
    rule = begin(RankedImportance(share=0.3, floor=0.1), teacher, 3001)
    select(rule, teacher, student, 0)
    total = np.zeros(40)
    for step in range(1, 3001):
        kept = select(rule, teacher, student, step)
        total[kept.mask] += kept.weight[kept.mask]
    np.testing.assert_allclose(total / 3000, rule.sample_weight_, atol=0.25)
    assert abs((total / 3000).mean() - 1) < 0.03


def test_rows_with_a_large_gradient_are_sampled_more():
    teacher = np.full((1000, 2), [0.9, 0.1])
    student = np.full((1000, 2), [0.9, 0.1])
    student[:200] = [0.1, 0.9]
    rule = begin(RankedImportance(share=0.3, floor=0.0), teacher, 1)
    kept = select(rule, teacher, student)
    mean = (0.2 * 0.9 + 0.8 * 0.1) * np.sqrt(2)
    np.testing.assert_allclose(rule.mean_gradient_, [mean], rtol=1e-6)
    assert kept.mask[:200].all()  # 0.3 * 0.9 / 0.26 > 1
    assert 0.06 < kept.mask[200:].mean() < 0.17  # 0.3 * 0.1 / 0.26 = 0.115
    np.testing.assert_allclose(kept.weight[:200], 1.0)
    np.testing.assert_allclose(kept.weight[200:][kept.mask[200:]], 0.26 / 0.03)


def test_the_share_is_about_what_was_asked_for():
    teacher = distributions(4000, 5, 0, 3.0)
    rule = begin(RankedImportance(), teacher, 125)
    kept = 0
    for step in range(125):
        rows = np.arange(32 * step, 32 * (step + 1))
        student = distributions(32, 5, step)
        kept += select(rule, teacher[rows], student, step, rows).mask.sum()
    assert 0.36 < kept / 4000 < 0.41


def test_the_weights_are_those_of_the_rows_presented():
    teacher = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]])
    rule = begin(RankedImportance(share=1.0), teacher)
    rows = np.array([2, 0])
    kept = select(rule, teacher[rows], rows=rows)
    np.testing.assert_allclose(kept.weight, rule.sample_weight_[[2, 0]])


def test_a_student_that_has_learned_all_is_still_presented_a_share():
    teacher = np.eye(2)[np.arange(1000) % 2]
    kept = select(begin(RankedImportance(), teacher), teacher, teacher)
    assert 0.35 < kept.mask.mean() < 0.45


def test_new_texts_are_ranked_and_the_mean_goes_on():
    first, second = distributions(30, 3, 0), distributions(50, 3, 1)
    rule = begin(RankedImportance(), first, 1)
    select(rule, first, distributions(30, 3, 2))
    before = rule.mean_gradient_[0]
    begin(rule, second, 2, first_step=1)
    assert rule.sample_weight_.shape == (50,)
    select(rule, second, second, 1)
    assert rule.mean_gradient_.shape == (3,)
    assert rule.mean_gradient_[0] == before
    now = (
        np.linalg.norm(second - np.eye(3)[second.argmax(1)], axis=1)
        @ rule.sample_weight_
        / 50
    )
    assert rule.mean_gradient_[1] == pytest.approx((0.9 * before + now) / 1.9, rel=1e-5)
