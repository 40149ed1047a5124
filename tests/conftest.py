"""Fixtures of all tests: a store of their own, real models and real texts."""

import ctypes

import numpy as np
import pytest
from skllkd import LLKDClassifier, datasets
from skllkd.students import SklearnStudent
from skllkd.teachers.llamacpp.weights import prune_expanded

from tests.tiny_encoder import write_tiny_encoder

TOPICS = ["business", "entertainment", "politics", "sports", "tech"]


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """Give every test a label store of its own, and its disk space back after it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SKLLKD_CACHE", str(folder))
    yield folder / "labels.sqlite"
    prune_expanded(folder)  # half a gigabyte each, where a model was expanded


@pytest.fixture(scope="session")
def smollm2_path():
    return datasets.smollm2_path()


@pytest.fixture(scope="session")
def f32_path(smollm2_path, tmp_path_factory):
    """Return the model with its weights expanded to 32 bits: rounding is then small."""
    llama_cpp = pytest.importorskip("llama_cpp")
    from skllkd.teachers.llamacpp.model import loaded_model

    loaded_model(smollm2_path)  # quiets the library
    path = tmp_path_factory.mktemp("model") / "f32.gguf"
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.allow_requantize, settings.nthread = 0, True, 2
    status = llama_cpp.llama_model_quantize(
        str(smollm2_path).encode(), str(path).encode(), ctypes.byref(settings)
    )
    assert status == 0
    return path


@pytest.fixture(scope="session")
def minilm_path():
    return datasets.minilm_path()


@pytest.fixture(scope="session")
def news():
    """Return a few hundred shuffled BBC News texts with their topics."""
    texts, labels = datasets.load_bbc_news()
    order = np.random.RandomState(1).permutation(len(texts))[:400]
    return [texts[i] for i in order], [labels[i] for i in order]


class GoldTeacher:
    """A function that answers with given probabilities and counts what it is asked."""

    def __init__(self, texts, labels, confidence=0.9):
        self.label_of = dict(zip(texts, labels, strict=True))
        self.asked = []
        self.confidence = confidence

    def __call__(self, texts):
        self.asked += texts
        rest = (1 - self.confidence) / (len(TOPICS) - 1)
        proba = np.full((len(texts), len(TOPICS)), rest)
        for row, text in enumerate(texts):
            proba[row, TOPICS.index(self.label_of[text])] = self.confidence
        return proba


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory, news):
    """Return the folder of an encoder that trains in a second."""
    return write_tiny_encoder(tmp_path_factory.mktemp("tiny") / "encoder", news[0])


@pytest.fixture
def gold_teacher(news):
    return GoldTeacher(*news)


@pytest.fixture
def quick_classifier(gold_teacher):
    """Return an unfitted classifier that trains in a second."""
    return LLKDClassifier(
        gold_teacher, TOPICS, student=SklearnStudent(), random_state=0
    )
