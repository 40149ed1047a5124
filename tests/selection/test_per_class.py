"""A selection for each class: what a copy alone decides on its own two classes."""

import numpy as np
import pytest
from sklearn.base import clone
from skllkd import selection as strategies
from skllkd.selection import Batch, LLKDSelection, Pool, Selected, Selection
from skllkd.selection.per_class import PerClass, answers

N_ROWS, N_CLASSES, N_STEPS = 30, 3, 4
TEACHER = np.random.RandomState(0).uniform(size=(N_ROWS, N_CLASSES))
STUDENT = np.random.RandomState(1).uniform(size=(N_ROWS, N_CLASSES))
RULES = sorted(
    name
    for name in strategies.__all__
    if issubclass(kind := getattr(strategies, name), Selection)
    and kind is not Selection
)


def batches():
    for step in range(N_STEPS):
        rows = np.random.RandomState(step).permutation(N_ROWS)[:12]
        yield Batch(rows, TEACHER[rows], step=step)


def scored(rule, batch, student):
    """Return the batch as the training loop completes it."""
    if not rule.uses_student:
        return batch
    mask = rule.candidates(batch)
    known = np.full(batch.teacher_proba.shape, np.nan)
    known[mask] = student[batch.rows[mask]]
    return Batch(batch.rows, batch.teacher_proba, known, batch.step)


@pytest.mark.parametrize("name", RULES)
def test_each_class_is_decided_on_as_if_alone(name):
    rule = getattr(strategies, name)()
    every = PerClass(clone(rule))
    every.begin(Pool(TEACHER, STUDENT), N_STEPS, np.random.RandomState(5))
    seed = np.random.RandomState(5).randint(2**31 - 1)
    alone = [clone(rule) for _ in range(N_CLASSES)]
    for k, part in enumerate(alone):
        pool = Pool(answers(TEACHER[:, k]), answers(STUDENT[:, k]))
        part.begin(pool, N_STEPS, np.random.RandomState(seed))
    for batch in batches():
        found = every.select(scored(every, batch, STUDENT))
        np.testing.assert_array_equal(found.row_mask, found.mask.any(axis=1))
        for k, part in enumerate(alone):
            own = Batch(batch.rows, answers(batch.teacher_proba[:, k]), step=batch.step)
            wanted = part.select(scored(part, own, answers(STUDENT[:, k])))
            np.testing.assert_array_equal(found.mask[:, k], wanted.mask)
            weight = np.where(wanted.mask, wanted.weight, 0)
            np.testing.assert_array_equal(found.weight[:, k], weight)
            target = own.pseudo_label if wanted.target is None else wanted.target[:, 1]
            np.testing.assert_array_equal(found.target[:, k], target)


def test_what_was_learned_is_read_for_all_classes_and_saved():
    rule = PerClass(LLKDSelection())
    rule.begin(Pool(TEACHER), N_STEPS, np.random.RandomState(0))
    for batch in batches():
        rule.select(scored(rule, batch, STUDENT))
    thresholds = rule.teacher_thresholds_
    assert thresholds.shape == (N_STEPS, N_CLASSES, 2)
    np.testing.assert_array_equal(
        thresholds[:, 1], rule.selections_[1].teacher_thresholds_
    )
    twin = PerClass(LLKDSelection())
    twin.set_state(rule.state())
    np.testing.assert_array_equal(twin.student_thresholds_, rule.student_thresholds_)
    assert not hasattr(rule, "no_such_thing_")
    assert not hasattr(PerClass(LLKDSelection()), "teacher_thresholds_")


def test_copies_draw_alike_so_that_few_texts_are_trained_on():
    rule = PerClass(strategies.RandomSubset(0.3))
    teacher = np.tile(TEACHER[:, :1], (1, N_CLASSES))
    rule.begin(Pool(teacher), 1, np.random.RandomState(0))
    mask = rule.select(Batch(np.arange(N_ROWS), teacher)).mask
    assert 0 < mask[:, 0].sum() < N_ROWS
    np.testing.assert_array_equal(mask, np.tile(mask[:, :1], (1, N_CLASSES)))


def test_a_batch_that_no_class_keeps():
    class KeepNothing(Selection):
        uses_student = False

        def select(self, batch):
            nothing = np.zeros(len(batch.rows), dtype=bool)
            return Selected(nothing, np.full(len(nothing), np.nan))

    rule = PerClass(KeepNothing())
    rule.begin(Pool(TEACHER), 1, np.random.RandomState(0))
    found = rule.select(Batch(np.arange(N_ROWS), TEACHER))
    assert not found.row_mask.any()
    assert (found.weight == 0).all()
