"""Contract of every selection strategy, and the LLKD rule against its formula."""

import numpy as np
import pytest
import skllkd.selection as room
from sklearn.base import clone
from skllkd.exceptions import InvalidParameterError
from skllkd.selection import LLKDSelection, SelectAll, Selection, normalised_entropy
from skllkd.selection.llkd import among_candidates
from skllkd.selection.thresholds import AdaptiveThreshold, MovingAverage
from skllkd.selection.uncertainty import uncertainty_of

STRATEGIES = [
    strategy()
    for strategy in vars(room).values()
    if isinstance(strategy, type)
    and issubclass(strategy, Selection)
    and strategy is not Selection
]


def distributions(n_rows, n_classes, seed, sharpness=1.0):
    rng = np.random.RandomState(seed)
    return rng.dirichlet(np.full(n_classes, 1 / sharpness), n_rows)


def select(rule, teacher, student, step=0):
    given = student if rule.uses_student else None
    rows = np.arange(len(teacher))
    return rule.select(teacher.argmax(axis=1), teacher, given, step, rows)


def start(rule, teacher, n_steps=5):
    if rule.n_folds:
        rule.take_out_of_fold(distributions(*teacher.shape, 99))
    rule.reset(teacher.shape[1], n_steps, np.random.RandomState(0), teacher)
    return rule


@pytest.mark.parametrize("rule", STRATEGIES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize(
    ("n_rows", "n_classes"), [(0, 3), (1, 2), (32, 4), (7, 150), (1500, 150)]
)
def test_contract_shapes_and_ranges(rule, n_rows, n_classes):
    rule = clone(rule)
    pool = distributions(2 * n_rows + 1, n_classes, 0, sharpness=5)
    start(rule, pool, n_steps=3)
    for step in range(3):
        teacher = distributions(n_rows, n_classes, step, sharpness=5)
        student = distributions(n_rows, n_classes, 10 + step)
        before = teacher.copy(), student.copy()
        kept = select(rule, teacher, student, step)
        assert kept.mask.shape == (n_rows,)
        assert kept.mask.dtype == bool
        assert kept.weight.shape == (n_rows,)
        assert np.isfinite(kept.weight).all()
        assert (kept.weight >= 0).all()
        if kept.target is not None:
            assert kept.target.shape == (n_rows, n_classes)
        np.testing.assert_array_equal(before[0], teacher)
        np.testing.assert_array_equal(before[1], student)


@pytest.mark.parametrize("rule", STRATEGIES, ids=lambda rule: type(rule).__name__)
def test_contract_all_certain_and_all_uncertain_students_do_not_stall(rule):
    """Ties are kept: a student that is the same about everything learns something."""
    certain = np.eye(3)[np.arange(30) % 3]
    uniform = np.full((30, 3), 1 / 3)
    teacher = np.eye(3)[np.arange(30) % 3] * 0.97 + 0.03 / 3
    for student in (certain, uniform):
        kept = select(start(clone(rule), teacher), teacher, student)
        assert kept.mask.any()


def test_llkd_keeps_ties():
    teacher = np.eye(3)[np.arange(30) % 3] * 0.9 + 0.1 / 3
    for student in (np.eye(3)[np.arange(30) % 3], np.full((30, 3), 1 / 3)):
        assert select(start(LLKDSelection(), teacher), teacher, student).mask.all()


@pytest.mark.parametrize("rule", STRATEGIES, ids=lambda rule: type(rule).__name__)
def test_contract_reset_forgets(rule):
    rule = clone(rule)
    teacher, student = distributions(40, 3, 0), distributions(40, 3, 1)
    first = select(start(rule, teacher), teacher, student)
    select(rule, distributions(40, 3, 5, 9.0), distributions(40, 3, 6, 9.0), step=1)
    again = select(start(rule, teacher), teacher, student)
    np.testing.assert_array_equal(first.mask, again.mask)
    np.testing.assert_array_equal(first.weight, again.weight)


def test_llkd_follows_the_formula_over_many_steps():
    """A plain loop over rows and classes, written from the equations."""
    n_classes, lam = 4, 0.8
    rule = start(LLKDSelection(momentum=lam), distributions(9, n_classes, 0), 6)
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
        kept = rule.select(label, teacher, student, step, np.arange(20))
        expected = []
        for i in range(20):
            above = True
            for s in "cu":
                q = [q_sum[s][k] / q_norm[k] if q_norm[k] else None for k in range(4)]
                highest = max(value for value in q if value is not None)
                tau = g_sum[s] / g_norm * q[label[i]] / highest
                above = above and signal[s][i] > tau
            expected.append(above)
        np.testing.assert_array_equal(kept.mask, expected)
        np.testing.assert_allclose(
            kept.weight, np.array(signal["c"]) * np.array(signal["u"])
        )
        assert 0 < sum(expected) < 20


def test_an_absent_class_keeps_its_threshold():
    """The classic bug: a class without rows in a batch averages in a zero."""
    rule = start(LLKDSelection(momentum=0.5, class_term="signal"), np.eye(3), 30)
    teacher = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])
    student = np.full((3, 3), 1 / 3)
    select(rule, teacher, student, 0)
    for step in range(1, 30):
        select(rule, teacher[:2], student[:2], step)
    np.testing.assert_allclose(rule.teacher_thresholds_[-1], 0.9, atol=1e-6)


