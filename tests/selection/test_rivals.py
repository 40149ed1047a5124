"""The rivals of the LLKD rule, each against its formula."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.selection import (
    ConfidenceThreshold,
    ConfidentShare,
    InfoBatch,
    RandomShare,
    SmallLoss,
    SoftGate,
    UncertainShare,
    WeightedDistillation,
    normalised_entropy,
)
from skllkd.selection.uncertainty import uncertainty_of
from skllkd.students import FrozenEncoderStudent

from tests.selection.test_contract import distributions, select, start

# RandomShare


@pytest.mark.parametrize(("n_rows", "counts"), [(32, {8}), (30, {7, 8}), (1, {0, 1})])
def test_a_random_share_has_its_size_in_expectation(n_rows, counts):
    teacher = distributions(n_rows, 3, 0)
    rule = start(RandomShare(share=0.25), teacher, 4000)
    masks = np.array([select(rule, teacher, None, step).mask for step in range(4000)])
    assert set(masks.sum(axis=1)) == counts
    assert masks.mean() == pytest.approx(0.25, abs=0.025)
    np.testing.assert_allclose(masks.mean(axis=0), 0.25, atol=0.035)  # uniform


def test_random_draws_follow_the_seed_and_leave_the_caller_s_state_alone():
    teacher = distributions(40, 3, 0)
    given = np.random.RandomState(7)
    rule, same, other = RandomShare(), RandomShare(), RandomShare()
    rule.reset(3, 5, given, teacher)
    same.reset(3, 5, np.random.RandomState(7), teacher)
    other.reset(3, 5, np.random.RandomState(8), teacher)
    before = given.get_state()[1].copy()
    first = select(rule, teacher, None)
    np.testing.assert_array_equal(given.get_state()[1], before)
    np.random.RandomState(7).uniform(size=100)
    given.uniform(size=3)
    np.testing.assert_array_equal(first.mask, select(same, teacher, None).mask)
    np.testing.assert_array_equal(
        select(rule, teacher, None, 1).mask, select(same, teacher, None, 1).mask
    )
    assert (first.mask != select(other, teacher, None).mask).any()


def test_random_share_goes_on_after_it_was_saved():
    teacher = distributions(9, 3, 0)
    again = RandomShare(share=1.0)
    again.set_state(start(RandomShare(share=1.0), teacher).state())
    again.extend(5, 3, 5, np.random.RandomState(1), teacher)
    kept = select(again, teacher, None, 5)
    assert kept.mask.all() and (kept.weight == 1).all()


# ConfidentShare


def test_confident_share_of_the_pool_keeps_its_surest_rows():
    pool = distributions(40, 3, 0, 3.0)
    rule = start(ConfidentShare(share=0.1), pool)
    kept = select(rule, pool, None)
    surest = sorted(range(40), key=lambda i: -max(pool[i]))[:4]
    assert set(np.flatnonzero(kept.mask)) == set(surest)
    np.testing.assert_array_equal(rule.thresholds_, max(pool[surest[-1]]))
    assert (kept.weight == 1).all()
    batch = np.array([surest[3], surest[0], 5 if 5 not in surest else 6])
    of_batch = rule.select(pool[batch].argmax(1), pool[batch], None, 1, batch)
    np.testing.assert_array_equal(of_batch.mask, [True, True, False])


def test_confident_share_of_a_class():
    pool = distributions(60, 3, 0, 3.0)
    label = pool.argmax(axis=1)
    kept = select(start(ConfidentShare(share=0.3, per_class=True), pool), pool, None)
    for k in range(3):
        members = [i for i in range(60) if label[i] == k]
        n_kept = round(0.3 * len(members))
        surest = sorted(members, key=lambda i: -pool[i, k])[:n_kept]
        assert {i for i in members if kept.mask[i]} == set(surest)


def test_thirty_rows_have_three_in_a_tenth():
    """0.1 * 30 is a little more than 3 in floating point."""
    pool = distributions(30, 3, 0)
    assert select(start(ConfidentShare(share=0.1), pool), pool, None).mask.sum() == 3


def test_confident_share_keeps_ties_and_nothing_of_absent_classes():
    pool = np.array([[0.9, 0.1, 0], [0.7, 0.3, 0], [0.3, 0.7, 0], [0.4, 0.6, 0]])
    rule = start(ConfidentShare(share=0.5), pool)
    np.testing.assert_array_equal(
        select(rule, pool, None).mask, [True, True, True, False]
    )
    rule = start(ConfidentShare(share=0.5, per_class=True), pool)
    np.testing.assert_array_equal(rule.thresholds_, [0.9, 0.7, np.inf])
    certain = np.eye(2)[[0, 1, 1]]
    for per_class in (False, True):
        rule = start(ConfidentShare(share=0.1, per_class=per_class), certain)
        assert select(rule, certain, None).mask.all()


def test_confident_share_of_other_pools():
    pool, other = distributions(40, 3, 0), distributions(7, 3, 1, 4.0)
    rule = start(ConfidentShare(), pool)
    rule.extend(5, 3, 2, np.random.RandomState(0), other)
    kept = select(rule, other, None, 5)
    np.testing.assert_array_equal(kept.mask, other.max(1) >= sorted(other.max(1))[-2])
    again = ConfidentShare()
    again.set_state(rule.state())
    np.testing.assert_array_equal(select(again, other, None, 5).mask, kept.mask)
    empty = start(ConfidentShare(per_class=True), np.empty((0, 3)))
    assert empty.thresholds_.shape == (3,)
    assert select(empty, np.empty((0, 3)), None).mask.shape == (0,)


# ConfidenceThreshold


def test_a_fixed_threshold_keeps_what_reaches_it():
    teacher = np.array([[0.75, 0.25], [0.5, 0.5], [0.2, 0.8], [0.7, 0.3]])
    kept = select(start(ConfidenceThreshold(threshold=0.75), teacher), teacher, None)
    np.testing.assert_array_equal(kept.mask, [True, False, True, False])
    np.testing.assert_array_equal(kept.weight, 1)
    assert not select(start(ConfidenceThreshold(), teacher), teacher, None).mask.any()


# UncertainShare


def uncertainty_by_hand(measure, t, s):
    first, second = sorted(s)[::-1][:2]
    return {
        "entropy": lambda: -sum(p * np.log(p) for p in s),
        "margin": lambda: 1 - (first - second),
        "least_confident": lambda: 1 - first,
        "kl": lambda: sum(p * np.log(p / q) for p, q in zip(t, s, strict=True)),
    }[measure]()


@pytest.mark.parametrize("measure", ["entropy", "margin", "least_confident", "kl"])
@pytest.mark.parametrize(("n_rows", "n_kept"), [(20, 6), (21, 7), (1, 1), (0, 0)])
def test_the_most_uncertain_of_a_batch_are_kept(measure, n_rows, n_kept):
    teacher, student = distributions(n_rows, 4, 0), distributions(n_rows, 4, 1)
    rule = start(UncertainShare(share=0.3, measure=measure), teacher)
    kept = select(rule, teacher, student)
    u = [uncertainty_by_hand(measure, teacher[i], student[i]) for i in range(n_rows)]
    most = sorted(range(n_rows), key=lambda i: -u[i])[:n_kept]
    assert set(np.flatnonzero(kept.mask)) == set(most)
    np.testing.assert_array_equal(kept.weight, 1)


def test_of_equally_uncertain_rows_the_first_are_kept():
    flat = np.full((100, 3), 1 / 3)
    kept = select(start(UncertainShare(share=0.07), flat), flat, flat)
    np.testing.assert_array_equal(np.flatnonzero(kept.mask), np.arange(7))


def test_kl_is_finite_where_the_student_has_ruled_a_class_out():
    teacher = np.array([[0.5, 0.5], [1.0, 0.0]])
    student = np.array([[0.6, 0.4], [0.0, 1.0]])
    kept = select(start(UncertainShare(measure="kl"), teacher), teacher, student)
    np.testing.assert_array_equal(kept.mask, [False, True])


def test_the_value_of_the_last_row_kept_is_readable_and_goes_on():
    teacher, student = distributions(10, 3, 0), distributions(10, 3, 1)
    rule = start(UncertainShare(share=0.3, measure="margin"), teacher, 2)
    kept = select(rule, teacher, student, 0)
    margin = uncertainty_of(student, "margin")
    again = UncertainShare(share=0.3, measure="margin")
    again.set_state(rule.state())
    again.extend(1, 3, 2, np.random.RandomState(0), teacher[:4])
    select(again, teacher[:4], student[:4], 1)
    expected = [margin[kept.mask].min(), sorted(margin[:4])[-2], np.nan]
    np.testing.assert_allclose(again.thresholds_, expected, rtol=1e-6)


# SoftGate


def soft_gate_by_hand(signals, momentum, n_sigma, n_classes):
    """The weights of each batch of one signal, by plain loops."""
    mean, variance, weights = 1 / n_classes, 1.0, []
    for signal in signals:
        n = len(signal)
        if n:
            batch_mean = sum(signal) / n
            mean = momentum * mean + (1 - momentum) * batch_mean
        if n > 1:
            batch_variance = sum((s - batch_mean) ** 2 for s in signal) / (n - 1)
            variance = momentum * variance + (1 - momentum) * batch_variance
        weights.append(
            [
                np.exp(-((s - mean) ** 2) / (2 * variance / n_sigma**2))
                if s < mean
                else 1.0
                for s in signal
            ]
        )
    return weights, mean, variance


@pytest.mark.parametrize("student", [True, False])
def test_soft_gate_follows_the_formula_over_many_steps(student):
    sizes = [20, 1, 0, 7, 20]
    batches = [
        (distributions(n, 4, 2 * i, 4.0), distributions(n, 4, 2 * i + 1))
        for i, n in enumerate(sizes)
    ]
    rule = start(
        SoftGate(momentum=0.4, n_sigma=1.5, student=student), np.eye(4), len(sizes)
    )
    assert rule.uses_student == student
    kept = [select(rule, t, s, i) for i, (t, s) in enumerate(batches)]
    sure = [[max(row) for row in t] for t, _ in batches]
    unsure = [list(normalised_entropy(s)) for _, s in batches]
    of_sure, mean, variance = soft_gate_by_hand(sure, 0.4, 1.5, 4)
    of_unsure, *_ = soft_gate_by_hand(unsure, 0.4, 1.5, 4)
    for one, c, u in zip(kept, of_sure, of_unsure, strict=True):
        expected = np.array(c) * (np.array(u) if student else 1)
        np.testing.assert_allclose(one.weight, expected, rtol=1e-9)
        np.testing.assert_array_equal(one.mask, expected >= 1e-3)
    assert rule.means_[-1, 0] == pytest.approx(mean)
    assert rule.variances_[-1, 0] == pytest.approx(variance)
    np.testing.assert_array_equal(rule.means_[2], rule.means_[1])  # an empty batch
    np.testing.assert_array_equal(rule.variances_[1], rule.variances_[0])  # one row


def test_soft_gate_opens_wide_at_first():
    """It starts at chance, which no confidence is below, as the paper's does."""
    teacher = distributions(30, 5, 0)
    kept = select(start(SoftGate(student=False), teacher), teacher, None)
    assert (kept.weight > 0.99).all()


