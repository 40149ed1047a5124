"""A mixture of two Gaussians on out-of-fold losses."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from skllkd.selection import SmallLoss

from tests.selection.synthetic import begin, distributions, select


def out_of_fold(label, wrong, n_classes=3, seed=0):
    """Return out-of-fold predictions that are far off where the label is wrong."""
    rng = np.random.RandomState(seed)
    at_label = np.where(wrong, 0.03, 0.85) * rng.uniform(0.8, 1.1, len(label))
    proba = np.repeat((1 - at_label)[:, None] / (n_classes - 1), n_classes, axis=1)
    proba[np.arange(len(label)), label] = at_label
    return proba


def test_it_parts_the_wrong_from_the_right():
    teacher = distributions(300, 3, 0, 3.0)
    label, wrong = teacher.argmax(axis=1), np.arange(300) % 5 == 0
    rule = begin(SmallLoss(), teacher, student=out_of_fold(label, wrong))
    kept = select(rule, teacher)
    np.testing.assert_array_equal(kept.mask, ~wrong)
    np.testing.assert_array_equal(kept.weight, 1)
    batch = np.array([5, 3, 0, 299])
    of_batch = select(rule, teacher[batch], step=1, rows=batch)
    np.testing.assert_array_equal(of_batch.mask, [False, True, False, True])


def test_it_is_the_posterior_of_the_component_with_the_smaller_mean():
    teacher, proba = distributions(400, 3, 0, 3.0), distributions(400, 3, 1, 2.0)
    rule = begin(SmallLoss(clean=0.9), teacher, student=proba)
    label = teacher.argmax(axis=1)
    loss = -np.log(proba[np.arange(400), label].clip(1e-12))
    seed = np.random.RandomState(0).randint(2**31 - 1)
    mixture = GaussianMixture(2, reg_covar=1e-4, random_state=seed).fit(loss[:, None])
    density = np.array(
        [
            [
                w / np.sqrt(v) * np.exp(-((x - m) ** 2) / (2 * v))
                for w, m, v in zip(
                    mixture.weights_,
                    mixture.means_[:, 0],
                    mixture.covariances_[:, 0, 0],
                    strict=True,
                )
            ]
            for x in loss
        ]
    )
    small = int(mixture.means_[1, 0] < mixture.means_[0, 0])
    expected = density[:, small] / density.sum(axis=1)
    np.testing.assert_allclose(rule.clean_proba_, expected, atol=1e-5)
    mask = select(rule, teacher).mask
    np.testing.assert_array_equal(mask, rule.clean_proba_ > 0.9)
    assert 0 < mask.sum() < 400


def test_it_parts_students_that_are_certain():
    """Some students know no probabilities; right and wrong are still two losses."""
    teacher = np.eye(2)[np.arange(25) % 2]
    proba = teacher.copy()
    proba[:5] = proba[:5, ::-1]
    kept = select(begin(SmallLoss(), teacher, student=proba), teacher)
    np.testing.assert_array_equal(kept.mask, np.arange(25) >= 5)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 30])
def test_it_keeps_all_where_there_is_nothing_to_part(n_rows):
    teacher = np.full((n_rows, 2), [0.7, 0.3])
    rule = begin(SmallLoss(), teacher, student=np.full((n_rows, 2), [0.6, 0.4]))
    np.testing.assert_array_equal(rule.clean_proba_, np.ones(n_rows))
    assert select(rule, teacher).mask.all()
