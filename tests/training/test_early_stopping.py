"""Early stopping on held-out rows."""

import numpy as np
import pytest
from skllkd.training.early_stopping import EarlyStopping
from skllkd.training.schedule import Schedule


class Scripted:
    """A student that agrees with the teacher as often as the script says."""

    def __init__(self, agreement):
        self.agreement, self.epoch, self.restored = agreement, 0, None

    def predict_rows(self, rows):
        n_right = round(self.agreement[self.epoch] * len(rows))
        return np.eye(2)[(np.arange(len(rows)) >= n_right).astype(int)]

    def snapshot(self):
        return self.epoch

    def restore(self, snapshot):
        self.restored = snapshot


def stopping(student, fraction=0.5, patience=1, n_rows=40):
    proba = np.tile([1.0, 0.0], (n_rows, 1))
    rng = np.random.RandomState(0)
    schedule = Schedule(9, 20, rng, validation_fraction=fraction, patience=patience)
    return EarlyStopping(student, proba, schedule)


def measured(student, patience):
    """Measure until it has stalled; return the number of epochs."""
    early_stopping = stopping(student, patience=patience)
    for epoch in range(len(student.agreement)):
        student.epoch = epoch
        early_stopping.measure()
        if early_stopping.has_stalled:
            break
    early_stopping.restore_best()
    return early_stopping.agreement


@pytest.mark.parametrize(
    ("patience", "n_epochs", "best"), [(1, 3, 1), (2, 4, 1), (3, 9, 5)]
)
def test_it_ends_without_a_gain_and_restores_the_best(patience, n_epochs, best):
    student = Scripted([0.5, 0.7, 0.7, 0.6, 0.65, 0.8, 0.8, 0.8, 0.8, 0.8])
    if patience == 3:
        student.agreement[4] = 0.75  # a gain, just in time
    agreement = measured(student, patience)
    assert len(agreement) == n_epochs
    assert student.restored == best


def test_held_out_rows_are_in_no_batch():
    early_stopping = stopping(Scripted([1.0]), fraction=0.25)
    rows = early_stopping.training_rows
    assert len(rows) == 30
    order = np.random.RandomState(1).permutation(40)
    batches = early_stopping.without_held_out(np.array_split(order, 20))
    assert all(len(batch) for batch in batches)
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), rows)


def test_nothing_is_held_out_without_a_validation_fraction():
    student = Scripted([1.0])
    early_stopping = stopping(student, fraction=0.0)
    assert len(early_stopping.training_rows) == 40
    early_stopping.measure()
    early_stopping.restore_best()
    assert early_stopping.agreement == []
    assert not early_stopping.has_stalled
    assert student.restored is None


def test_a_row_to_train_on_is_left():
    assert len(stopping(Scripted([1.0]), fraction=0.9, n_rows=1).training_rows) == 1
    assert len(stopping(Scripted([1.0]), fraction=0.99, n_rows=3).training_rows) == 1