def test_soft_gate_drops_rows_whose_weight_is_nothing():
    teacher = np.array([[0.95, 0.05]] * 30 + [[0.5, 0.5]])
    kept = select(start(SoftGate(0.0, student=False), teacher), teacher, None)
    assert kept.weight[-1] < 1e-3
    np.testing.assert_array_equal(kept.mask, [True] * 30 + [False])


def test_soft_gate_keeps_all_where_nothing_varies():
    flat = np.full((6, 3), 1 / 3)
    kept = select(start(SoftGate(momentum=0.0), flat), flat, flat)
    assert kept.mask.all()
    np.testing.assert_allclose(kept.weight, 1)


def test_soft_gate_goes_on_from_its_means():
    first, second = distributions(30, 3, 0, 3.0), distributions(50, 3, 1, 3.0)
    student = distributions(50, 3, 2)
    rule = start(SoftGate(momentum=0.5), first, 1)
    select(rule, first, student[:30])
    again = SoftGate(momentum=0.5)
    again.set_state(rule.state())
    for each in (rule, again):
        each.extend(1, 3, 2, np.random.RandomState(0), second)
    kept = [select(each, second, student, 1) for each in (rule, again)]
    np.testing.assert_array_equal(kept[0].weight, kept[1].weight)
    np.testing.assert_array_equal(rule.means_, again.means_)
    assert rule.means_.shape == rule.variances_.shape == (3, 2)
    assert np.isnan(rule.means_[2]).all()
    half = (rule.means_[0, 0] + second.max(axis=1).mean()) / 2
    assert rule.means_[1, 0] == pytest.approx(half)


