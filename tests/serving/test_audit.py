"""The watch: no false alarm beyond its share, and an alarm when answers get worse."""

import pickle

import numpy as np
import pytest
from skllkd.serving.audit import AuditLog


def test_a_promise_kept_is_seldom_doubted():
    doubted = 0
    for seed in range(100):
        log = AuditLog(0.9, 0.9)
        log.add(np.random.default_rng(seed).random(600) < 0.9)  # on the edge
        doubted += not log.holds
    assert doubted <= 0.1 * 100 + 3 * np.sqrt(100 * 0.1 * 0.9)


@pytest.mark.parametrize("n_good", [0, 2000])
def test_worse_answers_are_noticed_even_after_a_long_good_time(n_good):
    rng = np.random.default_rng(3)
    log = AuditLog(0.97, 0.95)
    log.add(rng.random(n_good) < 0.995)
    assert log.holds
    log.add(rng.random(400) < 0.88)
    assert not log.holds


def test_a_doubt_stays():
    log = AuditLog(0.97, 0.95)
    log.add(np.zeros(10, dtype=bool))
    log.add(np.ones(5000, dtype=bool))
    assert not log.holds
    assert log.e_value < 1
    assert "no longer holds" in repr(log)


def test_the_evidence_is_a_mean_likelihood_ratio_over_changes():
    log = AuditLog(0.9, 0.95)
    log.add(np.array([False, True]))
    odds = np.array([1.25, 1.5, 2, 3, 5, 10]) / 9
    q = odds / (1 + odds)
    first, second = q / 0.1, (1 - q) / 0.9
    expected = np.mean(first * second / 2 + second / 6) + 1 / 3
    assert log.e_value == pytest.approx(expected)


def test_batches_make_no_difference_and_the_log_is_pickled():
    answers = np.random.default_rng(0).random(50) < 0.8
    one, many = AuditLog(0.9, 0.95), AuditLog(0.9, 0.95)
    one.add(answers)
    for answer in answers:
        many = pickle.loads(pickle.dumps(many))
        many.add(np.array([answer]))
    assert one.e_value == many.e_value
    assert (one.n_checked, one.n_right) == (50, answers.sum())
    assert repr(AuditLog(0.9, 0.95)) == "<AuditLog: nothing checked yet>"


def test_evidence_without_bound_stays_a_number():
    log = AuditLog(0.999, 0.95)
    log.add(np.zeros(500, dtype=bool))
    assert np.isfinite(log.e_value)
