"""Export to ONNX and the classifier that opens the file, on a tiny encoder."""

import json
import sys
from dataclasses import replace

import joblib
import numpy as np
import onnx
import onnxruntime
import pytest
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from skllkd import LLKDClassifier, ONNXClassifier
from skllkd.exceptions import (
    DisagreementError,
    InvalidParameterError,
    SavedModelError,
    SkllkdWarning,
    TruncationWarning,
)
from skllkd.persistence.onnx_classifier import SETTINGS
from skllkd.selection import SelectAll
from skllkd.students import FrozenEncoderStudent, SklearnStudent, TransformerStudent
from skllkd.students._torch import onnx as room
from skllkd.students._torch.encoder import new_classifier
from skllkd.students.encoder_base import onnx_graph

from tests.conftest import TOPICS


def fitted_student(tiny_path, texts, labels, **parameters):
    student = TransformerStudent(
        tiny_path, device="cpu", max_length=64, learning_rate=1e-3, **parameters
    )
    classifier = LLKDClassifier(
        student=student, selection=SelectAll(), random_state=0, verbose=0
    )
    return classifier.fit(texts, labels)


@pytest.fixture(scope="module")
def short(news):
    """Return sentences of many lengths, with the topics of their stories."""
    rng = np.random.RandomState(0)
    texts = [" ".join(text.split()[: rng.randint(1, 20)]) for text in news[0]]
    return texts, news[1]


@pytest.fixture(scope="module")
def fitted(tiny_path, short):
    return fitted_student(tiny_path, short[0][:200], short[1][:200])


@pytest.fixture(scope="module")
def exported(fitted, short, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "student.onnx"
    fitted.export_onnx(path, short[0][:50])
    return path


# ---- the file predicts what the classifier does


@pytest.mark.parametrize(
    "parameters",
    [
        {"pooling": "mean"},
        {"pooling": "cls"},
        {"pooling": "attention", "head": "hidden"},
        {"pooling": "architecture"},
    ],
)
def test_every_pooling_and_head_is_exported(parameters, tiny_path, short, tmp_path):
    texts, labels = short
    classifier = fitted_student(tiny_path, texts[:64], labels[:64], **parameters)
    result = classifier.export_onnx(tmp_path / "m.onnx", texts[:100])
    assert result.equal_labels == 1
    assert result.largest_difference < 1e-5
    assert result.n_texts == 100
    assert result.n_bytes == (tmp_path / "m.onnx").stat().st_size
    exported = ONNXClassifier(tmp_path / "m.onnx")
    np.testing.assert_allclose(
        exported.predict_proba(texts[100:]),
        classifier.predict_proba(texts[100:]),
        atol=1e-5,
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "m.onnx"]


def test_a_frozen_encoder_s_student_is_exported(tiny_path, short, tmp_path):
    texts, labels = short
    student = FrozenEncoderStudent(tiny_path, device="cpu", max_length=64)
    classifier = LLKDClassifier(student=student, random_state=0, verbose=0)
    classifier.fit(texts[:64], labels[:64])
    result = classifier.export_onnx(tmp_path / "m.onnx", texts[64:160])
    assert result.equal_labels == 1
    assert result.largest_difference < 1e-5


def test_the_graph_is_fused(exported):
    operators = {node.op_type for node in onnx.load(exported).graph.node}
    assert {"Attention", "LayerNormalization", "BiasGelu"} <= operators
    assert "SkipLayerNormalization" not in operators  # slow in onnxruntime


@pytest.mark.parametrize("kind", sorted(room._LIKE_BERT))
@pytest.mark.parametrize(("pooling", "n_layers"), [("mean", 2), ("architecture", 1)])
def test_every_known_architecture_is_fused(kind, pooling, n_layers):
    """Whatever the versions of transformers and onnxruntime: .ci/lower_bounds has both."""
    from transformers import AutoConfig, AutoModel  # seconds

    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    sizes["num_hidden_layers"] = n_layers
    config = AutoConfig.for_model(kind, vocab_size=99, **sizes)
    if kind == "distilbert":
        config = AutoConfig.for_model(
            kind, vocab_size=99, dim=16, n_layers=n_layers, n_heads=2
        )
    encoder = AutoModel.from_config(config)
    model = new_classifier(encoder, 3, pooling, 0.0, "linear").eval()
    operators = [
        node.op_type for node in room.onnx_graph(model, quantize=None).graph.node
    ]
    assert operators.count("Attention") == n_layers
    assert "Softmax" not in operators


def test_opening_the_file_does_not_slow_it_down(exported, tmp_path, monkeypatch):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "opened.onnx")
    monkeypatch.setattr(onnxruntime, "SessionOptions", lambda: options)
    ONNXClassifier(exported).fit()
    operators = {n.op_type for n in onnx.load(tmp_path / "opened.onnx").graph.node}
    assert "Attention" in operators
    assert "SkipLayerNormalization" not in operators


def test_an_architecture_the_optimizer_does_not_know(fitted, monkeypatch):
    """Then the graph is torch's own, and as right."""
    monkeypatch.setattr(room, "_LIKE_BERT", set())
    operators = {n.op_type for n in onnx_graph(fitted.student_).graph.node}
    assert "Attention" not in operators
    assert "MatMul" in operators


