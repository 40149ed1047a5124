"""The threshold: its bound against exact arithmetic, its promise against simulation."""

from math import comb

import numpy as np
import pytest
from skllkd.serving.coverage import (
    coverage_curve,
    fewest_texts,
    first_counts,
    last_rejected,
    lower_bounds,
)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.97, 0.999])
@pytest.mark.parametrize("n_wrong", [0, 1, 4])
def test_fewest_texts_is_the_first_number_that_proves_the_target(target, n_wrong):
    n = fewest_texts(target, 0.95, n_wrong)

    def tail(n):  # the chance of so few wrong answers, were the target just missed
        return sum(
            comb(n, k) * (1 - target) ** k * target ** (n - k)
            for k in range(n_wrong + 1)
        )

    assert tail(n) <= 0.05
    assert n == n_wrong + 1 or tail(n - 1) > 0.05


def test_bounds_are_those_of_the_binomial_tail():
    bound = lower_bounds(np.array([0, 45, 50]), np.array([50, 50, 50]), 0.9)
    assert bound[0] == 0
    assert bound[2] == pytest.approx(0.1 ** (1 / 50))
    tail = sum(
        comb(50, k) * bound[1] ** k * (1 - bound[1]) ** (50 - k) for k in range(45, 51)
    )
    assert tail == pytest.approx(0.1)


def test_the_curve_counts_the_answers_at_each_threshold():
    rng = np.random.default_rng(0)
    sure, right = rng.choice([0.6, 0.7, 0.9, 1.0], 200), rng.random(200) < 0.9
    curve = coverage_curve(sure, right, 0.8, 0.95)
    assert len(curve.threshold) == 4  # texts of one confidence stand or fall together
    for threshold, n, k in zip(
        curve.threshold, curve.n_answered, curve.n_right, strict=True
    ):
        assert n == (sure >= threshold).sum()
        assert k == right[sure >= threshold].sum()


def test_the_sequence_ends_at_the_first_threshold_that_fails():
    sure = np.linspace(0.99, 0.5, 500)
    right = np.ones(500, dtype=bool)
    right[200:215] = False  # and all right again from there: the bound recovers
    curve = coverage_curve(sure, right, 0.97, 0.95)
    assert 200 <= curve.n_answered[curve.chosen] < 215
    assert curve.lower_bound[-1] < 0.97 or curve.n_answered[curve.chosen] < 500
    assert (curve.lower_bound[curve.n_answered > 480] > 0.94).all()


def test_a_few_wrong_answers_among_the_surest_do_not_end_the_sequence():
    sure = np.linspace(0.99, 0.5, 2000)
    right = np.ones(2000, dtype=bool)
    right[[3, 17]] = False
    assert coverage_curve(sure, right, 0.97, 0.95).chosen_coverage == 1


def test_the_first_thresholds_depend_on_the_number_of_texts_only():
    assert first_counts(10, 0.97, 0.95) == first_counts(300, 0.97, 0.95) == [99]
    strict, loose = first_counts(2000, 0.97, 0.95)
    for count, share in ((strict, 0.15), (loose, 0.4)):
        assert share * 2000 <= count <= share * 2000 + 50
        assert any(fewest_texts(0.97, 0.975, k) == count for k in range(40))


def test_a_sequence_hands_its_error_to_the_next():
    half, whole = 0.025, 0.05
    assert last_rejected([half, half, whole], [0, 2], whole) == 2
    assert last_rejected([half, whole, whole], [0, 2], whole) == 0
    assert last_rejected([whole, 0.0, half, half], [0, 2], whole) == 3
    assert last_rejected([whole, 0.0, 0.03, 0.0], [0, 2], whole) is None
    assert last_rejected([0.06, whole, 0.0], [1], whole) == 2
    assert last_rejected([0.0], [1], whole) is None


def test_a_student_with_few_good_answers_gives_those():
    sure = np.linspace(0.99, 0.5, 500)
    right = np.arange(500) < 130  # nothing is right at 40 %
    curve = coverage_curve(sure, right, 0.9, 0.95)
    assert 130 <= curve.n_answered[curve.chosen] <= 145


def test_wrong_answers_among_the_surest_do_not_hide_the_right_ones_behind_them():
    sure = np.linspace(0.99, 0.5, 500)
    right = np.arange(500) % 10 > 0  # 90 %
    right[:40] = np.arange(40) % 5 > 0  # the surest only 80 %
    assert coverage_curve(sure, right, 0.8, 0.95).chosen_coverage > 0.9


@pytest.mark.parametrize("n", [1, 98, 99])
def test_too_few_texts_choose_nothing(n):
    curve = coverage_curve(np.full(n, 0.9), np.ones(n, dtype=bool), 0.97, 0.95)
    assert (curve.chosen is not None) == (n == 99)
    assert curve.chosen_coverage == (n == 99)
    assert (curve.chosen_threshold < 1) == (n == 99)


def test_texts_needed_would_do_if_more_were_answered_alike():
    sure = np.random.default_rng(1).uniform(0.5, 1, 90)
    all_right = coverage_curve(sure, np.ones(90, dtype=bool), 0.97, 0.95)
    assert 99 <= all_right.texts_needed() <= 300
    rng = np.random.default_rng(2)
    sure, right = rng.uniform(0.5, 1, 600), rng.random(600) < 0.98
    needed = coverage_curve(sure, right, 0.97, 0.95).texts_needed()
    assert 500 < needed < 50_000
    assert (
        coverage_curve(sure, rng.random(600) < 0.7, 0.97, 0.95).texts_needed() is None
    )


def test_the_target_is_missed_as_rarely_as_promised():
    # Accuracy falls below the target within the range of the grid: near the edge.
    missed = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sure = rng.uniform(0.5, 1, 400)
        right = rng.random(400) < sure
        curve = coverage_curve(sure, right, 0.9, 0.95)
        true = (1 + max(curve.chosen_threshold, 0.5)) / 2  # the mean confidence above
        missed += true < 0.9
    assert missed <= 0.05 * 150 + 3 * np.sqrt(150 * 0.05 * 0.95)
