"""Thresholds with the largest expected F1."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import f1_score
from skllkd import Multilabel
from skllkd._core.classes import as_classes
from skllkd.teachers import TeacherLabels
from skllkd.training.student_training import _thresholds
from skllkd.training.thresholds import best_threshold, best_thresholds
from skllkd.training.training_set import TrainingSet

from tests.choices import built


def pair(choices):
    """Choose a probability, of few so that there are ties, and whether it is right."""
    return choices.below(9) / 8, choices.below(2)


@given(built(lambda choices: choices.several(pair, 12, least=1), 25))
def test_no_other_threshold_has_a_larger_f1(pairs):
    student, gold = np.array(pairs, dtype=float).T
    threshold, f1 = best_threshold(student, gold)
    if not gold.any():
        assert (threshold, f1) == (0.5, 0.0)
        return
    assert f1 == pytest.approx(f1_of(gold, student >= threshold))
    assert f1 == pytest.approx(max(f1_of(gold, student >= t) for t in {*student, 2.0}))


def f1_of(gold, found):
    """Return the F1 of a class that some text has; scikit-learn takes a millisecond."""
    return 2 * (gold * found).sum() / (gold.sum() + found.sum())


def test_with_true_probabilities_it_is_half_of_the_f1():
    # Lipton et al., "Optimal Thresholding of Classifiers to Maximize F1", theorem 1.
    p = np.random.RandomState(0).beta(0.5, 3, size=20_000)
    threshold, f1 = best_threshold(p, p)
    assert threshold == pytest.approx(f1 / 2, abs=0.002)
    drawn = np.random.RandomState(1).uniform(size=len(p)) < p
    assert f1_score(drawn, p >= threshold) == pytest.approx(f1, abs=0.02)


def test_each_class_has_its_own():
    student = np.array([[0.9, 0.2], [0.8, 0.15], [0.1, 0.1]])
    labels = np.array([[1, 1], [0, 1], [0, 0]])
    found = best_thresholds(student, labels)
    np.testing.assert_allclose(found, [0.85, 0.125])


def test_they_follow_the_calibrated_teacher_and_where_it_is_silent_the_labels():
    """Refinement makes rare classes rarer: its shares would raise the thresholds."""
    student = np.array([[0.9], [0.7], [0.5], [0.3]])
    teacher = np.array([[0.9], [0.8], [0.8], [np.nan]])
    refined = np.array([[1.0], [0.0], [0.0], [0.9]])
    labels = TeacherLabels(("a",), np.log(teacher), np.ones(4), multilabel=True)
    texts = ["one", "two", "three", "four"]
    pool = TrainingSet.of(texts, labels, as_classes(Multilabel(["a"])))
    pool = replace(pool, refined_proba=refined)
    found = _thresholds(lambda rows: student[rows], pool, np.arange(4))
    np.testing.assert_allclose(found, [0.15])  # 0.8 under the refined labels alone
    alone = replace(pool, teacher_proba=refined)
    assert _thresholds(lambda rows: student[rows], alone, np.arange(4)) > 0.15
