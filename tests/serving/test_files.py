"""A cascade in a folder: the same answers, and no mix of two models."""

import json
import shutil

import numpy as np
import pytest
from skllkd import CascadeClassifier, LLKDClassifier, ONNXClassifier
from skllkd.exceptions import InvalidParameterError, SavedModelError
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import PrecomputedTeacher

from tests.conftest import TOPICS
from tests.serving.test_cascade import told
from tests.serving.told import ToldTeacher, told_texts


@pytest.fixture(scope="module")
def cascade(news, tiny_path):
    texts, gold = news
    clf = LLKDClassifier(
        PrecomputedTeacher(texts, gold),
        dict.fromkeys(TOPICS, "news"),
        refine=None,
        student=FrozenEncoderStudent(tiny_path, head="hidden", device="cpu"),
        n_epochs=100,
        random_state=0,
        verbose=0,
    )
    cascade = CascadeClassifier(
        clf, target=0.05, random_state=0, abstention_label="unsure", audit_share=0
    )
    return cascade.fit(texts)


@pytest.fixture(scope="module", params=["folder", "onnx"])
def original(request, cascade, news, tmp_path_factory):
    """Return a cascade of each kind, and the folder it is saved in."""
    tmp_path = tmp_path_factory.mktemp("original")
    if request.param == "folder":
        cascade.save(tmp_path / "model")
        return cascade, tmp_path / "model"
    pytest.importorskip("onnx")
    texts, gold = news
    cascade.estimator_.export_onnx(tmp_path / "x.onnx", texts[:20])
    of_onnx = CascadeClassifier(
        ONNXClassifier(tmp_path / "x.onnx", n_threads=1),
        target=0.05,
        held_out="prefit",
        abstention_label="unsure",
        audit_share=0,
    ).fit(texts, gold)
    of_onnx.save(tmp_path / "model")
    return of_onnx, tmp_path / "model"


@pytest.fixture
def saved(original, tmp_path):
    """Return a cascade and a folder of one's own with it."""
    cascade, folder = original
    return cascade, shutil.copytree(folder, tmp_path / "model")


def test_a_loaded_cascade_answers_the_same(saved, news):
    cascade, folder = saved
    loaded = CascadeClassifier.load(folder)
    new = [f"{text} again" for text in news[0][:60]]
    expected, found = (
        cascade.set_params(teacher=False).decision(new),
        loaded.decision(new),
    )
    cascade.set_params(teacher=None)
    assert found.label.tolist() == expected.label.tolist()
    assert found.source.tolist() == expected.source.tolist()
    np.testing.assert_allclose(found.proba, expected.proba, atol=1e-5)
    assert loaded.curve_.chosen_coverage == cascade.curve_.chosen_coverage
    assert loaded.drift(new).n_texts == cascade.drift(new).n_texts
    assert str(loaded.report()).splitlines()[0] == str(cascade.report()).splitlines()[0]


def test_a_loaded_cascade_asks_the_teacher_named(saved, news):
    _, folder = saved
    loaded = CascadeClassifier.load(folder, teacher=PrecomputedTeacher(*news))
    loaded.threshold_ = 2.0
    assert loaded.predict(news[0][:30]).tolist() == news[1][:30]


def test_another_classifier_in_the_folder_is_noticed(saved, cascade, news):
    _, folder = saved
    if (folder / "skllkd.json").exists():
        settings = json.loads((folder / "skllkd.json").read_text())
        (folder / "skllkd.json").write_text(json.dumps(settings | {"agreement": 0.5}))
    else:
        cascade.estimator_.export_onnx(
            folder / "student.onnx", news[0][:5], quantize=None
        )
        data = (folder / "student.onnx").read_bytes()
        (folder / "student.onnx").write_bytes(data.replace(b"MatMul", b"MatMuL", 1))
    with pytest.raises(SavedModelError):
        CascadeClassifier.load(folder)


def test_a_damaged_cascade_is_named(cascade, tmp_path):
    cascade.save(tmp_path)
    text = (tmp_path / "cascade.json").read_text()
    for damaged in ("", "[]", text.replace('"parameters"', '"others"')):
        (tmp_path / "cascade.json").write_text(damaged)
        with pytest.raises(SavedModelError, match="no cascade that can be read"):
            CascadeClassifier.load(tmp_path)
    (tmp_path / "cascade.json").write_text(text.replace('"format": 1', '"format": 99'))
    with pytest.raises(SavedModelError, match="format 99"):
        CascadeClassifier.load(tmp_path)


def test_a_classifier_without_a_format_is_refused(tmp_path):
    cascade = told(ToldTeacher(), target=0.5).fit(told_texts(60))
    with pytest.raises(InvalidParameterError, match=r"ToldStudent.*joblib"):
        cascade.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