# InfoBatch


def seen_once(prune=0.5, until=1.0, n_steps=4001, n_rows=60, **parameters):
    """Return a strategy that knows the loss of every row, and what it was shown."""
    teacher = distributions(n_rows, 3, 0, 3.0)
    student = distributions(n_rows, 3, 1)
    rule = start(InfoBatch(prune, until, **parameters), teacher, n_steps)
    kept = select(rule, teacher, student, 0)
    assert kept.mask.all() and (kept.weight == 1).all()  # nothing was known
    return rule, teacher, student


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("prune", [0.5, 0.8])
def test_info_batch_is_unbiased(prune, ahead):
    """Row by row the mean of mask times weight is 1, and only small losses go."""
    rule, teacher, student = seen_once(prune)
    label = teacher.argmax(axis=1)
    loss = -np.log(student[np.arange(60), label])
    small = loss < loss.mean()
    assert 10 < small.sum() < 50
    total, times = np.zeros(60), np.zeros(60)
    for step in range(1, 4001):
        given = student.copy()
        if ahead:
            asked = rule.candidates(label, teacher, step, np.arange(60))
            given[~asked] = np.nan
        kept = select(rule, teacher, given, step)
        if ahead:
            np.testing.assert_array_equal(kept.mask, asked)
        np.testing.assert_allclose(kept.weight, np.where(small, 1 / (1 - prune), 1))
        total[kept.mask] += kept.weight[kept.mask]
        times += kept.mask
    np.testing.assert_array_equal(times[~small], 4000)
    np.testing.assert_allclose(times[small] / 4000, 1 - prune, atol=0.035)
    np.testing.assert_allclose(total / 4000, 1, atol=0.15)
    assert (total / 4000).mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("target", ["hard", "soft"])
