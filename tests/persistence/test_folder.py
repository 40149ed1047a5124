"""Files: what they hold, who opens them, and that every later version still does."""

import json
import os
import pickle
import re
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer
from skllkd import LLKDClassifier
from skllkd.exceptions import SavedModelError
from skllkd.refinement import Refinement
from skllkd.selection import AcceptReject, LLKDSelection, SelectAll
from skllkd.students import FrozenEncoderStudent, SklearnStudent, TransformerStudent

from tests.conftest import TOPICS, GoldTeacher

REFERENCES = sorted(
    path for path in (Path(__file__).parents[1] / "reference").glob("*.*.*")
)


def fit(news, tiny_path, kind=TransformerStudent, refine=None, **student):
    texts, gold = news
    return LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        refine=refine,
        selection=LLKDSelection(momentum=0.8),
        student=kind(tiny_path, device="cpu", **student),
        n_epochs=2,
        random_state=0,
    ).fit(texts[:64])


@pytest.fixture(scope="module", params=["mean", "cls", "architecture", "frozen"])
def fitted(request, news, tiny_path):
    if request.param == "frozen":
        return fit(news, tiny_path, FrozenEncoderStudent)
    return fit(news, tiny_path, pooling=request.param)


def test_reference_files_are_there():
    assert REFERENCES


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda path: path.name)
@pytest.mark.parametrize("kind", ["folder", "classifier.joblib"])
def test_files_of_every_earlier_version_load_and_predict_the_same(reference, kind):
    expected = json.loads((reference / "expected.json").read_text())
    path = reference / kind
    loaded = LLKDClassifier.load(path) if kind == "folder" else joblib.load(path)
    np.testing.assert_allclose(
        loaded.predict_proba(expected["texts"]), expected["proba"], atol=1e-5
    )
    assert loaded.classes_.tolist() == ["fruit", "town"]
    assert loaded.classes == {"town": "places", "fruit": "food"}
    assert loaded.pseudo_labels_.tolist() == expected["pseudo_labels"]
    assert loaded.selection_.momentum == expected["momentum"]


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda path: path.name)
@pytest.mark.parametrize("kind", ["folder", "classifier.joblib"])
def test_files_of_every_earlier_version_have_today_s_parameters_and_go_on(
    reference, kind
):
    path = reference / kind
    loaded = LLKDClassifier.load(path) if kind == "folder" else joblib.load(path)
    for estimator in (loaded, loaded.student_, loaded.selection_):
        shallow = estimator.get_params(deep=False)
        assert repr(clone(estimator).get_params(deep=False)) == repr(shallow)
        assert type(estimator)().get_params(deep=False).keys() == shallow.keys()
        repr(estimator)
    texts = json.loads((reference / "expected.json").read_text())["texts"]
    proba = np.tile([0.8, 0.2], (len(texts), 1))
    before = len(loaded.history_["epoch"])
    loaded.partial_fit(texts, teacher_proba=proba)
    assert {len(column) for column in loaded.history_.values()} != {before}


def test_transformers_opens_the_folder(fitted, news, tmp_path):
    from transformers import (
        AutoModel,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    fitted.save(tmp_path)
    texts = news[0][200:210]
    has_own_head = fitted.student_.pooling_ != "architecture"
    network = tmp_path / "encoder" if has_own_head else tmp_path
    tokenizer = AutoTokenizer.from_pretrained(network)
    batch = tokenizer(texts, return_tensors="pt", padding=True, truncation=True)
    if fitted.student_.pooling_ == "architecture":
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
        assert [model.config.id2label[k] for k in range(5)] == TOPICS
        with torch.inference_mode():
            proba = torch.softmax(model(**batch).logits, dim=1).numpy()
        np.testing.assert_allclose(proba, fitted.predict_proba(texts), atol=1e-5)
    else:
        model = AutoModel.from_pretrained(network)
        name = "embeddings.word_embeddings.weight"
        wanted = fitted.student_.weights_[f"encoder.{name}"]
        np.testing.assert_array_equal(model.state_dict()[name].numpy(), wanted)


@pytest.mark.parametrize(
    "student",
    [
        {"pooling": "architecture"},
        *(
            {"pooling": pooling, "head": head}
            for pooling in ("mean", "cls", "attention")
            for head in ("linear", "hidden")
        ),
        {"kind": FrozenEncoderStudent},
        {"kind": FrozenEncoderStudent, "pooling": "cls", "head": "hidden"},
    ],
    ids=lambda student: "-".join(map(str, student.values())),
)
def test_a_pipeline_of_transformers_predicts_the_same_or_does_not_load(
    student, news, tiny_path, tmp_path
):
    from transformers import pipeline

    classifier = fit(news, tiny_path, **student)
    classifier.save(tmp_path)
    texts = [text[:200] for text in news[0][200:220]]
    if student.get("pooling") != "architecture":
        with pytest.raises((OSError, ValueError)):
            pipeline("text-classification", str(tmp_path), device="cpu")
        names = (tmp_path / "encoder" / "config.json").read_text()
        assert not any(topic in names for topic in TOPICS)
        return
    answers = pipeline("text-classification", str(tmp_path), device="cpu")(texts)
    assert [answer["label"] for answer in answers] == classifier.predict(texts).tolist()
    np.testing.assert_allclose(
        [answer["score"] for answer in answers],
        classifier.predict_proba(texts).max(axis=1),
        atol=1e-5,
    )


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_other_users_may_read_what_they_may_read_elsewhere(news, tiny_path, tmp_path):
    """A server that runs as another user reads the folder, weights included."""
    (tmp_path / "usual").touch()
    fit(news, tiny_path).save(tmp_path / "model")
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".json", ".safetensors"}
    mode = (tmp_path / "usual").stat().st_mode
    assert {path.name for path in files if path.stat().st_mode != mode} == set()