def test_a_class_never_seen_has_the_global_threshold():
    rule = start(LLKDSelection(), np.eye(3), 1)
    teacher = np.array([[0.8, 0.1, 0.1], [0.1, 0.6, 0.3]])
    select(rule, teacher, np.full((2, 3), 1 / 3), 0)
    np.testing.assert_allclose(rule.teacher_thresholds_[0], [0.7, 0.7 * 0.75, 0.7])


def test_global_threshold_only():
    rule = start(LLKDSelection(class_term=None), np.eye(2), 1)
    teacher = np.array([[0.9, 0.1], [0.3, 0.7]])
    kept = select(rule, teacher, np.full((2, 2), 0.5), 0)
    np.testing.assert_allclose(rule.teacher_thresholds_[0], [0.8, 0.8])
    np.testing.assert_array_equal(kept.mask, [True, False])


def test_freematch_class_term_is_the_mean_probability():
    rule = start(LLKDSelection(class_term="probability"), np.eye(2), 1)
    teacher = np.array([[0.9, 0.1], [0.7, 0.3]])  # means 0.8 and 0.2
    select(rule, teacher, np.full((2, 2), 0.5), 0)
    np.testing.assert_allclose(rule.teacher_thresholds_[0], [0.8, 0.2], atol=1e-6)


def test_uniform_start_moves_from_chance():
    rule = start(LLKDSelection(start="uniform", momentum=0.9), np.eye(4), 1)
    teacher = np.full((4, 4), 0.1) + 0.6 * np.eye(4)
    select(rule, teacher, np.full((4, 4), 0.25), 0)
    np.testing.assert_allclose(rule.teacher_thresholds_[0], 0.9 * 0.25 + 0.1 * 0.7)
    np.testing.assert_allclose(rule.student_thresholds_[0], 1.0)


def test_uniform_start_of_the_class_probability_is_chance_for_both_signals():
    rule = LLKDSelection(start="uniform", class_term="probability", momentum=0.9)
    proba = np.tile([0.7, 0.1, 0.1, 0.1], (4, 1))
    select(start(rule, proba, 1), proba, proba, 0)
    term = 0.9 * 0.25 + 0.1 * proba[0]
    for thresholds in (rule.teacher_thresholds_[0], rule.student_thresholds_[0]):
        np.testing.assert_allclose(
            thresholds / thresholds.max(), term / term.max(), 1e-5
        )