def test_info_batch_remembers_the_last_loss_of_what_it_kept(target):
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


def test_info_batch_keeps_rows_it_has_not_seen():
    teacher = distributions(50, 3, 0)
    label = teacher.argmax(axis=1)
    rule = start(InfoBatch(prune=0.9, until=1.0), teacher, 20)
    sure = np.eye(3)[label] * 0.9 + 0.1 / 3
    for step in range(20):
        rows = np.r_[:10, 10 + 2 * step : 12 + 2 * step]  # two new ones at each step
        kept = rule.select(label[rows], teacher[rows], sure[rows], step, rows)
        assert kept.mask[10:].all() and (kept.weight[10:] == 1).all()


def test_info_batch_keeps_all_towards_the_end():
    rule, teacher, student = seen_once(until=0.75, n_steps=20)
    dropped = [
        (~select(rule, teacher, student, step).mask).sum() for step in range(1, 20)
    ]
    assert min(dropped[:14]) > 0  # steps 1 to 14
    assert max(dropped[14:]) == 0  # step 15 is three quarters of 20
    assert (select(rule, teacher, student, 19).weight == 1).all()


def test_info_batch_may_decide_steps_ahead():
    rule, teacher, student = seen_once(n_steps=4)
    label, rows = teacher.argmax(axis=1), np.arange(60)
    asked = [rule.candidates(label, teacher, step, rows) for step in (1, 2, 3)]
    assert (asked[0] != asked[1]).any()
    for step, mask in zip((1, 2, 3), asked, strict=True):
        belief = np.where(mask[:, None], student, np.nan)
        np.testing.assert_array_equal(select(rule, teacher, belief, step).mask, mask)
    assert np.isfinite(rule.losses_).all()


