"""The real MiniLM on a few dozen real texts."""

import json
import pickle
import pickletools
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from skllkd import LLKDClassifier
from skllkd.exceptions import (
    DivergedError,
    InvalidParameterError,
    SavedModelError,
    TruncationWarning,
)
from skllkd.selection import LLKDSelection, SelectAll
from skllkd.students import TransformerStudent
from skllkd.teachers import (
    BatchCalibration,
    PrecomputedTeacher,
)

from tests.conftest import TOPICS


def new_classifier(news, minilm_path, **parameters):
    student = TransformerStudent(minilm_path, device="cpu")
    return LLKDClassifier(
        PrecomputedTeacher(*news),
        TOPICS,
        refine=None,
        student=student,
        random_state=0,
    ).set_params(**parameters)


@pytest.fixture(scope="module")
def news(news):
    """Return the beginnings of the stories: training on all of each takes minutes."""
    texts, labels = news
    return [" ".join(text.split()[:24]) for text in texts], labels


@pytest.fixture(scope="module")
def fitted(news, minilm_path):
    classifier = new_classifier(news, minilm_path, selection=SelectAll(), n_epochs=6)
    return classifier.fit(news[0][:160])


def test_learns(fitted, news):
    texts, gold = news
    assert fitted.score(texts[300:], gold[300:]) > 0.8
    assert fitted.history_["loss"][-1] < fitted.history_["loss"][0]


def test_llkd_trains_on_less(news, minilm_path):
    classifier = new_classifier(
        news, minilm_path, n_epochs=2, selection=LLKDSelection()
    ).fit(news[0][:96])
    assert 0 < classifier.times_selected_.sum() < 2 * 96
    assert np.isfinite(classifier.student_thresholds_).all()
    u = classifier.student_thresholds_
    assert (u >= 0).all() and (u <= 1).all()


def test_predictions_do_not_depend_on_the_company(fitted, news):
    texts = news[0][200:240]
    together = fitted.predict_proba(texts)
    alone = np.vstack([fitted.predict_proba([text]) for text in texts[:8]])
    np.testing.assert_allclose(together[:8], alone, atol=1e-5)
    np.testing.assert_allclose(
        fitted.predict_proba(texts[::-1])[::-1], together, atol=1e-5
    )


