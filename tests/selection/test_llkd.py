"""The LLKD rule against its formula."""

import numpy as np
import pytest
from skllkd.selection import LLKDSelection
from skllkd.selection.uncertainty import normalised_entropy

from tests.selection.synthetic import begin, distributions, select


def test_ties_are_kept():
    teacher = np.eye(3)[np.arange(30) % 3] * 0.9 + 0.1 / 3
    for student in (np.eye(3)[np.arange(30) % 3], np.full((30, 3), 1 / 3)):
        assert select(begin(LLKDSelection(), teacher), teacher, student).mask.all()


def test_it_follows_the_formula_over_many_steps():
    """A plain loop over rows and classes, written from the equations."""
    n_classes, lam = 4, 0.8
    rule = begin(LLKDSelection(momentum=lam), distributions(9, n_classes, 0), 6)
    g_sum = {"c": 0.0, "u": 0.0}
    g_norm = 0.0
    q_sum = {s: [0.0] * n_classes for s in "cu"}
    q_norm = [0.0] * n_classes
    for step in range(6):
        teacher = distributions(20, n_classes, 2 * step, 3.0)
        student = distributions(20, n_classes, 2 * step + 1)
        label = teacher.argmax(axis=1)
        signal = {"c": [], "u": []}
        for i in range(20):
            signal["c"].append(max(teacher[i]))
            entropy = -sum(p * np.log(p) for p in student[i])
            signal["u"].append(entropy / np.log(n_classes))
        g_norm = lam * g_norm + (1 - lam)
        for s in "cu":
            g_sum[s] = lam * g_sum[s] + (1 - lam) * np.mean(signal[s])
        for k in range(n_classes):
            members = [i for i in range(20) if label[i] == k]
            if not members:
                continue
            q_norm[k] = lam * q_norm[k] + (1 - lam)
            for s in "cu":
                mean = np.mean([signal[s][i] for i in members])
                q_sum[s][k] = lam * q_sum[s][k] + (1 - lam) * mean
        selected = select(rule, teacher, student, step)
        expected = []
        for i in range(20):
            above = True
            for s in "cu":
                q = [q_sum[s][k] / q_norm[k] if q_norm[k] else None for k in range(4)]
                highest = max(value for value in q if value is not None)
                tau = g_sum[s] / g_norm * q[label[i]] / highest
                above = above and signal[s][i] > tau
            expected.append(above)
        np.testing.assert_array_equal(selected.mask, expected)
        np.testing.assert_allclose(
            selected.weight, np.array(signal["c"]) * np.array(signal["u"])
        )
        assert 0 < sum(expected) < 20


def test_an_absent_class_keeps_its_threshold():
    """The classic bug: a class without rows in a batch averages in a zero."""
    rule = begin(LLKDSelection(momentum=0.5, class_term="signal"), np.eye(3), 30)
    teacher = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])
    student = np.full((3, 3), 1 / 3)
    select(rule, teacher, student, 0)
    for step in range(1, 30):
        select(rule, teacher[:2], student[:2], step)
    np.testing.assert_allclose(rule.teacher_thresholds_[-1], 0.9, atol=1e-6)


def test_a_class_never_seen_has_the_global_threshold():
    rule = begin(LLKDSelection(), np.eye(3), 1)
    teacher = np.array([[0.8, 0.1, 0.1], [0.1, 0.6, 0.3]])
    select(rule, teacher, np.full((2, 3), 1 / 3), 0)
    np.testing.assert_allclose(rule.teacher_thresholds_[0], [0.7, 0.7 * 0.75, 0.7])


def test_global_threshold_only():
    rule = begin(LLKDSelection(class_term=None), np.eye(2), 1)
    teacher = np.array([[0.9, 0.1], [0.3, 0.7]])
    selected = select(rule, teacher, np.full((2, 2), 0.5), 0)
    np.testing.assert_allclose(rule.teacher_thresholds_[0], [0.8, 0.8])
    np.testing.assert_array_equal(selected.mask, [True, False])


def test_freematch_class_term_is_the_mean_probability():
    rule = begin(LLKDSelection(class_term="probability"), np.eye(2), 1)
    teacher = np.array([[0.9, 0.1], [0.7, 0.3]])  # means 0.8 and 0.2
    select(rule, teacher, np.full((2, 2), 0.5), 0)
    np.testing.assert_allclose(rule.teacher_thresholds_[0], [0.8, 0.2], atol=1e-6)


@pytest.mark.parametrize(
    ("weight", "expected"), [("product", 0.9), ("sum", 0.95), (None, 1.0)]
)
def test_weights(weight, expected):
    teacher = np.array([[0.9, 0.1]])
    rule = begin(LLKDSelection(weight=weight), teacher)
    np.testing.assert_allclose(
        select(rule, teacher, teacher * 0 + 0.5).weight, expected
    )


def test_one_signal_alone():
    teacher, student = distributions(200, 3, 0, 3.0), distributions(200, 3, 1)
    both, confident, uncertain = (
        select(begin(LLKDSelection(signals=signals), teacher), teacher, student)
        for signals in ("both", "teacher", "student")
    )
    np.testing.assert_array_equal(both.mask, confident.mask & uncertain.mask)
    assert both.mask.sum() < min(confident.mask.sum(), uncertain.mask.sum())
    np.testing.assert_allclose(confident.weight, teacher.max(axis=1))
    np.testing.assert_allclose(uncertain.weight, normalised_entropy(student))
    assert not LLKDSelection(signals="teacher").uses_student


def test_thresholds_go_on_with_new_texts():
    first, second = distributions(30, 3, 0, 3.0), distributions(50, 3, 1, 3.0)
    student = distributions(50, 3, 2)
    rule = begin(LLKDSelection(momentum=0.5, class_term=None), first, 1)
    select(rule, first, student[:30])
    before = rule.teacher_thresholds_.copy()
    begin(rule, second, 2, first_step=1)
    select(rule, second, student, 1)
    assert rule.teacher_thresholds_.shape == rule.student_thresholds_.shape == (3, 3)
    np.testing.assert_array_equal(rule.teacher_thresholds_[:1], before)
    mean = (first.max(axis=1).mean() / 2 + second.max(axis=1).mean()) / 1.5
    np.testing.assert_allclose(rule.teacher_thresholds_[1], mean, rtol=1e-6)
    assert np.isnan(rule.teacher_thresholds_[2]).all()