def test_info_batch_of_new_texts_knows_none_and_counts_its_own_steps():
    rule, *_ = seen_once(until=0.5, n_steps=4)
    teacher, student = distributions(90, 3, 3), distributions(90, 3, 4)
    again = InfoBatch(until=0.5)
    again.set_state(rule.state())
    for each in (rule, again):
        each.extend(4, 3, 4, np.random.RandomState(2), teacher)
        assert each.losses_.shape == (90,) and np.isnan(each.losses_).all()
    kept = [
        [select(each, teacher, student, step) for step in range(4, 8)]
        for each in (rule, again)
    ]
    for one, other in zip(*kept, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
    assert [one.mask.all() for one in kept[0]] == [True, False, True, True]


# SmallLoss


def believed_of(label, wrong, n_classes=3, seed=0):
    """Return out-of-fold beliefs that are far off where the label is wrong."""
    rng = np.random.RandomState(seed)
    at_label = np.where(wrong, 0.03, 0.85) * rng.uniform(0.8, 1.1, len(label))
    proba = np.repeat((1 - at_label)[:, None] / (n_classes - 1), n_classes, axis=1)
    proba[np.arange(len(label)), label] = at_label
    return proba


def start_with(rule, teacher, believed, seed=0):
    rule.take_out_of_fold(believed)
    rule.reset(teacher.shape[1], 5, np.random.RandomState(seed), teacher)
    return rule


def test_small_loss_parts_the_wrong_from_the_right():
    teacher = distributions(300, 3, 0, 3.0)
    label, wrong = teacher.argmax(axis=1), np.arange(300) % 5 == 0
    rule = start_with(SmallLoss(), teacher, believed_of(label, wrong))
    kept = select(rule, teacher, None)
    np.testing.assert_array_equal(kept.mask, ~wrong)
    np.testing.assert_array_equal(kept.weight, 1)
    batch = np.array([5, 3, 0, 299])
    of_batch = rule.select(label[batch], teacher[batch], None, 1, batch)
    np.testing.assert_array_equal(of_batch.mask, [False, True, False, True])


def test_small_loss_is_the_posterior_of_the_component_with_the_smaller_mean():
    teacher, believed = distributions(400, 3, 0, 3.0), distributions(400, 3, 1, 2.0)
    rule = start_with(SmallLoss(clean=0.9), teacher, believed)
    label = teacher.argmax(axis=1)
    loss = -np.log(believed[np.arange(400), label].clip(1e-12))
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
    mask = select(rule, teacher, None).mask
    np.testing.assert_array_equal(mask, rule.clean_proba_ > 0.9)
    assert 0 < mask.sum() < 400


def test_small_loss_parts_students_that_are_certain():
    """Some students know no probabilities; right and wrong are still two losses."""
    teacher = np.eye(2)[np.arange(25) % 2]
    believed = teacher.copy()
    believed[:5] = believed[:5, ::-1]
    kept = select(start_with(SmallLoss(), teacher, believed), teacher, None)
    np.testing.assert_array_equal(kept.mask, np.arange(25) >= 5)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 30])
def test_small_loss_keeps_all_where_there_is_nothing_to_part(n_rows):
    teacher = np.full((n_rows, 2), [0.7, 0.3])
    rule = start_with(SmallLoss(), teacher, np.full((n_rows, 2), [0.6, 0.4]))
    np.testing.assert_array_equal(rule.clean_proba_, np.ones(n_rows))
    assert select(rule, teacher, None).mask.all()


# WeightedDistillation


def isotonic_by_hand(x, y):
    """The decreasing isotonic fit: max over starts of min over ends of means."""
    values = sorted(set(x))
    fitted = []
    for v in x:
        best = -np.inf
        for high in (w for w in values if w >= v):
            means = [
                np.mean([b for a, b in zip(x, y, strict=True) if low <= a <= high])
                for low in values
                if low <= v
            ]
            best = max(best, min(means))
        fitted.append(best)
    return fitted