def test_same_seed_same_weights_and_torch_s_randomness_untouched(news, minilm_path):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again = (
        new_classifier(news, minilm_path, n_epochs=1).fit(news[0][:40])
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    for name, array in first.student_.weights_.items():
        np.testing.assert_array_equal(array, again.student_.weights_[name])
    other = new_classifier(news, minilm_path, n_epochs=1, random_state=1)
    other.fit(news[0][:40])
    assert not np.array_equal(
        first.student_.weights_["head.weight"], other.student_.weights_["head.weight"]
    )


def test_dropout_is_really_applied(news, minilm_path):
    def weights(dropout):
        classifier = new_classifier(
            news, minilm_path, n_epochs=1, student__dropout=dropout
        )
        return classifier.fit(news[0][:32]).student_.weights_["head.weight"]

    assert not np.array_equal(weights(0.0), weights(0.5))


def test_long_texts_are_cut_and_counted(fitted, news, minilm_path):
    with pytest.warns(TruncationWarning, match="1 of 2 texts"):
        fitted.predict(["word " * 1000, "short"])
    short = new_classifier(news, minilm_path, n_epochs=1, student__max_length=12)
    with pytest.warns(TruncationWarning, match=r"of 32 texts .* 12 tokens"):
        short.fit(news[0][:32])
    assert short.student_.max_length_ == 12


def test_pooling_is_the_model_s_own_unless_said(fitted, news, minilm_path):
    assert fitted.student_.pooling_ == "mean"
    cls = new_classifier(news, minilm_path, n_epochs=1, student__pooling="cls")
    assert cls.fit(news[0][:32]).student_.pooling_ == "cls"


def test_a_plain_hugging_face_folder_is_an_encoder_too(news, minilm_path, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(minilm_path).save_pretrained(tmp_path / "plain")
    AutoTokenizer.from_pretrained(minilm_path).save_pretrained(tmp_path / "plain")
    classifier = new_classifier(
        news, minilm_path, n_epochs=1, student__model=str(tmp_path / "plain")
    )
    assert classifier.fit(news[0][:32]).student_.pooling_ == "mean"


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_folder_that_holds_no_model_is_named(kind, tmp_path, news, minilm_path):
    folder = tmp_path / "model"
    if kind != "missing":
        folder.mkdir()
    if kind == "file":
        (folder / "config.json").write_text('{"model_type": "no_such_model"}')
    classifier = new_classifier(news, minilm_path, student__model=str(folder))
    with pytest.raises(SavedModelError, match="`model`"):
        classifier.fit(news[0][:32])


@pytest.mark.parametrize(
    "bad",
    [
        {"learning_rate": -1},
        {"dropout": 1.0},
        {"pooling": "max"},
        {"max_length": 0},
        {"device": "abacus"},
    ],
)
def test_bad_parameters_are_named(bad, news, minilm_path):
    name, value = next(iter(bad.items()))
    classifier = new_classifier(news, minilm_path, **{f"student__{name}": value})
    with pytest.raises(InvalidParameterError, match=f"`{name}`"):
        classifier.fit(news[0][:32])


# ---- pickles and folders


def test_a_pickle_is_arrays_and_settings(fitted, news, tmp_path, minilm_path):
    fitted.predict(news[0][:3])  # builds the module that must stay behind
    joblib.dump(fitted, tmp_path / "classifier.joblib")
    data = (tmp_path / "classifier.joblib").read_bytes()
    weights = sum(array.nbytes for array in fitted.student_.weights_.values())
    assert len(data) <= 1.02 * weights
    assert str(minilm_path.parent).encode() not in data
    modules = {
        argument.split(" ")[0].split(".")[0]
        for opcode, argument, _ in pickletools.genops(pickle.dumps(fitted.student_, 2))
        if opcode.name == "GLOBAL"
    }
    assert modules <= {
        "skllkd",
        "numpy",
        "copy_reg",
        "_codecs",
        "builtins",
        "__builtin__",
    }
    assert "_trainer" not in vars(fitted.student_)


def test_a_pickle_predicts_the_same_where_no_teacher_can_be_imported(
    fitted, news, tmp_path
):
    joblib.dump(fitted, tmp_path / "classifier.joblib")
    (tmp_path / "texts.json").write_text(json.dumps(news[0][300:340]))
    code = (
        "import sys, json; sys.modules['llama_cpp'] = None\n"
        "import joblib, numpy as np\n"
        "clf = joblib.load('classifier.joblib')\n"
        "np.save('proba.npy', clf.predict_proba(json.load(open('texts.json'))))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=200)
    np.testing.assert_array_equal(
        np.load(tmp_path / "proba.npy"), fitted.predict_proba(news[0][300:340])
    )


def test_a_folder_predicts_the_same_and_keeps_the_evidence(
    fitted, news, tmp_path, minilm_path
):
    fitted.save(tmp_path / "model")
    files = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert files == [
        "1_Pooling",
        "README.md",
        "encoder",
        "evidence.safetensors",
        "head.safetensors",
        "modules.json",
        "skllkd.json",
    ]
    for path in (tmp_path / "model").rglob("*.*"):
        assert str(minilm_path.parent).encode() not in path.read_bytes()
    loaded = LLKDClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.predict_proba(news[0][300:]), fitted.predict_proba(news[0][300:])
    )
    assert loaded.classes_.tolist() == TOPICS
    assert loaded.pseudo_labels_.tolist() == fitted.pseudo_labels_.tolist()
    np.testing.assert_array_equal(loaded.times_selected_, fitted.times_selected_)
    for name, column in fitted.history_.items():
        np.testing.assert_array_equal(loaded.history_[name], column)
    assert loaded.teacher is None
    assert loaded.student.learning_rate == fitted.student.learning_rate
    assert repr(loaded.selection) == repr(fitted.selection)
    loaded.save(tmp_path / "again")
    assert LLKDClassifier.load(tmp_path / "again").predict(["x"]).shape == (1,)


def test_a_folder_keeps_parameters_and_agreement(news, minilm_path, tmp_path):
    texts, gold = news
    order = {name: f"about {name}" for name in TOPICS[::-1]}
    proba = (
        np.full((len(texts), 5), 0.05)
        + 0.75 * np.eye(5)[[TOPICS[::-1].index(name) for name in gold]]
    )
    teacher = PrecomputedTeacher(texts, proba, calibration=BatchCalibration())
    classifier = new_classifier(
        news,
        minilm_path,
        teacher=teacher,
        classes=order,
        selection=LLKDSelection(momentum=0.5),
        n_epochs=np.int64(1),
        student__max_length=np.int64(64),
        random_state=3,
    ).fit(texts[:64])
    assert classifier.pseudo_labels_.tolist() == gold[:64]
    classifier.save(tmp_path)
    loaded = LLKDClassifier.load(tmp_path)
    assert loaded.classes == order
    assert list(loaded.classes) == list(order)
    assert (loaded.n_epochs, loaded.random_state) == (1, 3)
    assert loaded.student.max_length == 64
    assert loaded.selection.momentum == 0.5
    loaded.set_params(teacher=teacher)
    assert loaded.score(texts[64:70]) == classifier.score(texts[64:70])


def test_a_device_that_is_not_there(fitted, news, minilm_path):
    missing = "cuda:77"
    classifier = new_classifier(news, minilm_path, student__device=missing)
    with pytest.raises(InvalidParameterError, match="`device`.*cuda:77"):
        classifier.fit(news[0][:32])
    copy = pickle.loads(pickle.dumps(fitted))
    copy.student_.device = missing
    np.testing.assert_array_equal(
        copy.predict_proba(news[0][:5]), fitted.predict_proba(news[0][:5])
    )


def test_training_that_runs_away_is_named(news, minilm_path):
    classifier = new_classifier(
        news, minilm_path, student__learning_rate=1e30, student__head_learning_rate=1e30
    )
    with pytest.raises(DivergedError, match="learning_rate"):
        classifier.fit(news[0][:64])


@pytest.mark.filterwarnings("ignore:.*half a surrogate pair")
def test_lone_surrogates_are_read(fitted):
    assert fitted.predict(["\ud800 lone surrogate"]).shape == (1,)


def test_no_path_is_left_even_if_the_folder_is_gone(fitted, tmp_path):
    copy = pickle.loads(pickle.dumps(fitted))
    gone = str(tmp_path / "qzx-folder" / "encoder")
    copy.student = TransformerStudent(gone)
    copy.student_.model = gone
    assert b"qzx-folder" not in pickle.dumps(copy)
    copy.save(tmp_path / "saved")
    assert "qzx-folder" not in (tmp_path / "saved" / "skllkd.json").read_text()


def test_a_model_without_a_pooler_is_the_same_every_time(news, minilm_path, tmp_path):
    """Weights a checkpoint lacks are drawn at random; from our seed, then."""
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(minilm_path, add_pooling_layer=False)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(minilm_path).save_pretrained(tmp_path)
    state = torch.get_rng_state()
    first, again = (
        new_classifier(news, minilm_path, n_epochs=1, student__model=str(tmp_path))
        .fit(news[0][:32])
        .student_.weights_
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])


def test_folders_that_hold_no_classifier(fitted, tmp_path):
    with pytest.raises(SavedModelError, match="no saved classifier"):
        LLKDClassifier.load(tmp_path)
    fitted.save(tmp_path)
    settings = json.loads((tmp_path / "skllkd.json").read_text())
    (tmp_path / "skllkd.json").write_text(json.dumps(settings | {"format": 99}))
    with pytest.raises(SavedModelError, match="format 99.*Upgrade"):
        LLKDClassifier.load(tmp_path)
    fitted.save(tmp_path)
    weights = tmp_path / "encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(SavedModelError, match=r"(?s)model\.safetensors.*Save it again"):
        LLKDClassifier.load(tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_student_trained_on_a_gpu_is_loaded_on_the_cpu(
    news, minilm_path, monkeypatch
):
    classifier = new_classifier(news, minilm_path, student__device="cuda", n_epochs=1)
    classifier.fit(news[0][:64])
    on_gpu = classifier.predict_proba(news[0][64:96])
    copy = pickle.loads(pickle.dumps(classifier))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    copy.student_.device = "cuda:77"  # a device that is not there
    np.testing.assert_allclose(copy.predict_proba(news[0][64:96]), on_gpu, atol=1e-3)
