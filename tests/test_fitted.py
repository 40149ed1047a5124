"""The state of a fitted classifier, and the attributes that show it."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skllkd import LLKDClassifier
from skllkd._fitted import fitted_state
from skllkd.selection import LLKDSelection, SelectAll

TEXTS = 60


@pytest.fixture
def fitted(quick_classifier, news):
    return quick_classifier.set_params(selection=LLKDSelection()).fit(news[0][:TEXTS])


def test_learned_attributes_are_the_fields_of_the_state(fitted):
    state = fitted_state(fitted)
    check_is_fitted(fitted)
    assert state.attributes().keys() == {k for k in vars(fitted) if k.endswith("_")}
    for name, value in state.attributes().items():
        np.testing.assert_array_equal(getattr(fitted, name), value)
    assert "teacher_thresholds_" in state.attributes()
    with pytest.raises(NotFittedError):
        fitted_state(LLKDClassifier())


def test_a_second_fit_leaves_nothing_of_the_first(fitted, news):
    fitted.set_params(selection=SelectAll()).fit(news[0][:30])
    assert not hasattr(fitted, "teacher_thresholds_")
    assert len(fitted.teacher_proba_) == 30


def test_a_file_holds_the_state_without_texts_in_half_the_bytes(fitted, news):
    loaded = pickle.loads(pickle.dumps(fitted))
    state = fitted_state(loaded)
    assert state.pool is None
    assert state.teacher_proba.dtype == state.label_mass.dtype == np.float32
    assert state.is_pool(news[0][:TEXTS])
    assert not state.is_pool(news[0][1 : TEXTS + 1])
    assert loaded.student_ is state.student
    assert loaded.pseudo_labels_.tolist() == fitted.pseudo_labels_.tolist()


def test_a_copy_keeps_texts_and_shares_nothing_that_learns(fitted, news):
    twin = copy.deepcopy(fitted)
    assert fitted_state(twin).pool == news[0][:TEXTS]
    assert twin.student_ is fitted_state(twin).student
    assert twin.student_ is not fitted.student_


def test_what_comes_after_fit_knows_no_classifier():
    """Report, displays, folders and ONNX read the state."""
    import skllkd.inspection.displays
    import skllkd.persistence.folder

    for module in (skllkd.inspection.displays, skllkd.persistence.folder):
        assert "LLKDClassifier" not in vars(module)
