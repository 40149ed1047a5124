"""How the transformer student trains: precision, frozen layers, cuts, threads."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
from skllkd import LLKDClassifier
from skllkd._core.tokens import TokenizedTexts, load_tokenizer
from skllkd._core.windows import Window
from skllkd.exceptions import DeviceMemoryError, InvalidParameterError
from skllkd.selection import SelectAll
from skllkd.students import FrozenEncoderStudent, TransformerStudent
from skllkd.students._torch.pools import TextPool
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn

from tests.conftest import TOPICS, GoldTeacher
from tests.tiny_encoder import write_tiny_encoder


def mixed(news, n=24):
    """Return texts of very different lengths."""
    texts = [
        " ".join(text.split()[: 2 + (7 * i) % 60]) for i, text in enumerate(news[0][:n])
    ]
    assert len(set(texts)) == n
    return texts


def started(texts, path, **parameters):
    defaults = {"dropout": 0.0, "precision": "float32", "trainable_layers": "all"}
    defaults["device"] = "cpu"
    student = TransformerStudent(path, **defaults | parameters)
    student.begin_fit(texts, 3, seed=0)
    no_dropout(student)
    return student


def no_dropout(student):
    for module in student._trainer.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def one_step(student, n=24):
    target = np.random.RandomState(0).dirichlet(np.ones(3), n)
    weight = np.random.RandomState(1).uniform(0, 2, n)
    loss = student.train_step(np.arange(n), target, weight, 0.5)
    return loss, student.snapshot()


def one_pass(monkeypatch):
    monkeypatch.setattr(
        TokenizedTexts, "of_similar_length", lambda _, rows, *__: [np.arange(len(rows))]
    )


def fit(news, path, **parameters):
    student = TransformerStudent(path, **{"device": "cpu"} | parameters)
    return LLKDClassifier(
        GoldTeacher(*news),
        TOPICS,
        refine=None,
        student=student,
        selection=SelectAll(),
        random_state=0,
    ).fit(news[0][:64])


def test_passes_hold_every_row_once_and_leave_little_to_pad(news, tiny_path):
    student = started(mixed(news), tiny_path)
    tokens = student._trainer.pool.texts
    rows = np.random.RandomState(0).permutation(24)[:17]
    parts = tokens.of_similar_length(rows, 1, 64)
    assert sorted(np.concatenate(parts)) == list(range(17))
    padded = sum(len(part) * tokens.lengths[rows[part]].max() for part in parts)
    assert padded < 0.8 * 17 * tokens.lengths[rows].max()
    assert len(tokens.of_similar_length(rows, 10**6, 64)) == 1
    assert len(tokens.of_similar_length(rows, 10**6, 5)) == 4
    assert [p.tolist() for p in tokens.of_similar_length(rows[:1], 1, 64)] == [[0]]


def test_a_batch_holds_each_text_s_own_tokens(news, tiny_path):
    texts = mixed(news)
    student = started(texts, tiny_path)
    rows = np.array([3, 0, 11])
    ids, mask = student._trainer.pool.inputs(rows, torch.device("cpu"))
    tokenizer = load_tokenizer(student.tokenizer_, student.reading)
    for place, row in enumerate(rows):
        own = tokenizer.encode(texts[row]).ids
        assert ids[place][mask[place] == 1].tolist() == own
        assert mask[place].sum() == len(own)


def test_passes_on_a_gpu_are_bounded_by_tokens_and_on_a_cpu_by_rows():
    words = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    rows = np.arange(2048)
    for length, most_on_gpu in [(8, 2048), (64, 256), (512, 64)]:
        texts = TokenizedTexts(words, ["a " * length] * 2048, 0)
        for device, most in [("cpu", 64), ("cuda", most_on_gpu)]:
            passes = TextPool(texts).passes(rows, torch.device(device))
            assert sorted(np.concatenate(passes)) == rows.tolist()
            assert max(map(len, passes)) == most


def test_cutting_a_step_into_passes_changes_nothing(news, tiny_path, monkeypatch):
    cut = started(mixed(news), tiny_path)
    assert len(cut._trainer._passes(np.arange(24))) > 1
    cut_loss, cut_weights = one_step(cut)
    cut_proba = cut.predict_rows(np.arange(24))

    one_pass(monkeypatch)
    whole = started(mixed(news), tiny_path)
    loss, weights = one_step(whole)
    assert cut_loss == pytest.approx(loss, abs=1e-5)
    for name, array in weights.items():
        np.testing.assert_allclose(cut_weights[name], array, atol=2e-5, err_msg=name)
    np.testing.assert_allclose(cut_proba, whole.predict_rows(np.arange(24)), atol=1e-4)


@pytest.fixture(scope="module")
def two_layers(news, tmp_path_factory):
    """Return the folder of an encoder of which a layer can be frozen."""
    return write_tiny_encoder(tmp_path_factory.mktemp("two"), news[0], n_layers=2)


@pytest.mark.parametrize(
    ("trainable_layers", "frozen_names"),
    [
        ("all", []),
        ("layers", ["word_embeddings"]),
        (2, ["embeddings"]),
        (1, ["embeddings", "layer.0."]),
        (0, ["embeddings", "layer.0.", "layer.1."]),
    ],
)
def test_frozen_layers_stay_as_they_were_and_the_others_learn(
    news, two_layers, trainable_layers, frozen_names
):
    student = started(mixed(news), two_layers, trainable_layers=trainable_layers)
    before = student.snapshot()
    for _ in range(2):
        _, after = one_step(student)
    for name, array in after.items():
        is_frozen = any(part in name for part in frozen_names)
        learns_nothing = "pooler" in name or "bias" in name
        if is_frozen:
            np.testing.assert_array_equal(array, before[name], err_msg=name)
        elif not learns_nothing:
            assert not np.array_equal(array, before[name]), name


def test_frozen_layers_compute_without_dropout(news, two_layers):
    student = TransformerStudent(two_layers, device="cpu", trainable_layers=1)
    student.begin_fit(mixed(news), 3, seed=0)
    bottom = student._trainer.model.encoder.encoder.layer[0]
    hidden = []
    bottom.register_forward_hook(lambda *given: hidden.append(given[-1][0].detach()))
    for _ in range(2):
        one_step(student)
    half = len(hidden) // 2
    for first, again in zip(hidden[:half], hidden[half:], strict=True):
        torch.testing.assert_close(first, again)


def test_a_student_with_frozen_layers_predicts_saves_and_goes_on(
    news, two_layers, tmp_path
):
    classifier = fit(news, two_layers, trainable_layers=1)
    rows = news[0][64:80]
    proba = classifier.predict_proba(rows)
    classifier.save(tmp_path)
    loaded = LLKDClassifier.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(rows), proba)
    assert loaded.student_.trainable_layers == 1
    again = fit(news, two_layers, trainable_layers=1)
    np.testing.assert_array_equal(again.predict_proba(rows), proba)
    bottom = "encoder.encoder.layer.0.output.dense.weight"
    before = classifier.student_.weights_[bottom].copy()
    classifier.partial_fit(news[0][80:112])
    np.testing.assert_array_equal(classifier.student_.weights_[bottom], before)


def test_more_layers_than_there_are_is_a_named_error(news, two_layers):
    with pytest.raises(InvalidParameterError, match="`trainable_layers`.*at most 2.*3"):
        fit(news, two_layers, trainable_layers=3)
    with pytest.raises(InvalidParameterError, match="trainable_layers"):
        fit(news, two_layers, trainable_layers="some")


def test_bfloat16_trains_float32_weights_to_nearly_the_same(news, tiny_path):
    exact, half = (
        fit(news, tiny_path, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    rows = news[0][64:80]
    apart = np.abs(exact.predict_proba(rows) - half.predict_proba(rows)).max()
    assert 0 < apart < 0.05
    assert {a.dtype for a in half.student_.weights_.values()} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"precision": "float16"}, "`precision`"),
        ({"n_threads": 0}, "`n_threads`"),
    ],
)
def test_what_cannot_be_computed_is_a_named_error(news, tiny_path, parameters, message):
    with pytest.raises(InvalidParameterError, match=message):
        fit(news, tiny_path, **parameters)


def test_threads_are_set_for_the_student_and_given_back(news, tiny_path):
    before = torch.get_num_threads()
    student = started(mixed(news), tiny_path, n_threads=1)
    seen = []
    student._trainer.model.register_forward_hook(
        lambda *_: seen.append(torch.get_num_threads())
    )
    one_step(student)
    student.predict_rows(np.arange(4))
    assert set(seen) == {1}
    assert torch.get_num_threads() == before


def test_a_pool_takes_few_bytes_a_text_and_no_object_each(news, tiny_path, monkeypatch):
    """What Python and NumPy hold at most, from the growth between two sizes."""
    monkeypatch.setattr("skllkd._core.tokens._TEXTS_AT_ONCE", 128)
    words = " ".join(news[0]).split()
    rng = np.random.RandomState(0)
    texts = [" ".join(rng.choice(words, 4)) for _ in range(900)]
    proba = rng.dirichlet([0.5, 0.5], 900)

    def highest(n):
        student = TransformerStudent(tiny_path, device="cpu", precision="float32")
        classifier = LLKDClassifier(
            classes=["a", "b"],
            refine=None,
            student=student,
            n_epochs=1,
            batch_size=256,
        )
        classifier.fit(texts[:30], teacher_proba=proba[:30])  # caches are filled
        gc.collect()
        tracemalloc.start()
        classifier.fit(texts[:n], teacher_proba=proba[:n])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        tokenizer = load_tokenizer(classifier.student_.tokenizer_, Window("head", 128))
        return peak - 2 * sum(len(e.ids) for e in tokenizer.encode_batch(texts[:n]))

    a_row = (highest(900) - highest(300)) / 600
    assert a_row < 120  # and 2 bytes a token


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(
    "parameters",
    [
        {"precision": "bfloat16"},
        {"trainable_layers": 1},
    ],
    ids=str,
)
def test_on_a_gpu_it_learns_what_the_cpu_learns(news, tiny_path, parameters):
    rows = news[0][64:96]
    on_cpu = fit(news, tiny_path, precision="float32").predict_proba(rows)
    on_gpu = fit(news, tiny_path, device="cuda", **parameters).predict_proba(rows)
    assert np.abs(on_cpu - on_gpu).max() < 0.1


def test_memory_that_runs_out_says_what_to_lower_and_is_freed(
    tiny_path, news, monkeypatch
):
    held = []

    def short_of_memory(self, rows):
        ids = torch.zeros(10)
        held.append(weakref.ref(ids))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    texts, proba = news[0][:24], np.random.RandomState(0).dirichlet(np.ones(3), 24)
    student = TransformerStudent(tiny_path, device="cpu")
    parameters = {"classes": list("abc"), "refine": None, "n_epochs": 1}
    classifier = LLKDClassifier(student=student, **parameters)
    frozen_student = FrozenEncoderStudent(tiny_path, device="cpu", cache=None)
    fitted = LLKDClassifier(student=student, **parameters)
    fitted.fit(texts, teacher_proba=proba)
    with monkeypatch.context() as patched:
        patched.setattr(TokenizedTexts, "padded", short_of_memory)
        for run, advice in [
            (lambda: classifier.fit(texts, teacher_proba=proba), "`batch_size`"),
            (lambda: fitted.predict(texts), "`predict_batch_size`"),
            (lambda: frozen_student.begin_fit(texts, 3, 0), "`predict_batch_size`"),
        ]:
            with pytest.raises(DeviceMemoryError, match=f"{advice}.*1 GiB"):
                run()
            assert held[-1]() is None
    classifier.fit(texts, teacher_proba=proba)