def test_the_chance_of_an_error_falls_with_confidence():
    teacher = distributions(50, 3, 0, 3.0).round(1) + 1e-3  # rounded: ties
    teacher /= teacher.sum(axis=1, keepdims=True)
    teacher[:20] = teacher[20:40]
    believed = distributions(50, 3, 1)
    rule = start_with(WeightedDistillation(), teacher, believed)
    disagrees = (believed.argmax(axis=1) != teacher.argmax(axis=1)).astype(float)
    expected = isotonic_by_hand(list(teacher.max(axis=1).round(9)), list(disagrees))
    np.testing.assert_allclose(rule.error_proba_, expected, atol=1e-6)
    order = np.argsort(teacher.max(axis=1))
    assert (np.diff(rule.error_proba_[order]) <= 1e-7).all()
    assert len(np.unique(rule.error_proba_)) > 1


def test_weighted_distillation_follows_the_formula():
    teacher, believed = distributions(60, 3, 0, 3.0), distributions(60, 3, 1)
    student = distributions(20, 3, 2)
    student[0] = [1, 0, 0]
    student[1] = [0, 0, 1]
    rule = start_with(WeightedDistillation(), teacher, believed)
    rows = np.arange(60)[::-1][:20]
    label = teacher[rows].argmax(axis=1)
    kept = rule.select(label, teacher[rows], student, 0, rows)
    assert kept.mask.all()
    for i in range(20):
        at_label = max(-np.log(max(student[i, label[i]], 1e-12)), 0.05)
        at_own = max(-np.log(max(student[i])), 0.05)
        e = rule.error_proba_[rows[i]]
        assert kept.weight[i] == pytest.approx(1 / (1 + e * (at_label / at_own - 1)))
    assert (kept.weight > 0).all() and (kept.weight <= 1).all()
    agrees = student.argmax(axis=1) == label
    np.testing.assert_allclose(kept.weight[agrees], 1)
    assert kept.weight[~agrees].min() < 0.9


def test_nothing_is_weighed_down_where_others_agree_with_the_teacher():
    teacher = distributions(30, 3, 0)
    rule = start_with(WeightedDistillation(), teacher, teacher)
    kept = select(rule, teacher, distributions(30, 3, 1))
    np.testing.assert_array_equal(kept.weight, 1)


# Out of fold


@pytest.mark.parametrize("strategy", [SmallLoss, WeightedDistillation])
def test_what_asks_out_of_fold_says_that_it_was_not_told(strategy):
    teacher = distributions(9, 3, 0)
    rule = strategy()
    assert rule.n_folds == 5
    assert strategy(n_folds=3).n_folds == 3
    for _ in range(2):  # what was told is of one pool only
        with pytest.raises(TypeError, match=f"{strategy.__name__}.*`take_out_of_fold`"):
            rule.reset(3, 1, np.random.RandomState(0), teacher)
        start(rule, teacher)
    rule.take_out_of_fold(teacher[:4])
    with pytest.raises(TypeError, match="`take_out_of_fold`"):
        rule.extend(5, 3, 1, np.random.RandomState(0), teacher)


@pytest.mark.parametrize("strategy", [SmallLoss, WeightedDistillation])
def test_what_was_learned_out_of_fold_is_of_the_pool_at_hand(strategy):
    teacher, other = distributions(40, 3, 0), distributions(70, 3, 1)
    student = distributions(70, 3, 2)
    rule = start(strategy(), teacher)
    again = strategy()
    again.set_state(rule.state())
    for each in (rule, again):
        each.take_out_of_fold(distributions(70, 3, 3))
        each.extend(5, 3, 2, np.random.RandomState(4), other)
    kept = [select(each, other, student, 5) for each in (rule, again)]
    fresh = strategy()
    fresh.take_out_of_fold(distributions(70, 3, 3))
    fresh.reset(3, 2, np.random.RandomState(4), other)
    kept.append(select(fresh, other, student))
    for one in kept[1:]:
        np.testing.assert_array_equal(one.mask, kept[0].mask)
        np.testing.assert_array_equal(one.weight, kept[0].weight)


# All

RIVALS = [RandomShare, ConfidentShare, ConfidenceThreshold, UncertainShare]
RIVALS += [SoftGate, InfoBatch, SmallLoss, WeightedDistillation]


