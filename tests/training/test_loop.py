"""Which rows the student is asked about, when, and what the selection is told."""

import numpy as np
import pytest
from skllkd.selection import LLKDSelection, SelectAll, Selected, Selection
from skllkd.students import (
    FrozenEncoderStudent,
    SklearnStudent,
    Student,
    TransformerStudent,
)
from skllkd.training.loop import Plan, distil

N_ROWS, N_CLASSES = 50, 3


class Recorder(Student):
    """A student that writes down what is asked of it."""

    def __init__(self):
        self.log = []

    def begin_fit(self, texts, n_classes, seed, *, resume=False):
        pass

    @property
    def n_rows(self):
        return N_ROWS

    def predict_rows(self, rows):
        self.log.append(("score", rows.tolist()))
        proba = np.ones((len(rows), N_CLASSES))
        proba[:, 0] += rows
        return proba / proba.sum(axis=1, keepdims=True)

    def train_step(self, rows, target, weight, progress):
        self.log.append(("train", rows.tolist()))
        return 0.0

    def snapshot(self):
        return None

    def restore(self, snapshot):
        pass

    def end_fit(self):
        pass

    def predict_proba(self, texts):
        raise NotImplementedError

    def scored(self):
        return [rows for what, rows in self.log if what == "score"]


class Told(Selection):
    """Keeps all it was told about, and remembers it."""

    def reset(self, n_classes, n_steps, random_state, teacher_proba):
        self.candidate_steps, self.beliefs = [], []

    def candidates(self, pseudo_label, teacher_proba, step, rows):
        self.candidate_steps.append(step)
        return teacher_proba.max(axis=1) > 0.6

    def select(self, pseudo_label, teacher_proba, student_proba, step, rows):
        self.beliefs.append((teacher_proba, student_proba))
        return Selected(
            ~np.isnan(student_proba[:, 0]), np.ones(len(pseudo_label)), None
        )


def teacher_proba():
    return np.random.RandomState(0).dirichlet(np.full(N_CLASSES, 0.7), N_ROWS)


def run(selection, score_ahead=1, n_epochs=2, student=None):
    student, proba = student or Recorder(), teacher_proba()
    rng = np.random.RandomState(0)
    selection.reset(N_CLASSES, n_epochs * 5, rng, proba)
    plan = Plan(n_epochs, 12, rng, score_ahead=score_ahead)
    return student, distil(student, selection, proba, np.ones(N_ROWS), plan)


def test_rows_that_cannot_be_selected_are_not_scored_and_are_nan():
    selection = Told()
    student, course = run(selection)
    sure = np.flatnonzero(teacher_proba().max(axis=1) > 0.6)
    scored = np.concatenate(student.scored())
    assert sorted(scored) == sorted([*sure, *sure])
    assert course.history["n_scored"].sum() == 2 * len(sure)
    assert course.history["n_selected"].sum() == 2 * len(sure)
    for teacher, belief in selection.beliefs:
        np.testing.assert_array_equal(
            np.isnan(belief[:, 0]), teacher.max(axis=1) <= 0.6
        )
        known = belief[~np.isnan(belief[:, 0])]
        np.testing.assert_allclose(known.sum(axis=1), 1)
    assert selection.candidate_steps == list(range(10))


def test_each_row_is_told_its_own_belief():
    selection = Told()
    student, _ = run(selection, score_ahead=3)
    of_row = {}
    for rows in student.scored():
        proba = Recorder().predict_rows(np.array(rows))
        of_row |= dict(zip(rows, proba, strict=True))
    proba = teacher_proba()
    for teacher, belief in selection.beliefs:
        for own, told in zip(teacher, belief, strict=True):
            row = int(np.flatnonzero((proba == own).all(axis=1))[0])
            if not np.isnan(told[0]):
                np.testing.assert_array_equal(told, of_row[row])


