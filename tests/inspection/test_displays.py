import matplotlib
import numpy as np
import pytest
from skllkd import (
    ConfidenceUncertaintyDisplay,
    LLKDClassifier,
    ReliabilityDisplay,
    SelectionDisplay,
)
from skllkd.exceptions import InvalidParameterError
from skllkd.selection import LLKDSelection, SelectAll
from skllkd.students import SklearnStudent
from skllkd.teachers import BatchCalibration, CallableTeacher

from tests.conftest import TOPICS, GoldTeacher

matplotlib.use("Agg")
from matplotlib import pyplot


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture
def fitted(quick_classifier, news):
    return quick_classifier.set_params(selection=LLKDSelection()).fit(news[0][:120])


def test_selection_display_draws_share_and_both_thresholds(fitted):
    display = SelectionDisplay.from_estimator(fitted)
    lines = display.ax_.get_lines()
    assert len(lines) == 2 + 2 * 5
    shares = fitted.history_["n_selected"] / fitted.history_["n_presented"]
    np.testing.assert_allclose(lines[0].get_ydata(), shares)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["share selected", *fitted.classes_]


def test_selection_display_without_thresholds_and_with_many_classes(fitted, news):
    fitted.set_params(selection=SelectAll()).fit(news[0][:120])
    assert len(SelectionDisplay.from_estimator(fitted).ax_.get_lines()) == 2
    many = np.full((3, 40), 0.5)
    display = SelectionDisplay(np.ones(3), many, many, np.arange(40)).plot()
    assert len(display.ax_.collections) == 2


def test_map_shows_every_labelled_text_and_the_disagreements(fitted, news):
    _, ax = pyplot.subplots()
    display = ConfidenceUncertaintyDisplay.from_estimator(fitted, news[0][:120], ax=ax)
    assert display.ax_ is ax
    assert len(ax.collections[0].get_offsets()) == 120
    disagree = fitted.predict(news[0][:120]) != fitted.pseudo_labels_
    assert len(ax.collections[1].get_offsets()) == disagree.sum()
    with pytest.raises(InvalidParameterError, match="120 texts.*others"):
        ConfidenceUncertaintyDisplay.from_estimator(fitted, news[0][:7])


def test_equal_confidences_share_a_bin():
    """Cut apart they would differ in accuracy by chance."""
    right = np.tile([True, False], 50)
    display = ReliabilityDisplay({"x": (np.full(100, 0.5), right)})
    assert display.to_frame()["n_texts"].tolist() == [100]
    assert display.calibration_error("x") == 0


def test_reliability_display_raw_and_calibrated(news):
    texts, gold = news

    def biased(some):
        proba = GoldTeacher(texts, gold, confidence=0.6)(some)
        proba[:, 0] *= 5
        return proba / proba.sum(axis=1, keepdims=True)

    order = TOPICS[::-1]
    teacher = CallableTeacher(
        lambda some: biased(some)[:, ::-1], calibration=BatchCalibration()
    )
    classifier = LLKDClassifier(
        teacher, order, student=SklearnStudent(), random_state=0
    )
    classifier.fit(texts[:200])
    display = ReliabilityDisplay.from_estimator(classifier, texts[:200], gold[:200])
    raw, calibrated = biased(texts[:200]), classifier.teacher_proba_
    confidence, right = display.curves["teacher, raw"]
    np.testing.assert_allclose(confidence, raw.max(axis=1))
    np.testing.assert_array_equal(
        right, np.array(TOPICS)[raw.argmax(axis=1)] == np.array(gold[:200])
    )
    confidence, right = display.curves["teacher, calibrated"]
    np.testing.assert_allclose(confidence, calibrated.max(axis=1))
    frame = display.to_frame()
    assert set(frame["curve"]) == {"teacher, raw", "teacher, calibrated", "student"}
    assert (frame.groupby("curve")["n_texts"].sum() == 200).all()
    assert len(display.ax_.get_lines()) == 4


def test_calibration_error_by_hand():
    confidence = np.array([0.6, 0.6, 0.9, 0.9])
    right = np.array([True, False, True, True])
    display = ReliabilityDisplay({"x": (confidence, right)}, n_bins=2)
    assert display.calibration_error("x") == pytest.approx((0.1 + 0.1) / 2)


def test_displays_as_frames(quick_classifier, news):
    classifier = quick_classifier.set_params(selection=LLKDSelection()).fit(
        news[0][:96]
    )
    frame = SelectionDisplay.from_estimator(classifier).to_frame()
    assert frame.shape == (6, 1 + 2 * 5)
    np.testing.assert_array_equal(
        frame["student_threshold[tech]"], classifier.student_thresholds_[:, 4]
    )
    frame = ConfidenceUncertaintyDisplay.from_estimator(
        classifier, news[0][:96]
    ).to_frame()
    assert frame["times_selected"].tolist() == classifier.times_selected_.tolist()
    disagree = classifier.predict(news[0][:96]) != classifier.pseudo_labels_
    assert frame["disagree"].tolist() == disagree.tolist()
