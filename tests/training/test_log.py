"""The record of a training run."""

import numpy as np
import pytest
from skllkd.selection import Batch, Selected
from skllkd.training.log import TrainingLog


def step(log, epoch, rows, selected, losses, n_scored=0):
    mask = np.isin(rows, selected)
    batch = Batch(np.array(rows), np.full((len(rows), 2), 0.5))
    log.add_step(epoch, batch, n_scored, Selected(mask, np.ones(len(rows))), losses)


def test_steps_become_columns_and_counts_of_rows():
    log = TrainingLog(5)
    step(log, 0, [3, 1], [1], [0.4, 0.6], n_scored=2)
    step(log, 0, [0, 2, 4], [], [])
    step(log, 1, [1, 4], [1, 4], [0.2])
    assert log.n_steps == 3
    np.testing.assert_array_equal(log.times_selected, [0, 2, 0, 0, 1])
    history = log.history
    assert history["epoch"].tolist() == [0, 0, 1]
    assert history["n_presented"].tolist() == [2, 3, 2]
    assert history["n_scored"].tolist() == [2, 0, 0]
    assert history["n_selected"].tolist() == [1, 0, 2]
    np.testing.assert_allclose(history["loss"], [0.5, np.nan, 0.2])


def test_the_end_of_an_epoch_is_about_that_epoch():
    log = TrainingLog(5)
    step(log, 0, [3, 1], [1], [0.4, 0.6])
    step(log, 0, [0, 2], [], [])
    end = log.end_of_epoch(0, 4)
    assert (end.epoch, end.n_epochs, end.share_selected) == (0, 4, 0.25)
    assert end.loss == pytest.approx(0.5)
    assert np.isnan(end.agreement)
    step(log, 1, [1], [], [])
    log.agreement = [0.7, 0.9]
    end = log.end_of_epoch(1, 4)
    assert (end.share_selected, end.agreement) == (0.0, 0.9)
    assert np.isnan(end.loss)
    np.testing.assert_array_equal(log.validation_agreement, [0.7, 0.9])