def test_a_fused_graph_that_is_wrong_is_not_used(fitted, monkeypatch):
    monkeypatch.setattr(room, "_TOLERANCE", -1.0)  # nothing is near enough
    operators = {n.op_type for n in onnx_graph(fitted.student_).graph.node}
    assert "Attention" not in operators


def test_eight_bits(fitted, short, exported, tmp_path):
    texts = short[0]
    path = tmp_path / "int8.onnx"
    result = fitted.export_onnx(path, texts, quantize="int8", max_disagreement=0.1)
    assert 0.9 <= result.equal_labels <= 1
    assert 1e-6 < result.largest_difference < 0.1
    operators = {node.op_type for node in onnx.load(path).graph.node}
    assert {"QAttention", "MatMulInteger"} <= operators
    assert "MatMul" in operators  # the head, and only it, stays in 32 bits
    float_products = [n for n in onnx.load(path).graph.node if n.op_type == "MatMul"]
    assert len(float_products) == 1
    assert path.stat().st_size < exported.stat().st_size
    same = ONNXClassifier(path).predict(texts) == fitted.predict(texts)
    assert same.mean() == result.equal_labels


def test_a_large_token_leaves_the_others_their_digits_in_eight_bits():
    """With one step for all rows, those of size 1 beside one of 1,000 would be 0."""
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(1, 6, 32)).astype(np.float32)
    rows[0, 1] *= 1000
    rows[0, 2] *= 1e-3
    rows[0, 3] = 0
    weights = rng.normal(size=(32, 16)).astype(np.float32)
    product = onnx.helper.make_node("MatMul", ["rows", "weights"], ["product"], "name")
    graph = onnx.helper.make_graph(
        [product],
        "graph",
        [onnx.helper.make_tensor_value_info("rows", 1, [1, None, 32])],
        [onnx.helper.make_tensor_value_info("product", 1, [1, None, 16])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    eight = room.in_eight_bits(model)
    assert "MatMulInteger" in {node.op_type for node in eight.graph.node}
    session = onnxruntime.InferenceSession(
        eight.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found, wanted = session.run(None, {"rows": rows})[0], rows @ weights
    assert (found[0, 3] == 0).all()
    large = np.abs(wanted).max(axis=-1, keepdims=True)
    assert (np.abs(found - wanted) <= 0.03 * large).all()


def test_company_and_threads_change_nothing(exported, short):
    texts = short[0]
    one = ONNXClassifier(exported, n_threads=1)
    two = ONNXClassifier(exported, n_threads=2)
    proba = one.predict_proba(texts)
    np.testing.assert_allclose(two.predict_proba(texts), proba, atol=1e-6)
    np.testing.assert_allclose(one.predict_proba(texts[::-1])[::-1], proba, atol=1e-6)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    with pytest.warns(SkllkdWarning, match="half a surrogate pair"):
        proba = one.predict_proba(["", "\ud800 lone surrogate"])
    assert proba.shape == (2, 5)


# ---- it refuses


def test_a_file_that_predicts_otherwise_is_not_written(fitted, short, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"what was here")
    state = replace(fitted._fitted, student=Contrary(fitted.student_))
    broken = LLKDClassifier()._with_state(state)
    with pytest.raises(
        DisagreementError, match=r"[\d.]+% of the 40 texts.*=0.01 .*save"
    ):
        broken.export_onnx(path, short[0][:40])
    assert path.read_bytes() == b"what was here"
    assert list(tmp_path.iterdir()) == [path]
    result = broken.export_onnx(path, short[0][:40], max_disagreement=1.0)
    assert result.equal_labels < 0.7
    assert path.stat().st_size > 1000


class Contrary(TransformerStudent):
    """Says another class than its graph for some texts."""

    def __init__(self, other):
        self.__dict__.update(other.__dict__)

    def predict_proba(self, texts):
        proba = super().predict_proba(texts)
        proba[::2] = np.roll(proba[::2], 1, axis=1)
        return proba


def test_no_number_is_no_label(fitted, short, tmp_path):
    """The likeliest of a row of NaN is the first class, which may be right by chance."""
    student = Contrary(fitted.student_)
    student.weights_ = student.weights_ | {
        "head.bias": np.full_like(student.weights_["head.bias"], np.nan)
    }
    student.predict_proba = lambda texts: np.eye(5)[np.zeros(len(texts), int)]
    broken = LLKDClassifier()._with_state(replace(fitted._fitted, student=student))
    with pytest.raises(DisagreementError, match="100.00%"):
        broken.export_onnx(tmp_path / "m.onnx", short[0][:8])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "bad", [{"quantize": "int4"}, {"max_disagreement": 1.5}, {"max_disagreement": "no"}]
)
def test_bad_parameters_are_named(bad, fitted, tmp_path):
    with pytest.raises(InvalidParameterError, match=f"`{next(iter(bad))}`"):
        fitted.export_onnx(tmp_path / "m.onnx", ["a text"], **bad)
    with pytest.raises(InvalidParameterError, match="at least one"):
        fitted.export_onnx(tmp_path / "m.onnx", [])


def test_only_a_fitted_transformer_student(tmp_path):
    with pytest.raises(NotFittedError):
        LLKDClassifier().export_onnx(tmp_path / "m.onnx", ["a text"])
    words = LLKDClassifier(student=SklearnStudent()).fit(
        ["aa", "bb"] * 4, TOPICS[:2] * 4
    )
    with pytest.raises(InvalidParameterError, match="SklearnStudent"):
        words.export_onnx(tmp_path / "m.onnx", ["a text"])


# ---- the classifier


@pytest.mark.parametrize("kind", [str, int, bool])
def test_class_names_keep_their_type(kind, tiny_path, short, tmp_path):
    labels = [kind(name == "sports") for name in short[1][:48]]
    student = FrozenEncoderStudent(tiny_path, device="cpu")
    classifier = LLKDClassifier(student=student, verbose=0).fit(short[0][:48], labels)
    classifier.export_onnx(tmp_path / "m.onnx", short[0][:48])
    exported = ONNXClassifier(tmp_path / "m.onnx")
    assert exported.classes_.tolist() == classifier.classes_.tolist()
    assert exported.classes_.dtype == classifier.classes_.dtype
    assert exported.predict(short[0][:3]).dtype == classifier.classes_.dtype


def test_it_is_a_scikit_learn_classifier(exported, short):
    texts, labels = short
    classifier = ONNXClassifier(exported)
    assert classifier.get_params() == {"path": exported, "n_threads": None}
    before = classifier.predict_proba(texts[:9])
    assert classifier.fit(texts[:9], ["sports"] * 9) is classifier
    np.testing.assert_array_equal(classifier.predict_proba(texts[:9]), before)
    assert classifier.classes_.tolist() == TOPICS
    score = classifier.score(texts, labels)
    assert score == np.mean(classifier.predict(texts) == np.array(labels))
    copy = sklearn.clone(classifier)
    assert "_model" not in vars(copy)
    assert copy.score(texts, labels) == score
    assert sklearn.clone(FrozenEstimator(classifier)).score(texts, labels) == score
    pipe = make_pipeline(ONNXClassifier(exported))
    assert pipe.fit(texts, labels).score(texts, labels) == score
    folds = cross_val_score(classifier, texts, labels, cv=4)
    assert folds.mean() == pytest.approx(score)
    assert sklearn.utils.get_tags(classifier).input_tags.string


def test_a_pickle_holds_the_path_only(exported, short, tmp_path):
    classifier = ONNXClassifier(exported)
    classifier.predict(short[0][:3])
    joblib.dump(classifier, tmp_path / "c.joblib")
    assert (tmp_path / "c.joblib").stat().st_size < 1000


def test_long_texts_are_cut_and_counted(exported, fitted):
    with pytest.warns(TruncationWarning, match="1 of 2 texts .* 64 tokens"):
        cut = ONNXClassifier(exported).predict_proba(["word " * 100, "short"])
    with pytest.warns(TruncationWarning):
        np.testing.assert_allclose(
            cut, fitted.predict_proba(["word " * 100, "short"]), atol=1e-5
        )


@pytest.mark.parametrize("bad", [0, "many", 1.5])
def test_bad_numbers_of_threads(bad, exported):
    with pytest.raises(InvalidParameterError, match="`n_threads`"):
        ONNXClassifier(exported, n_threads=bad).predict(["a text"])


def test_joblib_s_workers_share_the_cores(exported, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert ONNXClassifier(exported)._number_of_threads() == 8
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert ONNXClassifier(exported)._number_of_threads() == 2


# ---- files that are none


def changed(exported, path, settings):
    """Write a file with other settings in it."""
    model = onnx.load(exported)
    for entry in model.metadata_props:
        if entry.key == SETTINGS:
            entry.value = json.dumps(json.loads(entry.value) | settings)
    onnx.save(model, path)
    return path


def test_files_that_hold_no_classifier(exported, tmp_path):
    path = tmp_path / "m.onnx"
    with pytest.raises(SavedModelError, match=r"no file .*m\.onnx"):
        ONNXClassifier(path).fit()
    path.write_bytes(exported.read_bytes()[:5000])
    with pytest.raises(SavedModelError, match="cannot be read"):
        ONNXClassifier(path).predict(["a text"])
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(SavedModelError, match="no classifier of skllkd"):
        ONNXClassifier(path).fit()


def test_files_of_a_later_version_or_damaged(exported, tmp_path):
    later = changed(exported, tmp_path / "later.onnx", {"format": 99})
    with pytest.raises(SavedModelError, match="format 99.*Upgrade"):
        ONNXClassifier(later).fit()
    damaged = changed(exported, tmp_path / "damaged.onnx", {"max_length": "long"})
    with pytest.raises(SavedModelError, match="damaged.*Export it again"):
        ONNXClassifier(damaged).fit()


def test_without_onnxruntime_the_extra_is_named(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"skllkd\[onnx\]"):
        ONNXClassifier(exported).predict(["a text"])
