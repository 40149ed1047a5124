"""Out-of-fold predictions."""

import numpy as np
import pytest
from skllkd import LLKDClassifier
from skllkd.selection import SelectAll
from skllkd.students import FrozenEncoderStudent, SklearnStudent, TransformerStudent
from skllkd.training.cross_fit import out_of_fold_proba
from skllkd.training.schedule import Schedule


def schedule(n_epochs=5):
    return Schedule(n_epochs, 8, np.random.RandomState(0))


def test_a_row_is_predicted_by_students_that_did_not_see_it():
    """Each row is a feature of its own: who learned from it knows, others cannot."""
    rows, label = np.eye(20) * 5, np.arange(20) % 2
    proba = np.eye(2)[label]
    student = SklearnStudent(vectorizer="passthrough")
    student_proba = out_of_fold_proba(student, rows, proba, np.ones(20), 5, schedule())
    np.testing.assert_allclose(student_proba.sum(axis=1), 1)
    assert (student_proba[np.arange(20), label] < 0.6).all()


def test_predictions_correct_the_teacher_s_errors():
    rng = np.random.RandomState(0)
    label = np.arange(60) % 2
    rows = rng.normal(size=(60, 3)) * 0.1 + label[:, None]
    label[:3] = 1 - label[:3]  # the teacher errs
    student = SklearnStudent(vectorizer="passthrough")
    student_proba = out_of_fold_proba(
        student, rows, np.eye(2)[label], np.ones(60), 5, schedule()
    )
    assert (student_proba.argmax(axis=1)[:3] == 1 - label[:3]).all()
    assert (student_proba.argmax(axis=1)[3:] == label[3:]).mean() > 0.95


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_small_pools(n_rows):
    student = SklearnStudent(vectorizer="passthrough")
    proba = np.eye(2)[np.arange(n_rows) % 2]
    rows = np.eye(3)[:n_rows]
    student_proba = out_of_fold_proba(
        student, rows, proba, np.ones(n_rows), 5, schedule()
    )
    np.testing.assert_allclose(student_proba.sum(axis=1), 1)


def test_the_fast_proxy_of_an_encoder_is_the_encoder_frozen():
    quick, n_epochs = TransformerStudent("folder", max_length=64).fast_proxy(3)
    assert isinstance(quick, FrozenEncoderStudent)
    assert (quick.model, quick.max_length, n_epochs) == ("folder", 64, 10)
    same, n_epochs = quick.fast_proxy(4)
    assert type(same) is FrozenEncoderStudent
    assert n_epochs == 4


class CrossFitted(SelectAll):
    n_folds = 3

    def begin(self, pool, n_steps, random_state, first_step=0):
        self.out_of_fold_ = pool.student_proba


def test_a_selection_that_asks_for_them_has_them_in_its_pool():
    texts = [f"{'card' if i % 2 else 'site'} number {i}" for i in range(40)] + [""]
    clf = LLKDClassifier(
        lambda given: ["b" if "card" in text else "a" for text in given],
        ["a", "b"],
        selection=CrossFitted(),
        student=SklearnStudent(),
        random_state=0,
        verbose=0,
    )
    with pytest.warns(UserWarning, match="no teacher label"):
        clf.fit(texts)
    student_proba = clf.selection_.out_of_fold_
    assert student_proba.shape == (40, 2)  # none for the row without a label
    assert (student_proba.argmax(axis=1) == np.arange(40) % 2).all()
    again = LLKDClassifier(
        lambda given: ["b" if "card" in text else "a" for text in given],
        ["a", "b"],
        selection=CrossFitted(),
        student=SklearnStudent(),
        random_state=0,
        verbose=0,
    ).fit(texts[:-1])
    np.testing.assert_array_equal(again.selection_.out_of_fold_, student_proba)
