"""How the transformer student trains: precision, frozen layers, cuts, threads."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
from skllkd import LLKDClassifier
from skllkd._torch import frozen
from skllkd._torch.dropout import Dropout
from skllkd._torch.tokens import TokenizedTexts, load_tokenizer
from skllkd.exceptions import DeviceMemoryError, InvalidParameterError
from skllkd.selection import SelectAll
from skllkd.students import FrozenEncoderStudent, TransformerStudent
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn

from tests.conftest import TOPICS, GoldTeacher


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
    student.start(texts, 3, seed=0)
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
        student=student,
        selection=SelectAll(),
        random_state=0,
    ).fit(news[0][:64])


def test_passes_hold_every_row_once_and_leave_little_to_pad(news, tiny_path):
    student = started(mixed(news), tiny_path)
    tokens = student._trainer.texts
    rows = np.random.RandomState(0).permutation(24)[:17]
    parts = tokens.of_similar_length(rows, 1)
    assert sorted(np.concatenate(parts)) == list(range(17))
    padded = sum(len(part) * tokens.lengths[rows[part]].max() for part in parts)
    assert padded < 0.8 * 17 * tokens.lengths[rows].max()
    assert len(tokens.of_similar_length(rows, 10**6)) == 1
    assert [p.tolist() for p in tokens.of_similar_length(rows[:1], 1)] == [[0]]


def test_a_batch_holds_each_text_s_own_tokens(news, tiny_path):
    texts = mixed(news)
    student = started(texts, tiny_path)
    rows = np.array([3, 0, 11])
    ids, mask = student._trainer.texts.batch(rows, torch.device("cpu"))
    tokenizer = load_tokenizer(student.tokenizer_, student.max_length_)
    for place, row in enumerate(rows):
        own = tokenizer.encode(texts[row]).ids
        assert ids[place][mask[place] == 1].tolist() == own
        assert mask[place].sum() == len(own)


def test_large_vocabularies_keep_their_ids_and_small_ones_take_two_bytes():
    """Ids from 65,536 on first turn up in a later chunk."""
    vocabulary = {"?": 0, "low": 65_535, "high": 65_536, "top": 250_000}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    texts = ["low"] * 1500 + ["", "low high", "top"]
    tokens = TokenizedTexts(tokenizer, texts, 7)
    rows = np.array([1499, 0, 1501, 1502])
    ids, mask = tokens.padded(rows)
    assert ids.tolist() == [[65_535, 7], [65_535, 7], [65_535, 65_536], [250_000, 7]]
    assert mask.tolist() == [[1, 0], [1, 0], [1, 1], [1, 0]]
    assert tokens._ids.itemsize == 4
    assert TokenizedTexts(tokenizer, texts[:1500], 7)._ids.itemsize == 2


def test_cutting_a_step_into_passes_changes_nothing(news, tiny_path, monkeypatch):
    cut = started(mixed(news), tiny_path)
    assert len(cut._trainer._passes(np.arange(24))) > 1
    cut_loss, cut_weights = one_step(cut)
    cut_proba = cut.rows_proba(np.arange(24))

    one_pass(monkeypatch)
    whole = started(mixed(news), tiny_path)
    loss, weights = one_step(whole)
    assert cut_loss == pytest.approx(loss, abs=1e-5)
    for name, array in weights.items():
        np.testing.assert_allclose(cut_weights[name], array, atol=2e-5, err_msg=name)
    np.testing.assert_allclose(cut_proba, whole.rows_proba(np.arange(24)), atol=1e-4)


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
    news, tiny_path, trainable_layers, frozen_names
):
    student = started(mixed(news), tiny_path, trainable_layers=trainable_layers)
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


@pytest.mark.parametrize("pooling", ["mean", "cls", "architecture"])
def test_what_frozen_layers_say_is_computed_once_and_right(
    news, tiny_path, monkeypatch, pooling
):
    def trained():
        student = started(mixed(news), tiny_path, trainable_layers=1, pooling=pooling)
        bottom = student._trainer.model.encoder.encoder.layer[0]
        calls = []
        bottom.register_forward_hook(lambda *_: calls.append(1))
        for _ in range(3):
            loss, weights = one_step(student)
        return calls, loss, weights, student.rows_proba(np.arange(24))

    calls, loss, weights, proba = trained()
    monkeypatch.setattr(frozen, "CACHE_BYTES", 0)
    more_calls, plain_loss, plain_weights, plain_proba = trained()
    assert len(calls) < len(more_calls) / 2
    assert loss == pytest.approx(plain_loss, abs=1e-5)
    np.testing.assert_allclose(proba, plain_proba, atol=1e-4)
    for name, array in plain_weights.items():
        np.testing.assert_allclose(weights[name], array, atol=2e-5, err_msg=name)


def test_a_student_with_frozen_layers_predicts_saves_and_goes_on(
    news, tiny_path, tmp_path
):
    classifier = fit(news, tiny_path, trainable_layers=1)
    rows = news[0][64:80]
    proba = classifier.predict_proba(rows)
    classifier.save(tmp_path)
    loaded = LLKDClassifier.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(rows), proba)
    assert loaded.student_.trainable_layers == 1
    again = fit(news, tiny_path, trainable_layers=1)
    np.testing.assert_array_equal(again.predict_proba(rows), proba)
    bottom = "encoder.encoder.layer.0.output.dense.weight"
    before = classifier.student_.weights_[bottom].copy()
    classifier.partial_fit(news[0][80:112])
    np.testing.assert_array_equal(classifier.student_.weights_[bottom], before)


def test_more_layers_than_there_are_is_a_named_error(news, tiny_path):
    with pytest.raises(InvalidParameterError, match="`trainable_layers`.*at most 2.*3"):
        fit(news, tiny_path, trainable_layers=3)
    with pytest.raises(InvalidParameterError, match="trainable_layers"):
        fit(news, tiny_path, trainable_layers="some")


def test_bfloat16_trains_float32_weights_to_nearly_the_same(news, tiny_path):
    exact, half = (
        fit(news, tiny_path, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    rows = news[0][64:80]
    apart = np.abs(exact.predict_proba(rows) - half.predict_proba(rows)).max()
    assert 0 < apart < 0.05
    assert {a.dtype for a in half.student_.weights_.values()} == {np.dtype("float32")}


def test_scoring_may_have_a_precision_of_its_own(news, tiny_path):
    exact, half, mixed_up = (
        started(mixed(news), tiny_path, **parameters)
        for parameters in (
            {},
            {"precision": "bfloat16"},
            {"scoring_precision": "bfloat16"},
        )
    )
    rows = np.arange(24)
    np.testing.assert_array_equal(half.rows_proba(rows), mixed_up.rows_proba(rows))
    assert not np.array_equal(exact.rows_proba(rows), mixed_up.rows_proba(rows))
    exact_weights, mixed_weights = one_step(exact)[1], one_step(mixed_up)[1]
    for name, array in exact_weights.items():
        np.testing.assert_array_equal(array, mixed_weights[name])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"precision": "float64"}, "`precision`"),
        ({"precision": "float16"}, "GPU"),
        ({"scoring_precision": "half"}, "`scoring_precision`"),
        ({"n_threads": 0}, "`n_threads`"),
        ({"attention": 3}, "`attention`"),
        ({"attention": "no_such_way"}, "`attention`.*no_such_way"),
        ({"attention": "flash_attention_2"}, "`attention`.*flash"),
    ],
)
def test_what_cannot_be_computed_is_a_named_error(news, tiny_path, parameters, message):
    with pytest.raises(InvalidParameterError, match=message):
        fit(news, tiny_path, **parameters)


def test_attention_computed_in_another_way_is_the_same(news, tiny_path):
    ways = [
        started(mixed(news), tiny_path, attention=attention)
        for attention in ("auto", "eager")
    ]
    found = [way._trainer.model.encoder.config._attn_implementation for way in ways]
    assert found == ["sdpa", "eager"]
    probas = [way.rows_proba(np.arange(24)) for way in ways]
    np.testing.assert_allclose(*probas, atol=1e-5)


def test_threads_are_set_for_the_student_and_given_back(news, tiny_path):
    before = torch.get_num_threads()
    student = started(mixed(news), tiny_path, n_threads=1)
    seen = []
    student._trainer.model.register_forward_hook(
        lambda *_: seen.append(torch.get_num_threads())
    )
    one_step(student)
    student.rows_proba(np.arange(4))
    assert set(seen) == {1}
    assert torch.get_num_threads() == before


def test_a_pool_takes_few_bytes_a_text_and_no_object_each(news, tiny_path):
    """What Python and NumPy hold at most, from the growth between two sizes."""
    words = " ".join(news[0]).split()
    rng = np.random.RandomState(0)
    texts = [" ".join(rng.choice(words, 12)) for _ in range(9000)]
    proba = rng.dirichlet([0.5, 0.5], 9000)

    def highest(n):
        student = TransformerStudent(tiny_path, device="cpu", precision="float32")
        classifier = LLKDClassifier(
            classes=["a", "b"], student=student, n_epochs=1, batch_size=256
        )
        classifier.fit(texts[:300], teacher_proba=proba[:300])  # caches are filled
        gc.collect()
        tracemalloc.start()
        classifier.fit(texts[:n], teacher_proba=proba[:n])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        tokenizer = load_tokenizer(classifier.student_.tokenizer_, 128)
        return peak - 2 * sum(len(tokenizer.encode(text).ids) for text in texts[:n])

    a_row = (highest(9000) - highest(3000)) / 6000
    assert a_row < 110  # and 2 bytes a token


class TestDropout:
    def test_drops_a_share_and_keeps_the_mean(self):
        torch.manual_seed(0)
        given = torch.ones(300, 1001)
        out = Dropout(0.1)(given)
        assert (out == 0).float().mean().item() == pytest.approx(0.1, abs=0.003)
        kept = out[out != 0]
        assert kept.max() == kept.min()
        assert kept[0].item() == pytest.approx(1 / 0.9, rel=1e-4)
        assert out.mean().item() == pytest.approx(1, abs=0.003)

    def test_draws_are_independent_of_each_other(self):
        torch.manual_seed(0)
        dropped = (Dropout(0.5)(torch.ones(40000)) == 0).double().numpy()
        for apart in (1, 2, 3, 4):
            found = np.corrcoef(dropped[:-apart], dropped[apart:])[0, 1]
            assert abs(found) < 0.02
        assert (Dropout(0.5)(torch.ones(40000)) == 0).numpy().mean() != dropped.mean()

    def test_lets_gradients_through_where_it_lets_values_through(self):
        given = torch.ones(999, requires_grad=True)
        out = Dropout(0.25)(given)
        out.sum().backward()
        torch.testing.assert_close(given.grad, out.detach())

    @pytest.mark.parametrize("p", [0.0, 0.3])
    def test_does_nothing_when_predicting_or_at_0(self, p):
        module = Dropout(p)
        if p:
            module.eval()
        given = torch.rand(7, 3)
        torch.testing.assert_close(module(given), given)
        assert module(torch.empty(0, 4)).shape == (0, 4)

    def test_replaces_the_encoder_s_own(self, news, tiny_path):
        student = TransformerStudent(tiny_path, dropout=0.25, device="cpu")
        student.start(mixed(news), 3, seed=0)
        found = [
            m for m in student._trainer.model.modules() if isinstance(m, nn.Dropout)
        ]
        assert {type(module) for module in found} == {Dropout}
        assert {module.p for module in found} == {0.1, 0.25}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(
    "parameters",
    [
        {"precision": "bfloat16"},
        {"precision": "float16"},
        {"torch_compile": True},
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

    def short_of_memory(self, rows, device):
        ids = torch.zeros(10, device=device)
        held.append(weakref.ref(ids))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    texts, proba = news[0][:24], np.random.RandomState(0).dirichlet(np.ones(3), 24)
    student = TransformerStudent(tiny_path, device="cpu")
    classifier = LLKDClassifier(classes=list("abc"), student=student, n_epochs=1)
    frozen_student = FrozenEncoderStudent(tiny_path, device="cpu", cache=None)
    fitted = LLKDClassifier(classes=list("abc"), student=student, n_epochs=1)
    fitted.fit(texts, teacher_proba=proba)
    with monkeypatch.context() as patched:
        patched.setattr(TokenizedTexts, "batch", short_of_memory)
        for run, advice in [
            (lambda: classifier.fit(texts, teacher_proba=proba), "`batch_size`"),
            (lambda: fitted.predict(texts), "`predict_batch_size`"),
            (lambda: frozen_student.start(texts, 3, 0), "`predict_batch_size`"),
        ]:
            with pytest.raises(DeviceMemoryError, match=f"{advice}.*1 GiB"):
                run()
            assert held[-1]() is None
    classifier.fit(texts, teacher_proba=proba)