def test_pool_thresholds_are_the_pool_s_and_stay():
    pool = distributions(50, 3, 0, 4.0)
    rule = start(LLKDSelection(teacher_threshold="pool"), pool, 3)
    confidence, label = pool.max(axis=1), pool.argmax(axis=1)
    means = np.array([confidence[label == k].mean() for k in range(3)])
    for step in range(3):
        select(rule, distributions(8, 3, step), distributions(8, 3, 9 + step), step)
    expected = confidence.mean() * means / means.max()
    np.testing.assert_allclose(rule.teacher_thresholds_, [expected] * 3, rtol=1e-5)


def test_the_student_threshold_may_follow_the_student_s_class():
    teacher = np.array([[0.9, 0.1], [0.9, 0.1]])
    student = np.array([[0.6, 0.4], [0.2, 0.8]])
    by_teacher = start(LLKDSelection(), teacher, 1)
    by_student = start(LLKDSelection(student_class="student"), teacher, 1)
    select(by_teacher, teacher, student)
    select(by_student, teacher, student)
    u = normalised_entropy(student)
    np.testing.assert_allclose(by_teacher.student_thresholds_[0], u.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        by_student.student_thresholds_[0], u.mean() * u / u.max(), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("weight", "expected"), [("product", 0.9), ("sum", 0.95), (None, 1.0)]
)
def test_weights(weight, expected):
    teacher = np.array([[0.9, 0.1]])
    kept = select(
        start(LLKDSelection(weight=weight), teacher), teacher, teacher * 0 + 0.5
    )
    np.testing.assert_allclose(kept.weight, expected)


@pytest.mark.parametrize(
    "rule", [LLKDSelection(target="soft"), SelectAll(target="soft")]
)
def test_soft_targets_are_the_teacher_s_distribution(rule):
    teacher, student = distributions(5, 3, 0), distributions(5, 3, 1)
    kept = select(start(rule, teacher), teacher, student)
    np.testing.assert_array_equal(kept.target, teacher)


@pytest.mark.parametrize(
    "bad",
    [
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"start": "zero"},
        {"class_term": "mean"},
        {"teacher_threshold": "ema"},
        {"student_class": "both"},
        {"weight": "max"},
        {"target": "firm"},
        {"signals": "none"},
        {"uncertainty": "variance"},
        {"rejected": "keep"},
        {"rejected_share": 0},
        {"coverage": 1.5},
    ],
)
def test_bad_parameters_are_named(bad):
    name = next(iter(bad))
    with pytest.raises(InvalidParameterError, match=f"`{name}`"):
        LLKDSelection(**bad).check()


def test_entropy_is_a_share_in_the_unit_interval():
    rows = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]])
    np.testing.assert_allclose(
        normalised_entropy(rows), [0, 1, np.log(2) / np.log(3)], atol=1e-9
    )


def test_moving_average_with_bias_correction_starts_at_the_first_value():
    average = MovingAverage(2, 0.9, None)
    average.update(0, 0.4)
    assert average.value[0] == pytest.approx(0.4)
    assert np.isnan(average.value[1])
    average.update(0, 0.8)
    assert average.value[0] == pytest.approx((0.9 * 0.4 + 0.8) / 1.9)


def test_threshold_of_an_empty_batch_is_unchanged():
    threshold = AdaptiveThreshold(2, 0.9, None, "signal")
    proba = np.array([[0.8, 0.2], [0.3, 0.7]])
    before = threshold.update(proba.max(axis=1), proba.argmax(axis=1), proba)
    empty = np.zeros((0, 2))
    after = threshold.update(np.zeros(0), np.zeros(0, dtype=int), empty)
    np.testing.assert_array_equal(before, after)


def parts_of(rule, teacher, student):
    """What LLKD's two thresholds say of each row."""
    start(rule, teacher)
    kept = select(rule, teacher, student)
    return kept, teacher.max(axis=1), normalised_entropy(student)