def test_saving_leaves_files_of_others_alone(news, tiny_path, tmp_path):
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "mine.txt").write_text("mine")
    classifier = fit(news, tiny_path, pooling="architecture")
    classifier.save(tmp_path)
    assert (tmp_path / "encoder" / "mine.txt").read_text() == "mine"


def test_sentence_transformers_opens_the_folder(fitted, news, tmp_path):
    from sentence_transformers import SentenceTransformer

    if fitted.student_.pooling_ == "architecture":
        return
    fitted.save(tmp_path)
    texts = news[0][200:210]
    features = SentenceTransformer(str(tmp_path), device="cpu").encode(texts)
    weights = fitted.student_.weights_
    logits = features @ weights["head.weight"].T + weights["head.bias"]
    proba = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    np.testing.assert_allclose(proba, fitted.predict_proba(texts), atol=1e-5)


def test_a_saved_classifier_is_a_pretrained_encoder_for_another(fitted, news, tmp_path):
    if fitted.student_.pooling_ == "architecture":
        return
    fitted.save(tmp_path)
    other = fit(news, tmp_path)
    assert other.student_.pooling_ == fitted.student_.pooling_


@pytest.mark.filterwarnings("ignore:LLKDSelection kept none")
def test_a_loaded_classifier_goes_on_learning_from_its_thresholds(
    fitted, news, tmp_path
):
    texts, gold = news
    fitted.save(tmp_path)
    copies = [LLKDClassifier.load(tmp_path), pickle.loads(pickle.dumps(fitted))]
    for copy in copies:
        copy.set_params(teacher=GoldTeacher(texts, gold)).partial_fit(texts[96:160])
    first, second = copies
    np.testing.assert_allclose(
        first.student_thresholds_, second.student_thresholds_, rtol=1e-5
    )
    np.testing.assert_array_equal(
        first.predict_proba(texts[:9]), second.predict_proba(texts[:9])
    )


def test_skops_round_trip_with_the_types_the_docs_name(news, tiny_path, tmp_path):
    import skops.io  # seconds: in the one process that runs this

    guide = (Path(__file__).parents[2] / "docs" / "persistence.md").read_text()
    for name, classifier in (
        ("transformer", fit(news, tiny_path, refine=Refinement())),
        ("frozen", fit(news, tiny_path, FrozenEncoderStudent)),
        ("sklearn", fit_sklearn(news)),
    ):
        path = tmp_path / f"{name}.skops"
        skops.io.dump(classifier, path)
        loaded = skops.io.load(path, trusted=re.findall(r'"(skllkd\.[^"]+)"', guide))
        np.testing.assert_array_equal(
            loaded.predict_proba(news[0][:20]), classifier.predict_proba(news[0][:20])
        )


def fit_sklearn(news):
    texts, gold = news
    return LLKDClassifier(
        GoldTeacher(texts, gold), TOPICS, student=SklearnStudent(), random_state=0
    ).fit(texts[:96])


class KeepHalf(SelectAll):
    """A selection of one's own."""


