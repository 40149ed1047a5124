"""Files of classifiers of texts that may have several classes."""

import json

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from skllkd import LLKDClassifier, Multilabel, ONNXClassifier
from skllkd.exceptions import SavedModelError
from skllkd.selection import LLKDSelection, SelectAll
from skllkd.selection.per_class import PerClass
from skllkd.students import FrozenEncoderStudent, SklearnStudent, TransformerStudent

CLASSES = Multilabel({"town": "places", "fruit": "food"})
TEXTS = [
    f"{words} {i}" for i in range(12) for words in ("apple", "street", "apple town")
]


def teacher(texts):
    return [["town" in t or "street" in t, "apple" in t] for t in texts]


def fit(student, selection=None):
    return LLKDClassifier(
        teacher,
        CLASSES,
        student=student,
        selection=selection,
        random_state=0,
        verbose=0,
    ).fit(TEXTS)


@pytest.fixture(scope="module")
def fitted(tiny_path):
    student = TransformerStudent(tiny_path, pooling="architecture", device="cpu")
    # Without memory some text always reaches the thresholds, whatever was learned.
    return fit(student, LLKDSelection(momentum=0.0))


def check_same(one, other):
    np.testing.assert_array_equal(one.predict(TEXTS), other.predict(TEXTS))
    np.testing.assert_array_equal(one.predict_proba(TEXTS), other.predict_proba(TEXTS))
    np.testing.assert_array_equal(one.thresholds_, other.thresholds_)


def test_a_folder_restores_all(fitted, tmp_path):
    fitted.save(tmp_path)
    loaded = LLKDClassifier.load(tmp_path)
    check_same(loaded, fitted)
    assert loaded.classes == CLASSES
    assert loaded.pseudo_labels_.tolist() == fitted.pseudo_labels_.tolist()
    assert isinstance(loaded.selection_, PerClass)
    np.testing.assert_array_equal(
        loaded.teacher_thresholds_, fitted.teacher_thresholds_
    )
    np.testing.assert_array_equal(loaded.times_selected_, fitted.times_selected_)
    assert isinstance(clone(loaded).selection, LLKDSelection)
    loaded.set_params(teacher=teacher).partial_fit(TEXTS)  # it goes on
    card = (tmp_path / "README.md").read_text()
    assert "micro-F1" in card
    assert "| fruit | 24 | 66.7% |" in card


def test_transformers_knows_that_a_text_may_have_several(fitted, tmp_path):
    import transformers

    fitted.save(tmp_path)
    pipeline = transformers.pipeline("text-classification", str(tmp_path), top_k=None)
    found = {row["label"]: row["score"] for row in pipeline(["apple town"])[0]}
    proba = fitted.predict_proba(["apple town"])[0]
    assert found == pytest.approx(
        dict(zip(fitted.classes_, proba, strict=True)), abs=1e-5
    )


def test_a_folder_without_learned_arrays(tiny_path, tmp_path):
    frozen = fit(FrozenEncoderStudent(tiny_path, device="cpu"), SelectAll())
    frozen.save(tmp_path)
    loaded = LLKDClassifier.load(tmp_path)
    check_same(loaded, frozen)
    loaded.set_params(teacher=teacher).partial_fit(TEXTS)


def test_damaged_thresholds_are_found(fitted, tmp_path):
    fitted.save(tmp_path)
    path = tmp_path / "skllkd.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps(description | {"multilabel": False}))
    with pytest.raises(SavedModelError, match="thresholds"):
        LLKDClassifier.load(tmp_path)


def test_joblib(tmp_path):
    classifier = fit(SklearnStudent())
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    check_same(joblib.load(tmp_path / "classifier.joblib"), classifier)


def test_onnx(fitted, tmp_path):
    pytest.importorskip("onnxruntime")
    found = fitted.export_onnx(tmp_path / "tags.onnx", TEXTS)
    assert found.equal_labels == 1
    exported = ONNXClassifier(tmp_path / "tags.onnx", n_threads=1)
    np.testing.assert_allclose(
        exported.predict_proba(TEXTS), fitted.predict_proba(TEXTS), atol=1e-5
    )
    np.testing.assert_array_equal(exported.thresholds_, fitted.thresholds_)
    assert exported.predict(TEXTS).shape == (36, 2)
    rows = [[True, False]] * len(TEXTS)
    assert 0 <= exported.score(TEXTS, np.array(rows).astype(int)) <= 1
