"""A cascade and its server with classes in a tree: groups, and a teacher asked for them."""

import numpy as np
import pytest
from skllkd import CascadeClassifier, LLKDClassifier
from skllkd.cli.predict import _OfCascade
from skllkd.exceptions import GuaranteeWarning, InvalidParameterError
from skllkd.selection import SelectAll
from skllkd.serving.files import load_classifier
from skllkd.serving.model import load_cascade
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import MeteredTeacher, Scores
from skllkd.teachers.plan import TokenCount

TREE = {"sport": ["football", "tennis"], "weather": "rain"}
NAMES = ["football", "tennis", "weather"]
TEXTS = [f"{name} story {i}" for i in range(16) for name in NAMES]


def by_name(texts):
    return [text.split()[0] for text in texts]


@pytest.fixture(scope="module")
def classifier(tiny_path):
    how = {"selection": SelectAll(), "random_state": 0, "verbose": 0, "refine": None}
    student = FrozenEncoderStudent(tiny_path, device="cpu")
    return LLKDClassifier(by_name, TREE, student=student, n_epochs=30, **how).fit(TEXTS)


def cascade_at(classifier, threshold, teacher):
    """Return a cascade whose student answers from a threshold."""
    cascade = CascadeClassifier(
        classifier, teacher, held_out="prefit", metric="accuracy", abstention_label="?"
    )
    with pytest.warns(GuaranteeWarning):  # few texts show little
        cascade.fit([f"{text} again" for text in TEXTS], by_name(TEXTS))
    cascade.threshold_ = threshold
    return cascade


@pytest.fixture(scope="module")
def half(classifier):
    """Return a cascade that abstains from half the texts."""
    sure = classifier.predict_proba(TEXTS).max(axis=1)
    return cascade_at(classifier, float(np.median(sure)), False)


def test_a_level_names_the_groups_of_whoever_answers(half):
    decided, groups = half.decision(TEXTS), half.decision(TEXTS, level=1)
    assert (groups.source == decided.source).all()
    answered = decided.source == "student"
    assert 0 < answered.mean() < 1
    wanted = decided.proba[:, :2].sum(axis=1)
    np.testing.assert_allclose(groups.proba[:, 0], wanted)
    likelier = np.maximum(wanted, 1 - wanted)
    np.testing.assert_allclose(groups.confidence[answered], likelier[answered])
    assert (groups.confidence[~answered] == decided.confidence[~answered]).all()
    named = np.where(wanted > 0.5, "sport", "weather")
    assert (groups.label == np.where(answered, named, "?")).all()
    assert (half.predict(TEXTS, level=1) == groups.label).all()
    assert (half.predict(TEXTS, level=2) == decided.label).all()
    with pytest.raises(InvalidParameterError, match="`level`"):
        half.predict(TEXTS, level=3)


ASKED = []


class TreeTeacher(MeteredTeacher):
    """A teacher that is asked down a tree, and remembers the classes it was asked for."""

    _asks_groups = True

    def __init__(self, calibration=None, store=False):
        self.calibration, self.store = calibration, store

    def fingerprint(self, classes):
        return {"classes": list(classes.names)}

    def score_batch(self, texts, classes):
        ASKED.append(classes.names)
        group_of = dict.fromkeys(TREE["sport"], "sport")
        said = [{name, group_of.get(name)} for name in by_name(texts)]
        has = np.array([[n in names for n in classes.names] for names in said])
        return Scores(np.log(np.where(has, 0.9, 0.1)))

    def _count_tokens(self, texts, classes):
        return TokenCount(len(texts), len(texts), "counted")


def test_an_onnx_file_keeps_the_tree_that_a_teacher_is_asked_down(classifier, tmp_path):
    classifier.export_onnx(tmp_path / "m.onnx", TEXTS)
    alone = load_cascade(tmp_path / "m.onnx")
    top = classifier.predict(TEXTS, level=1)
    assert (alone.predict(TEXTS, level=1) == top).all()
    cascade = cascade_at(load_classifier(tmp_path / "m.onnx"), 2.0, TreeTeacher())
    cascade.save(tmp_path / "cascade")
    for asking in (
        cascade,
        CascadeClassifier.load(tmp_path / "cascade", TreeTeacher()),
    ):
        asking.threshold_ = 2.0  # above every probability
        ASKED.clear()
        assert asking.predict(TEXTS).tolist() == by_name(TEXTS)
        assert set(ASKED) == {("sport", "weather"), ("football", "tennis")}
        wanted = ["weather" if t.startswith("w") else "sport" for t in TEXTS]
        assert asking.predict(TEXTS, level=1).tolist() == wanted


def test_the_command_line_takes_a_level_of_a_cascade(half):
    labels, confidence, source = _OfCascade(half, 1).columns(TEXTS)
    decided = half.decision(TEXTS, level=1)
    assert labels == decided.label.tolist()
    assert set(labels) == {"?", "sport", "weather"}
    np.testing.assert_allclose(confidence, decided.confidence, atol=1e-6)
    assert source == decided.source.tolist()


def test_the_server_takes_a_level(half, classifier, tmp_path):
    pytest.importorskip("fastapi")
    pytest.importorskip("prometheus_client")
    from fastapi.testclient import TestClient
    from skllkd.serving.app import make_app

    with TestClient(make_app(lambda: half)) as client:

        def asked(**more):
            return client.post("/predict", json={"texts": TEXTS} | more)

        found = asked(level=1).json()["predictions"]
        assert [row["label"] for row in found] == half.predict(TEXTS, level=1).tolist()
        classes = [row["label"] for row in asked().json()["predictions"]]
        assert classes == half.predict(TEXTS).tolist()
        assert asked(level=None).json() == asked().json()
        missing = asked(level=3)
        assert missing.status_code == 404
        assert "`level`" in missing.json()["detail"]
        for wrong in (0, -1, 1.5, "1", True, [1], 10**30):
            assert asked(level=wrong).status_code == 422


def test_a_server_of_a_list_of_classes_has_no_level():
    pytest.importorskip("fastapi")
    pytest.importorskip("prometheus_client")
    from fastapi.testclient import TestClient
    from skllkd.serving.app import make_app

    from tests.serving.told import ToldStudent, ToldTeacher, told_texts

    cascade = CascadeClassifier(
        ToldStudent(), ToldTeacher(), target=0.8, random_state=0
    )
    cascade.fit(told_texts(800))
    with TestClient(make_app(lambda: cascade)) as client:
        asked = {"texts": told_texts(3), "level": 1}
        answer = client.post("/predict", json=asked)
    assert answer.status_code == 404
    assert "nested mapping" in answer.json()["detail"]
