"""Drift: each aspect is noticed, and texts of one kind are seldom told apart."""

import numpy as np
import pytest
from skllkd.serving.drift import Sample, compare

CLASSES = ["a", "b", "c"]


def sample(n, seed, sure=(4, 1), shares=(0.5, 0.3, 0.2), shift=0.0, embedded=True):
    rng = np.random.default_rng(seed)
    return Sample(
        rng.beta(*sure, n),
        rng.choice(3, n, p=shares),
        rng.normal(shift, 1, (n, 8)).astype(np.float32) if embedded else None,
    )


@pytest.mark.parametrize(
    ("changed", "aspect"),
    [
        ({"sure": (2, 1)}, "confidence"),
        ({"shares": (0.2, 0.3, 0.5)}, "classes"),
        ({"shift": 0.4}, "embedding"),
    ],
)
def test_each_aspect_is_noticed_alone(changed, aspect):
    drift = compare(sample(200, 0), sample(150, 1, **changed), CLASSES, 0.05)
    assert drift.differing == [aspect]
    assert drift.drifted
    assert f"differ in {aspect}" in str(drift)


def test_texts_of_one_kind_are_seldom_told_apart():
    alarms = [
        compare(sample(40, 2 * i), sample(30, 2 * i + 1), CLASSES, 0.2).drifted
        for i in range(60)
    ]
    assert np.mean(alarms) <= 0.2 + 3 * np.sqrt(0.2 * 0.8 / 60)
    p = compare(sample(100, 7), sample(100, 8), CLASSES, 0.05).p_values
    assert min(p.values()) > 0.01


def test_an_energy_distance_is_computed_and_not_only_ranked():
    # Of two texts against two, 4 of 6 splits are mixed: p = 1/3, and rounding is no tie.
    before = Sample(np.array([0.1, 0.11]), np.array([0, 0]), None)
    now = Sample(np.array([0.9, 0.91]), np.array([1, 1]), None)
    drift = compare(before, now, CLASSES, 0.05)
    assert drift.p_values["confidence"] == pytest.approx(1 / 3, abs=0.06)
    assert drift.p_values["classes"] == pytest.approx(1 / 3, abs=0.06)


def test_without_an_encoder_two_aspects_are_compared():
    drift = compare(sample(50, 0, embedded=False), sample(50, 1), CLASSES, 0.05)
    assert list(drift.p_values) == ["confidence", "classes"]
    assert drift.n_texts == (50, 50)
    assert sum(now for _, now in drift.class_shares.values()) == pytest.approx(1)
    assert "do not differ measurably" in str(drift)
