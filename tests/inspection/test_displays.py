import matplotlib
import numpy as np
import pytest
from skllkd import ConfidenceUncertaintyDisplay, SelectionDisplay
from skllkd.exceptions import InvalidParameterError
from skllkd.selection import LLKDSelection, SelectAll

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
