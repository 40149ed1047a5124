"""The training loop: the rows that are scored, selected and trained on."""

import numpy as np
from skllkd.selection import Pool, SelectAll, Selected, Selection
from skllkd.students import (
    FrozenEncoderStudent,
    SklearnStudent,
    Student,
    TransformerStudent,
)
from skllkd.training.loop import distil
from skllkd.training.schedule import Schedule

N_ROWS, N_CLASSES = 50, 3


class Recorder(Student):
    """A student that records its calls."""

    def __init__(self):
        self.log = []

    def begin_fit(self, texts, n_classes, seed, *, multilabel=False, resume=False):
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


class KeepScored(Selection):
    """Keeps all rows that were scored, and remembers the batches."""

    def begin(self, pool, n_steps, random_state, first_step=0):
        self.batches, self.candidate_steps = [], []

    def candidates(self, batch):
        assert batch.student_proba is None
        self.candidate_steps.append(batch.step)
        return batch.teacher_confidence > 0.6

    def select(self, batch):
        self.batches.append(batch)
        mask = ~np.isnan(batch.student_proba[:, 0])
        return Selected(mask, np.ones(len(mask)))


def teacher_proba():
    return np.random.RandomState(0).dirichlet(np.full(N_CLASSES, 0.7), N_ROWS)


def run(selection, n_epochs=2, student=None):
    student, proba = student or Recorder(), teacher_proba()
    rng = np.random.RandomState(0)
    selection.begin(Pool(proba), n_epochs * 5, rng)
    schedule = Schedule(n_epochs, 12, rng)
    return student, distil(student, selection, proba, np.ones(N_ROWS), schedule)


def test_rows_that_cannot_be_selected_are_not_scored_and_are_nan():
    selection = KeepScored()
    student, log = run(selection)
    confident = np.flatnonzero(teacher_proba().max(axis=1) > 0.6)
    scored = np.concatenate(student.scored())
    assert sorted(scored) == sorted([*confident, *confident])
    assert log.history["n_scored"].sum() == 2 * len(confident)
    assert log.history["n_selected"].sum() == 2 * len(confident)
    for batch in selection.batches:
        is_missing = np.isnan(batch.student_proba)
        np.testing.assert_array_equal(is_missing[:, 0], batch.teacher_confidence <= 0.6)
        np.testing.assert_array_equal(is_missing.any(axis=1), is_missing.all(axis=1))
    assert selection.candidate_steps == [b.step for b in selection.batches]
    assert selection.candidate_steps == list(range(10))


def test_each_row_has_its_own_probabilities():
    selection = KeepScored()
    run(selection)
    for batch in selection.batches:
        np.testing.assert_array_equal(batch.teacher_proba, teacher_proba()[batch.rows])
        known = ~np.isnan(batch.student_proba[:, 0])
        expected = Recorder().predict_rows(batch.rows[known])
        np.testing.assert_array_equal(batch.student_proba[known], expected)


def test_a_step_is_scored_just_before_it_is_trained_on():
    student, log = run(KeepScored())
    assert len(student.scored()) == len(log.history["n_scored"]) == 2 * 5


def test_a_selection_that_reads_no_student_costs_no_scoring():
    student, log = run(SelectAll())
    assert student.scored() == []
    assert log.history["n_scored"].sum() == 0


def trained(student):
    return [rows for what, rows in student.log if what == "train"]


def test_selected_rows_are_trained_on_at_once():
    student = Recorder()
    student.full_batches = False
    student, log = run(KeepScored(), student=student)
    selected = log.history["n_selected"]
    assert [len(rows) for rows in trained(student)] == selected[selected > 0].tolist()
    order = [what for what, _ in student.log]
    assert order == ["score", "train"] * len(selected)  # before the next is scored


def test_selected_rows_wait_for_a_full_batch_where_the_student_wants_it():
    student, log = run(KeepScored())
    an_epoch = int(log.history["n_selected"].sum()) // 2
    full, rest = divmod(an_epoch, 12)
    assert full
    sizes = [len(rows) for rows in trained(student)]
    assert sizes == 2 * ([12] * full + [rest] * bool(rest))


def test_only_fine_tuning_does_not_wait():
    assert not TransformerStudent().full_batches
    assert FrozenEncoderStudent().full_batches
    assert SklearnStudent().full_batches