@pytest.mark.parametrize("ahead", [1, 2, 5, 99])
def test_steps_are_scored_ahead_within_an_epoch(ahead):
    student, course = run(Told(), score_ahead=ahead)
    assert len(student.scored()) == 2 * -(-5 // ahead)  # 5 steps in each of 2 epochs
    assert len(course.history["n_scored"]) == 10
    assert course.history["n_scored"].sum() == sum(map(len, student.scored()))


def test_a_selection_that_reads_no_student_costs_no_scoring():
    student, course = run(SelectAll())
    assert student.scored() == []
    assert course.history["n_scored"].sum() == 0


def test_confident_rows_only_decide_the_student_s_thresholds():
    rng = np.random.RandomState(3)
    teacher = rng.dirichlet(np.full(N_CLASSES, 0.7), 40)
    student = rng.dirichlet(np.ones(N_CLASSES), 40)
    label = teacher.argmax(axis=1)
    rule = LLKDSelection(uncertainty_over="confident", class_term=None, momentum=0.5)
    rule.reset(N_CLASSES, 1, rng, teacher)
    asked = rule.candidates(label, teacher, 0, np.arange(len(label)))
    np.testing.assert_array_equal(
        asked, teacher.max(axis=1) >= teacher.max(axis=1).mean()
    )
    told = np.where(asked[:, None], student, np.nan)
    kept = rule.select(label, teacher, told, 0, np.arange(len(label)))
    entropy = -(student * np.log(student)).sum(axis=1) / np.log(N_CLASSES)
    threshold = entropy[asked].mean()
    np.testing.assert_allclose(rule.student_thresholds_[0], threshold, rtol=1e-5)
    np.testing.assert_array_equal(kept.mask, asked & (entropy >= threshold))
    assert np.isfinite(kept.weight).all()


def test_candidates_move_the_teacher_s_thresholds_once():
    rng = np.random.RandomState(3)
    asked, plain = (LLKDSelection(uncertainty_over="confident") for _ in range(2))
    batches = [rng.dirichlet(np.full(N_CLASSES, 0.7), 20) for _ in range(4)]
    for rule in (asked, plain):
        rule.reset(N_CLASSES, 4, rng, batches[0])
    for step, teacher in enumerate(batches):  # all four ahead
        asked.candidates(teacher.argmax(axis=1), teacher, step, np.arange(len(teacher)))
    for step, teacher in enumerate(batches):
        student = rng.dirichlet(np.ones(N_CLASSES), 20)
        for rule in (asked, plain):
            rule.select(
                teacher.argmax(axis=1), teacher, student, step, np.arange(len(teacher))
            )
    np.testing.assert_array_equal(asked.teacher_thresholds_, plain.teacher_thresholds_)
    np.testing.assert_array_equal(asked.student_thresholds_, plain.student_thresholds_)


def test_a_batch_without_a_confident_row_moves_nothing():
    rule = LLKDSelection(uncertainty_over="confident", teacher_threshold="pool")
    sure, unsure = np.array([[0.9, 0.1]] * 4), np.array([[0.6, 0.4]] * 4)
    rule.reset(2, 2, np.random.RandomState(0), np.concatenate([sure, unsure]))
    flat = np.full((4, 2), 0.5)
    rule.candidates(np.zeros(4, int), sure, 0, np.arange(4))
    rule.select(np.zeros(4, int), sure, flat, 0, np.arange(4))
    assert not rule.candidates(np.zeros(4, int), unsure, 1, np.arange(4)).any()
    kept = rule.select(
        np.zeros(4, int), unsure, np.full((4, 2), np.nan), 1, np.arange(4)
    )
    assert not kept.mask.any()
    np.testing.assert_array_equal(
        rule.student_thresholds_[1], rule.student_thresholds_[0]
    )


def trained(student):
    return [rows for what, rows in student.log if what == "train"]


def test_what_is_kept_is_trained_on_at_once():
    student = Recorder()
    student.full_batches = False
    student, course = run(Told(), student=student)
    kept = course.history["n_selected"]
    assert [len(rows) for rows in trained(student)] == kept[kept > 0].tolist()
    order = [what for what, _ in student.log]
    assert order == ["score", "train"] * len(kept)  # before the next is scored


def test_what_is_kept_waits_for_a_full_batch_where_the_student_wants_it():
    student, course = run(Told())
    an_epoch = int(course.history["n_selected"].sum()) // 2
    full, rest = divmod(an_epoch, 12)
    assert full
    sizes = [len(rows) for rows in trained(student)]
    assert sizes == 2 * ([12] * full + [rest] * bool(rest))


def test_only_fine_tuning_does_not_wait():
    assert not TransformerStudent().full_batches
    assert FrozenEncoderStudent().full_batches
    assert SklearnStudent().full_batches
