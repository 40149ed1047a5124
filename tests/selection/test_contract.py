"""Contract of every exported selection strategy."""

import inspect

import numpy as np
import pytest
import skllkd.selection
from sklearn.base import clone
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.selection import Batch, Selection
from skllkd.students import FrozenEncoderStudent

from tests.selection.synthetic import begin, distributions, select

STRATEGIES = [
    strategy
    for name in skllkd.selection.__all__
    if inspect.isclass(strategy := getattr(skllkd.selection, name))
    and issubclass(strategy, Selection)
    and strategy is not Selection
]
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def those(condition):
    return pytest.mark.parametrize(
        "strategy", [s for s in STRATEGIES if condition(s())]
    )


@every_strategy
@pytest.mark.parametrize(
    ("n_rows", "n_classes"), [(0, 3), (1, 2), (32, 4), (7, 150), (1500, 150)]
)
def test_shapes_and_ranges(strategy, n_rows, n_classes):
    pool = distributions(2 * n_rows + 1, n_classes, 0, sharpness=5)
    rule = begin(clone(strategy()), pool, n_steps=3)
    for step in range(3):
        teacher = distributions(n_rows, n_classes, step, sharpness=5)
        student = distributions(n_rows, n_classes, 10 + step)
        before = teacher.copy(), student.copy()
        selected = select(rule, teacher, student, step)
        assert selected.mask.shape == (n_rows,)
        assert selected.mask.dtype == bool
        assert selected.weight.shape == (n_rows,)
        assert np.isfinite(selected.weight).all()
        assert (selected.weight >= 0).all()
        if selected.target is not None:
            assert selected.target.shape == (n_rows, n_classes)
        np.testing.assert_array_equal(before[0], teacher)
        np.testing.assert_array_equal(before[1], student)


@every_strategy
def test_a_pool_without_rows(strategy):
    nothing = np.empty((0, 3))
    rule = begin(strategy(), nothing)
    assert select(rule, nothing, nothing).mask.shape == (0,)


@those(lambda rule: rule.uses_student)
def test_candidates_are_a_mask_and_all_that_is_selected(strategy):
    teacher, student = distributions(60, 3, 0), distributions(60, 3, 1)
    rule, rows = begin(strategy(), teacher), np.arange(60)
    for step in range(5):
        mask = rule.candidates(Batch(rows, teacher, step=step))
        assert mask.dtype == bool and mask.shape == (60,)
        given = np.where(mask[:, None], student, np.nan)
        selected = rule.select(Batch(rows, teacher, given, step))
        assert not selected.mask[~mask].any()
        assert np.isfinite(selected.weight[selected.mask]).all()


@every_strategy
def test_all_certain_and_all_uncertain_students_do_not_stall(strategy):
    """Ties are kept: a student that is the same about everything learns something."""
    certain = np.eye(3)[np.arange(30) % 3]
    uniform = np.full((30, 3), 1 / 3)
    teacher = np.eye(3)[np.arange(30) % 3] * 0.97 + 0.03 / 3
    for student in (certain, uniform):
        assert select(begin(strategy(), teacher), teacher, student).mask.any()


@every_strategy
def test_begin_forgets(strategy):
    rule = strategy()
    teacher, student = distributions(40, 3, 0), distributions(40, 3, 1)
    first = select(begin(rule, teacher), teacher, student)
    select(rule, distributions(40, 3, 5, 9.0), distributions(40, 3, 6, 9.0), step=1)
    again = select(begin(rule, teacher), teacher, student)
    np.testing.assert_array_equal(first.mask, again.mask)
    np.testing.assert_array_equal(first.weight, again.weight)


@every_strategy
def test_restored_state_goes_on_as_the_original(strategy):
    teacher, student = distributions(40, 3, 0), distributions(40, 3, 1)
    rule = begin(strategy(), teacher, 2)
    for step in range(2):
        select(rule, teacher, student, step)
    restored = strategy()
    restored.set_state(rule.state())
    other, other_student = distributions(70, 3, 2), distributions(70, 3, 3)
    selected = []
    for each in (rule, restored):
        begin(each, other, 2, seed=4, first_step=2)
        selected.append([select(each, other, other_student, step) for step in (2, 3)])
    for one, same in zip(*selected, strict=True):
        np.testing.assert_array_equal(one.mask, same.mask)
        np.testing.assert_array_equal(one.weight, same.weight)
    for name, array in rule.state().items():
        np.testing.assert_array_equal(array, restored.state()[name])


@those(lambda rule: hasattr(rule, "target"))
def test_soft_targets_are_the_teacher_s_distribution(strategy):
    teacher, student = distributions(5, 3, 0), distributions(5, 3, 1)
    assert select(begin(strategy(), teacher), teacher, student).target is None
    selected = select(begin(strategy(target="soft"), teacher), teacher, student)
    np.testing.assert_array_equal(selected.target, teacher)


@those(lambda rule: rule.uses_student)
def test_a_missing_scoring_pass_is_named(strategy):
    teacher = distributions(3, 2, 0)
    rule = begin(strategy(), teacher)
    with pytest.raises(TypeError, match=rf"{strategy.__name__}.*`student_proba`"):
        rule.select(Batch(np.arange(3), teacher))


@those(lambda rule: rule.n_folds)
def test_missing_out_of_fold_predictions_are_named(strategy):
    teacher = distributions(9, 3, 0)
    assert strategy().n_folds == 5
    assert strategy(n_folds=3).n_folds == 3
    for student in (None, teacher[:4]):
        pool = skllkd.selection.Pool(teacher, student)
        with pytest.raises(
            TypeError, match=rf"{strategy.__name__}.*`Pool.student_proba`"
        ):
            strategy().begin(pool, 1, np.random.RandomState(0))


@every_strategy
@pytest.mark.filterwarnings("ignore:.* kept none")  # with the rounding of some CPUs
def test_a_fitted_classifier_is_saved_and_goes_on(strategy, tiny_path, tmp_path):
    """Through the classifier: its files hold the learned state, and it learns on."""
    texts = [f"{'card' if i % 2 else 'site'} number {i}" for i in range(60)]

    def teacher(given):
        return ["b" if "card" in text else "a" for text in given]

    clf = LLKDClassifier(
        teacher,
        ["a", "b"],
        refine=None,
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


BAD = {
    "share": [0, 1.5, -1],
    "target": ["firm"],
    "per_class": ["yes"],
    "threshold": [1.1],
    "measure": ["variance"],
    "momentum": [1.0, -0.1],
    "n_sigma": [0],
    "prune": [1],
    "until": [1.5],
    "clean": [1],
    "n_folds": [1, 2.5],
    "floor": [0.5],
    "rank_power": [-1],
    "class_term": ["mean"],
    "signals": ["none"],
    "weight": ["max"],
}


@every_strategy
def test_every_bad_parameter_is_named(strategy):
    strategy().check()
    for name in strategy().get_params():
        for value in BAD[name]:
            with pytest.raises(InvalidParameterError, match=f"`{name}`"):
                strategy(**{name: value}).check()