def test_a_selection_of_one_s_own_is_refused_before_anything_is_written(
    news, tiny_path, tmp_path
):
    texts, gold = news
    classifier = LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        refine=None,
        selection=KeepHalf(),
        student=TransformerStudent(tiny_path, device="cpu"),
    ).fit(texts[:64])
    with pytest.raises(NotImplementedError, match="KeepHalf.*joblib"):
        classifier.save(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    assert pickle.loads(pickle.dumps(classifier)).predict(texts[:3]).shape == (3,)


def test_saving_over_another_kind_leaves_nothing_stale(news, tiny_path, tmp_path):
    fit(news, tiny_path).save(tmp_path)
    fit(news, tiny_path, pooling="architecture").save(tmp_path)
    assert not (tmp_path / "encoder").exists()
    assert not (tmp_path / "modules.json").exists()
    assert not (tmp_path / "head.safetensors").exists()
    assert LLKDClassifier.load(tmp_path).predict(["x"]).shape == (1,)


def test_evidence_is_small_in_a_file(news):
    """A text costs 4 bytes a class, and 8 beside, in a pickle."""
    texts = [f"{word} text {i}" for i in range(2000) for word in ("good", "bad")]
    y = ["a", "b"] * 2000
    student = SklearnStudent(vectorizer=HashingVectorizer(n_features=64))
    sizes = [
        len(pickle.dumps(LLKDClassifier(student=student).fit(texts[:n], y[:n])))
        for n in (100, 4000)
    ]
    assert (sizes[1] - sizes[0]) / 3900 < 30


def test_a_pickle_of_a_later_format_is_refused(news):
    classifier = fit_sklearn(news)
    state = classifier.__getstate__()
    with pytest.raises(SavedModelError, match="format 99.*Upgrade"):
        LLKDClassifier().__setstate__(state | {"_format": 99})


def test_a_folder_of_a_later_format_is_refused_by_name(news, tiny_path, tmp_path):
    fit(news, tiny_path).save(tmp_path)
    settings = json.loads((tmp_path / "skllkd.json").read_text())
    later = settings | {"format": 99, "skllkd": "7.0"}
    (tmp_path / "skllkd.json").write_text(json.dumps(later))
    with pytest.raises(SavedModelError, match=r"by skllkd 7\.0 in format 99.*Upgrade"):
        LLKDClassifier.load(tmp_path)


def test_a_pickle_holds_no_teacher_texts_or_callbacks(news):
    texts, gold = news
    secret = "qzx-do-not-leak"
    teacher = GoldTeacher([*texts, secret], [*gold, "tech"])
    classifier = LLKDClassifier(
        teacher,
        TOPICS,
        student=SklearnStudent(),
        callbacks=[lambda end: None],  # cannot be pickled itself
    ).fit([*texts[:96], secret])
    data = pickle.dumps(classifier)
    assert b"GoldTeacher" not in data
    assert secret.encode() not in data
    assert texts[0].encode() not in data


def test_the_accuracy_on_gold_labels_is_saved_and_stands_in_the_card(
    news, tiny_path, tmp_path
):
    texts, gold = news
    classifier = LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        random_state=0,
    ).fit(texts[:96], gold=dict(zip(texts[:20], gold[:20], strict=True)))
    classifier.save(tmp_path)
    accuracy = classifier.gold_accuracy_
    assert list(accuracy) == ["teacher", "labels", "student"]
    for copy in (LLKDClassifier.load(tmp_path), pickle.loads(pickle.dumps(classifier))):
        assert copy.gold_accuracy_ == accuracy
        assert copy.refinement_.weights == classifier.refinement_.weights
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "## Accuracy\n\nOn texts with gold labels" in card
    for words, name in (("teacher", "teacher"), ("refined labels", "labels")):
        assert f"\n- {words}: {accuracy[name]}\n" in card


def test_how_labels_were_bought_is_saved(news, tiny_path, tmp_path):
    texts, gold = news
    clf = LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        acquisition=AcceptReject(0.6, n_rounds=1),
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        random_state=0,
    ).fit(texts[:96])
    clf.save(tmp_path / "model")
    loaded = LLKDClassifier.load(tmp_path / "model")
    assert loaded.acquisition.get_params() == clf.acquisition.get_params()
    np.testing.assert_array_equal(loaded.pseudo_labels_, clf.pseudo_labels_)
    assert (loaded.pseudo_labels_ == None).sum() == 96 - 58  # noqa: E711
