"""A cascade and its server, where a text may have several classes."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from skllkd import CascadeClassifier, LLKDClassifier, Multilabel
from skllkd.exceptions import InvalidParameterError

NAMES = ["a", "b", "c"]


class ToldTags(ClassifierMixin, BaseEstimator):
    """Read the probabilities of three classes off a text such as "7 .9 .1 .2 a,c"."""

    def fit(self, X, y=None):
        self.classes_, self.thresholds_ = np.array(NAMES), np.array([0.5, 0.5, 0.3])
        return self

    def predict_proba(self, X):
        return np.array([[float(p) for p in text.split()[1:4]] for text in X])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.target_tags.required = False
        return tags


def true_tags(texts):
    return [[name for name in text.split()[4].split(",") if name] for text in texts]


def told_texts(n, seed=0, n_wrong=0.0):
    """Return texts of a student that is right where it is sure, but for some."""
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(n):
        has = rng.random(3) < 0.4
        sure = rng.random() < 0.6
        proba = np.where(has, 0.95, 0.02) if sure else rng.uniform(0.25, 0.6, 3)
        if sure and rng.random() < n_wrong:
            has = ~has
        names = ",".join(name for name, h in zip(NAMES, has, strict=True) if h) or ","
        texts.append(" ".join([f"{seed}.{i}", *(f"{p:.4f}" for p in proba), names]))
    return texts


@pytest.fixture(scope="module")
def cascade():
    cascade = CascadeClassifier(
        ToldTags(), true_tags, target=0.9, held_out=0.5, audit_share=0.0, random_state=0
    )
    return cascade.fit(told_texts(800))


def test_the_student_answers_texts_of_which_all_classes_are_sure(cascade):
    texts = told_texts(300, seed=1)
    decided = cascade.decision(texts)
    is_sure = np.array([text.split()[1] in ("0.9500", "0.0200") for text in texts])
    by_student = decided.source == "student"
    assert by_student[is_sure].all()
    assert 0 < by_student[~is_sure].mean() < 0.3
    wanted = np.array([[n in names for n in NAMES] for names in true_tags(texts)])
    right = is_sure | ~by_student
    np.testing.assert_array_equal(cascade.predict(texts)[right], wanted[right])
    right_names = [list(decided.label[row]) for row in np.flatnonzero(right)]
    assert right_names == [true_tags(texts)[row] for row in np.flatnonzero(right)]
    score = cascade.score(texts, true_tags(texts))
    assert right.mean() <= score < 1
    assert score == cascade.score(texts, wanted.astype(int))
    assert (
        cascade.decision(texts).to_pandas()["label"].tolist() == decided.label.tolist()
    )


def test_nobody_answers_where_there_is_no_teacher(cascade):
    texts = told_texts(800)
    alone = CascadeClassifier(ToldTags(), False, target=0.9, metric="accuracy")
    alone.set_params(random_state=0).fit(texts, true_tags(texts))
    others = told_texts(100, seed=2)
    decided = alone.decision(others)
    abstained = decided.source == "abstained"
    assert 0 < abstained.sum() < 100
    assert {*decided.label[abstained]} == {None}
    assert (alone.predict(others)[abstained] == -1).all()
    assert (alone.predict(others)[~abstained] >= 0).all()
    with pytest.raises(InvalidParameterError, match="`abstention_label`"):
        alone.set_params(abstention_label="none").fit(texts, true_tags(texts))


def test_promises_that_no_longer_hold_and_drift_are_seen(cascade):
    twin = CascadeClassifier(
        ToldTags(), true_tags, target=0.9, held_out=0.5, random_state=0
    ).fit(told_texts(800))
    assert twin.audit(told_texts(200, seed=3)).holds
    with pytest.warns(UserWarning, match="no longer holds"):
        twin.audit(told_texts(300, seed=4, n_wrong=0.6))
    drift = twin.drift([text for text in told_texts(500, seed=5) if "0.95" in text])
    assert drift.drifted
    assert {*drift.class_shares} == {*NAMES}


def test_the_server_answers_with_lists(cascade):
    pytest.importorskip("fastapi")
    pytest.importorskip("prometheus_client")
    from fastapi.testclient import TestClient
    from skllkd.serving.app import make_app

    texts = told_texts(20, seed=6)
    with TestClient(make_app(lambda: cascade)) as client:
        found = client.post("/predict", json={"texts": texts}).json()["predictions"]
    told = [list(names) for names in cascade.decision(texts).label]
    assert [row["label"] for row in found] == told


def test_a_fitted_classifier_in_a_cascade_and_its_files(tmp_path, tiny_path):
    from skllkd.students import FrozenEncoderStudent

    texts = [f"{words} {i}" for i in range(40) for words in ("x", "y", "x y")]
    clf = LLKDClassifier(
        lambda texts: [[name for name in "xy" if name in t.split()] for t in texts],
        Multilabel(["x", "y"]),
        student=FrozenEncoderStudent(tiny_path, learning_rate=0.03, device="cpu"),
        n_epochs=10,
        random_state=0,
        verbose=0,
    )
    cascade = CascadeClassifier(clf, target=0.6, random_state=0).fit(texts)
    cascade.save(tmp_path)
    loaded = CascadeClassifier.load(tmp_path)
    assert loaded._given_classes.multilabel
    mine, theirs = cascade.decision(texts[:9]), loaded.decision(texts[:9])
    by_student = mine.source == "student"
    assert theirs.label[by_student].tolist() == mine.label[by_student].tolist()
    from skllkd.serving.model import load_cascade

    clf = cascade.estimator_
    clf.save(tmp_path / "alone")
    served = load_cascade(tmp_path / "alone")
    assert (served.decision(texts[:9]).source == "student").all()