@pytest.mark.parametrize("strategy", [r for r in RIVALS if r().uses_student])
def test_what_reads_the_student_says_so(strategy):
    teacher = distributions(3, 2, 0)
    rule = start(strategy(), teacher)
    with pytest.raises(TypeError, match=rf"{strategy.__name__}.*`student_proba`"):
        rule.select(teacher.argmax(1), teacher, None, 0, np.arange(3))


@pytest.mark.parametrize("strategy", RIVALS)
def test_a_pool_without_rows(strategy):
    nothing = np.empty((0, 3))
    rule = start(strategy(), nothing)
    assert select(rule, nothing, nothing).mask.shape == (0,)


@pytest.mark.parametrize("strategy", RIVALS)
def test_a_fitted_classifier_is_saved_and_goes_on(strategy, tiny_path, tmp_path):
    """Through the classifier: what was learned is in its files, and it learns on."""
    texts = [f"{'card' if i % 2 else 'site'} number {i}" for i in range(60)]

    def teacher(given):
        return ["b" if "card" in text else "a" for text in given]

    clf = LLKDClassifier(
        teacher,
        ["a", "b"],
        selection=strategy(),
        student=FrozenEncoderStudent(tiny_path),
        n_epochs=3,
        batch_size=8,
        random_state=0,
        verbose=0,
    ).fit(texts[:41])
    assert clf.times_selected_.sum() > 0
    clf.save(tmp_path)
    loaded = LLKDClassifier.load(tmp_path)
    state, read = clf.selection_.state(), loaded.selection_.state()
    assert state.keys() == read.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(array, read[name])
    for each in (clf, loaded):
        each.set_params(teacher=teacher).partial_fit(texts[41:])
    np.testing.assert_array_equal(clf.times_selected_, loaded.times_selected_)
    assert clf.times_selected_.shape == (19,)


@pytest.mark.parametrize(
    ("strategy", "bad"),
    [
        (RandomShare, {"share": 0}),
        (RandomShare, {"target": "firm"}),
        (ConfidentShare, {"share": 1.5}),
        (ConfidentShare, {"per_class": "yes"}),
        (ConfidentShare, {"target": "firm"}),
        (ConfidenceThreshold, {"threshold": 1.1}),
        (ConfidenceThreshold, {"target": "firm"}),
        (UncertainShare, {"share": -1}),
        (UncertainShare, {"measure": "variance"}),
        (UncertainShare, {"target": "firm"}),
        (SoftGate, {"momentum": 1}),
        (SoftGate, {"n_sigma": 0}),
        (SoftGate, {"student": "yes"}),
        (SoftGate, {"target": "firm"}),
        (InfoBatch, {"prune": 1}),
        (InfoBatch, {"until": 1.5}),
        (InfoBatch, {"target": "firm"}),
        (SmallLoss, {"clean": 1}),
        (SmallLoss, {"n_folds": 1}),
        (SmallLoss, {"target": "firm"}),
        (WeightedDistillation, {"n_folds": 2.5}),
        (WeightedDistillation, {"target": "firm"}),
    ],
)
def test_bad_parameters_are_named(strategy, bad):
    strategy().check()
    with pytest.raises(InvalidParameterError, match=f"`{next(iter(bad))}`"):
        strategy(**bad).check()


@pytest.mark.parametrize("strategy", RIVALS)
def test_soft_targets_are_the_teacher_s_distribution(strategy):
    teacher, student = distributions(5, 3, 0), distributions(5, 3, 1)
    assert select(start(strategy(), teacher), teacher, student).target is None
    kept = select(start(strategy(target="soft"), teacher), teacher, student)
    np.testing.assert_array_equal(kept.target, teacher)


def test_confidences_a_rounding_error_apart_are_alike():
    """A teacher that is nearly certain has them; the largest once got NaN."""
    top = np.array([1.0, 1 - 1.2e-16, 1 - 2.3e-16, 0.8, 0.8 + 1.2e-16, 0.8])
    teacher = np.column_stack([top, 1 - top])
    believed = np.eye(2)[[0, 0, 1, 1, 1, 0]]
    rule = start_with(WeightedDistillation(), teacher, believed)
    np.testing.assert_allclose(rule.error_proba_, [1 / 3] * 3 + [2 / 3] * 3, rtol=1e-6)