def test_one_signal_alone():
    teacher, student = distributions(200, 3, 0, 3.0), distributions(200, 3, 1)
    both, c, u = parts_of(LLKDSelection(), teacher, student)
    sure, _, _ = parts_of(LLKDSelection(signals="teacher"), teacher, student)
    unsure, _, _ = parts_of(LLKDSelection(signals="student"), teacher, student)
    np.testing.assert_array_equal(both.mask, sure.mask & unsure.mask)
    assert both.mask.sum() < min(sure.mask.sum(), unsure.mask.sum())
    np.testing.assert_allclose(sure.weight, c)
    np.testing.assert_allclose(unsure.weight, u)
    assert not LLKDSelection(signals="teacher").uses_student


@pytest.mark.parametrize(
    ("measure", "expected"),
    [("least_confident", [0.6, 1.0, 0.0]), ("margin", [0.7, 1.0, 0.0])],
)
def test_measures_of_uncertainty(measure, expected):
    proba = np.array([[0.6, 0.3, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(uncertainty_of(proba, measure), expected, atol=1e-12)
    teacher = np.full((3, 3), [0.8, 0.1, 0.1])
    rule = LLKDSelection(uncertainty=measure)
    kept = select(start(rule, teacher), teacher, proba)
    np.testing.assert_array_equal(kept.mask, np.array(expected) > np.mean(expected))


def test_rescaled_rejected_rows_make_the_gradient_that_of_all():
    teacher, student = distributions(60, 3, 0, 3.0), distributions(60, 3, 1)
    plain, c, u = parts_of(LLKDSelection(momentum=0), teacher, student)
    rule = start(LLKDSelection(momentum=0, rejected="rescale"), teacher, 2000)
    total = np.zeros(60)
    for step in range(2000):
        kept = select(rule, teacher, student, step)
        assert (kept.mask >= plain.mask).all()
        total[kept.mask] += kept.weight[kept.mask]
    np.testing.assert_allclose(total / 2000, c * u, atol=0.2)
    assert total.sum() / 2000 == pytest.approx((c * u).sum(), rel=0.02)


def test_rejected_rows_the_teacher_is_unsure_of_learn_from_sets():
    teacher = np.array([[0.9, 0.05, 0.05], [0.5, 0.45, 0.05], [0.5, 0.45, 0.05]])
    student = np.array([[0.3, 0.3, 0.4], [0.2, 0.2, 0.6], [0.0, 1.0, 0.0]])
    kept = select(
        start(LLKDSelection(rejected="candidates"), teacher), teacher, student
    )
    np.testing.assert_array_equal(
        kept.mask, [True, True, False]
    )  # the third is certain
    np.testing.assert_allclose(kept.target[0], [1, 0, 0])
    np.testing.assert_allclose(kept.target[1], [0.5, 0.5, 0])


def test_sets_of_candidates_have_the_gradient_of_their_loss():
    """Cross-entropy towards the target is -log of the set's probability, to 1st order."""
    torch = pytest.importorskip("torch")
    teacher = distributions(8, 5, 0, 2.0)
    logits = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    logits = logits.double().requires_grad_()
    log_proba = logits.log_softmax(dim=1)
    target = among_candidates(log_proba.detach().exp().numpy(), teacher, 0.8)
    inside = torch.from_numpy(target > 0)
    assert (inside.sum(dim=1) > 1).any()
    for i in range(8):
        likelier = np.sort(teacher[i])[::-1]
        assert inside[i].sum() == np.searchsorted(likelier.cumsum(), 0.8) + 1
    soft = -(torch.from_numpy(target) * log_proba).sum()
    of_set = -log_proba.masked_fill(~inside, -torch.inf).logsumexp(dim=1).sum()
    (a,) = torch.autograd.grad(soft, logits, retain_graph=True)
    (b,) = torch.autograd.grad(of_set, logits)
    torch.testing.assert_close(a, b)
