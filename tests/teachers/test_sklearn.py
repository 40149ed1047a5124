"""A fitted scikit-learn classifier that teaches."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from skllkd import LLKDClassifier
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
)
from skllkd.students import SklearnStudent
from skllkd.teachers import BatchCalibration, SklearnTeacher
from skllkd.teachers.wrapping import as_teacher

from tests.conftest import TOPICS


@pytest.fixture(scope="module")
def pipeline(news):
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(
        news[0][:150], news[1][:150]
    )


def test_columns_follow_the_classes_asked_for(pipeline, news):
    texts = news[0][150:160]
    for classes in (TOPICS, TOPICS[::-1]):
        labels = SklearnTeacher(pipeline).label(texts, classes)
        expected = pipeline.predict_proba(texts)
        order = [pipeline.classes_.tolist().index(name) for name in classes]
        np.testing.assert_allclose(labels.proba, expected[:, order])
    assert (labels.n_asked, labels.n_reused) == (0, 0)
    assert set(labels.source) == {"model"}


def test_blank_texts_have_no_label(pipeline):
    with pytest.warns(MissingLabelWarning, match="1 of 2"):
        assert SklearnTeacher(pipeline).label(["x", " "], TOPICS).missing[1]
    with pytest.warns(MissingLabelWarning, match="1 of 1"):
        SklearnTeacher(pipeline).label([""], TOPICS)


def test_a_clone_shares_what_was_fitted(pipeline):
    teacher = SklearnTeacher(pipeline, calibration=BatchCalibration())
    twin = clone(teacher)
    assert twin.estimator is pipeline
    assert twin.calibration == BatchCalibration()
    classifier = LLKDClassifier(pipeline, TOPICS)
    assert clone(classifier).teacher is pipeline
    assert clone(LLKDClassifier(teacher, TOPICS)).teacher.estimator is pipeline


def test_it_teaches_through_a_grid_search(pipeline, news):
    parameters = {"refine": None, "random_state": 0, "verbose": 0}
    classifier = LLKDClassifier(
        pipeline, TOPICS, student=SklearnStudent(), **parameters
    )
    search = GridSearchCV(classifier, {"n_epochs": [1, 2]}, cv=2, error_score="raise")
    search.fit(news[0][150:350])
    assert search.score(news[0][350:], news[1][350:]) > 0.25
    assert search.best_estimator_.score(news[0][350:]) > 0.2  # label-free


def test_a_fitted_classifier_of_ours_teaches_another(quick_classifier, news):
    first = quick_classifier.fit(news[0])
    second = LLKDClassifier(first, TOPICS, student=SklearnStudent(), random_state=1)
    second.fit(news[0])
    np.testing.assert_allclose(second.teacher_proba_, first.predict_proba(news[0]))
    assert isinstance(as_teacher(first), SklearnTeacher)


def test_rows_of_numbers():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 3))
    forest = LogisticRegression().fit(X, X[:, 0] > 0)
    labels = SklearnTeacher(forest).label(X, [True, False])
    np.testing.assert_allclose(labels.proba[:, ::-1], forest.predict_proba(X))
    assert labels.n_asked == 0


def test_what_cannot_teach_is_named(pipeline, news):
    def label(estimator, classes=("a", "b")):
        SklearnTeacher(estimator).label(["x"], list(classes))

    with pytest.raises(InvalidParameterError, match="fitted before.*Logistic"):
        label(LogisticRegression())
    with pytest.raises(InvalidParameterError, match="must be a fitted.*'gpt'"):
        label("gpt")
    with pytest.raises(InvalidParameterError, match="must be a fitted"):
        label(LogisticRegression)
    margins = make_pipeline(TfidfVectorizer(), LinearSVC()).fit(
        ["one", "two"], ["a", "b"]
    )
    with pytest.raises(InvalidParameterError, match="CalibratedClassifierCV"):
        label(margins)
    with pytest.raises(InvalidParameterError, match=r"'a', 'b'.*'business'"):
        label(pipeline)
    with pytest.raises(InvalidParameterError, match="fitted before"):
        LLKDClassifier(clone(pipeline), TOPICS, student=SklearnStudent()).fit(news[0])
    with pytest.raises(InvalidParameterError, match="`teacher`.*got type"):
        as_teacher(LogisticRegression)
