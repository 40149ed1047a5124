"""Unbiased random pruning."""

import numpy as np
import pytest
from skllkd.selection import Batch, InfoBatch

from tests.selection.synthetic import begin, distributions, select


def seen_once(prune=0.5, until=1.0, n_steps=4001, n_rows=60, **parameters):
    """Return a strategy that knows the loss of every row, and the batch it has seen."""
    teacher = distributions(n_rows, 3, 0, 3.0)
    student = distributions(n_rows, 3, 1)
    rule = begin(InfoBatch(prune, until, **parameters), teacher, n_steps)
    kept = select(rule, teacher, student, 0)
    assert kept.mask.all() and (kept.weight == 1).all()  # nothing was known
    return rule, teacher, student


@pytest.mark.parametrize(("prune", "asks"), [(0.5, False), (0.8, True)])
def test_it_is_unbiased(prune, asks):
    """Row by row the mean of mask times weight is 1, and only small losses go."""
    rule, teacher, student = seen_once(prune)
    label = teacher.argmax(axis=1)
    loss = -np.log(student[np.arange(60), label])
    small = loss < loss.mean()
    assert 10 < small.sum() < 50
    total, times = np.zeros(60), np.zeros(60)
    for step in range(1, 2001):
        given = student.copy()
        if asks:
            asked = rule.candidates(Batch(np.arange(60), teacher, step=step))
            given[~asked] = np.nan
        kept = select(rule, teacher, given, step)
        if asks:
            np.testing.assert_array_equal(kept.mask, asked)
        np.testing.assert_allclose(kept.weight, np.where(small, 1 / (1 - prune), 1))
        total[kept.mask] += kept.weight[kept.mask]
        times += kept.mask
    np.testing.assert_array_equal(times[~small], 2000)
    np.testing.assert_allclose(times[small] / 2000, 1 - prune, atol=0.05)
    np.testing.assert_allclose(total / 2000, 1, atol=0.2)
    assert (total / 2000).mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("target", ["hard", "soft"])
def test_it_remembers_the_last_loss_of_what_it_kept(target):
    rule, teacher, first = seen_once(target=target)
    second = distributions(60, 3, 7)
    kept = select(rule, teacher, second, 1)
    expected = []
    for i in range(60):
        student = second[i] if kept.mask[i] else first[i]
        aim = teacher[i] if target == "soft" else np.eye(3)[teacher[i].argmax()]
        expected.append(-sum(t * np.log(s) for t, s in zip(aim, student, strict=True)))
    assert (~kept.mask).sum() > 0
    np.testing.assert_allclose(rule.losses_, expected, rtol=1e-5)
    after = select(rule, teacher, second, 2)  # the mean has moved with the losses
    small = np.array(expected) < np.mean(expected)
    np.testing.assert_array_equal(after.weight, np.where(small, 2.0, 1.0))


def test_it_keeps_rows_it_has_not_seen():
    teacher = distributions(50, 3, 0)
    label = teacher.argmax(axis=1)
    rule = begin(InfoBatch(prune=0.9, until=1.0), teacher, 20)
    sure = np.eye(3)[label] * 0.9 + 0.1 / 3
    for step in range(20):
        rows = np.r_[:10, 10 + 2 * step : 12 + 2 * step]  # two new ones at each step
        kept = select(rule, teacher[rows], sure[rows], step, rows)
        assert kept.mask[10:].all() and (kept.weight[10:] == 1).all()


def test_it_keeps_all_towards_the_end():
    rule, teacher, student = seen_once(until=0.75, n_steps=20)
    dropped = [
        (~select(rule, teacher, student, step).mask).sum() for step in range(1, 20)
    ]
    assert min(dropped[:14]) > 0  # steps 1 to 14
    assert max(dropped[14:]) == 0  # step 15 is three quarters of 20
    assert (select(rule, teacher, student, 19).weight == 1).all()


def test_it_of_new_texts_knows_none_and_counts_its_own_steps():
    rule, *_ = seen_once(until=0.5, n_steps=4)
    teacher, student = distributions(90, 3, 3), distributions(90, 3, 4)
    again = InfoBatch(until=0.5)
    again.set_state(rule.state())
    for each in (rule, again):
        begin(each, teacher, 4, seed=2, first_step=4)
        assert each.losses_.shape == (90,) and np.isnan(each.losses_).all()
    kept = [
        [select(each, teacher, student, step) for step in range(4, 8)]
        for each in (rule, again)
    ]
    for one, other in zip(*kept, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
    assert [one.mask.all() for one in kept[0]] == [True, False, True, True]
