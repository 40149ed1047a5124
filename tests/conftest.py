"""Fixtures of all tests: a store of their own, real models and real texts."""

import copy
import gc
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from joblib.externals.loky import get_reusable_executor
from skllkd import LLKDClassifier, datasets
from skllkd.students import SklearnStudent
from skllkd.teachers import expand_gguf

from tests.short_llama import write_short_llama
from tests.tiny_encoder import write_tiny_encoder

# As OMP_NUM_THREADS of .ci/run: threads of polars wait for each other by spinning.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

# The examples of a property: 50 for a quick run; "ci" and "long" by the environment's
# SKLLKD_HYPOTHESIS, or by --hypothesis-profile. No database and no deadline: a run
# depends on neither an earlier one nor a busy machine.
for _name, _n_examples in (("default", 50), ("ci", 2_000), ("long", 200_000)):
    settings.register_profile(
        _name,
        max_examples=_n_examples,
        deadline=None,
        database=None,
        derandomize=_name != "long",
        print_blob=True,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,  # the store of a test is its examples'
            HealthCheck.too_slow,
        ],
    )
settings.load_profile(os.environ.get("SKLLKD_HYPOTHESIS", "default"))


def pytest_configure():
    """Search for no garbage while tests are imported: nearly all of it stays."""
    gc.disable()


def pytest_collection_modifyitems(items):
    """Begin with the integration tests: a long one at the end would leave cores idle."""
    items.sort(key=lambda item: "integration" not in item.path.parts)


def pytest_collection_finish():
    """Leave libraries and tests out of every later search for garbage."""
    gc.collect()
    gc.freeze()
    gc.enable()


TOPICS = ["business", "entertainment", "politics", "sports", "tech"]


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """Give every test a label store of its own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SKLLKD_CACHE", str(folder))
    return folder / "labels.sqlite"


@pytest.fixture
def new_workers():
    """End joblib's processes: those of an earlier test end for idleness when needed."""
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


@pytest.fixture(scope="session")
def smollm2_path():
    return datasets.smollm2_path()


@pytest.fixture(scope="session")
def f32_path(smollm2_path, tmp_path_factory):
    """Return the model with its weights expanded to 32 bits: rounding is then small."""
    pytest.importorskip("llama_cpp")
    return expand_gguf(smollm2_path, tmp_path_factory.mktemp("model") / "f32.gguf")


@pytest.fixture(scope="session")
def short_path(smollm2_path, tmp_path_factory):
    """Return the model's first layers, for tests of anything but the answers' sense."""
    folder = tmp_path_factory.mktemp("short")
    return write_short_llama(smollm2_path, folder / "short.gguf")


@pytest.fixture(scope="session")
def short_f32_path(short_path):
    pytest.importorskip("llama_cpp")
    return expand_gguf(short_path, short_path.with_name("f32.gguf"))


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
    """Return the folder of an encoder that trains in a second, and is read once."""
    import torch
    from skllkd.students._torch import pretrained

    folder = tmp_path_factory.mktemp("tiny") / "encoder"
    write_tiny_encoder(folder, news[0])
    read = pretrained.load_pretrained
    with torch.random.fork_rng():
        tiny = read(folder)
    gc.freeze()  # every fit collects garbage, and need not search the libraries for it

    def copied(model):
        if os.fspath(model) != str(folder):
            return read(model)
        return tiny._replace(encoder=copy.deepcopy(tiny.encoder))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "load_pretrained", copied)
        yield folder


@pytest.fixture
def gold_teacher(news):
    return GoldTeacher(*news)


@pytest.fixture
def quick_classifier(gold_teacher):
    """Return an unfitted classifier that trains in a second."""
    return LLKDClassifier(
        gold_teacher,
        TOPICS,
        refine=None,
        student=SklearnStudent(),
        batch_size=64,
        random_state=0,
    )
