"""Pooling, heads, and a head that learns before the encoder does."""

import pickle

import numpy as np
import pytest
import torch
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.selection import SelectAll
from skllkd.students import TransformerStudent
from skllkd.students._torch.encoder import EncoderClassifier
from skllkd.students._torch.heads import AttentionPooling

from tests.conftest import TOPICS, GoldTeacher


@pytest.fixture(scope="module")
def short_news(news):
    texts, gold = news
    return [text[:100] for text in texts], gold


def fit(short_news, tiny_path, n_texts=64, **student):
    texts, gold = short_news
    return LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        refine=None,
        selection=SelectAll(),
        student=TransformerStudent(tiny_path, device="cpu", **student),
        n_epochs=1,
        random_state=0,
    ).fit(texts[:n_texts])


def weights(classifier):
    return classifier.student_.weights_


# ---- attention pooling


def test_attention_starts_as_the_mean_and_learns_what_matters():
    torch.manual_seed(0)
    hidden = torch.randn(3, 7, 4)
    mask = torch.ones(3, 7, dtype=torch.long)
    mask[0, 3:] = 0
    pooling = AttentionPooling(4)
    means = [
        row[: int(m.sum())].mean(dim=0) for row, m in zip(hidden, mask, strict=True)
    ]
    torch.testing.assert_close(pooling(hidden, mask), torch.stack(means))
    with torch.no_grad():
        pooling.score.weight.copy_(torch.tensor([[1.0, -0.5, 0.0, 2.0]]))
    for row in range(3):
        some = hidden[row, : int(mask[row].sum())].double().numpy()
        score = np.exp(some @ [1.0, -0.5, 0.0, 2.0])
        wanted = (score[:, None] * some).sum(axis=0) / score.sum()
        got = pooling(hidden, mask)[row].detach().numpy()
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_attention_pooling_learns_and_ignores_padding(short_news, tiny_path):
    classifier = fit(short_news, tiny_path, pooling="attention")
    assert np.abs(weights(classifier)["attention.score.weight"]).max() > 1e-6
    texts = [*short_news[0][:6], "short"]
    together = classifier.predict_proba(texts)
    alone = np.vstack([classifier.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


# ---- heads


def test_a_hidden_head_is_its_formula(short_news, tiny_path):
    classifier = fit(short_news, tiny_path, head="hidden")
    own = {n: torch.from_numpy(a) for n, a in weights(classifier).items()}
    student = classifier.student_
    classifier.predict(short_news[0][:2])
    model = student._predictor
    tokenized = student._tokenize(short_news[0][:5])
    ids, mask = map(torch.from_numpy, tokenized.padded(np.arange(5)))
    with torch.inference_mode():
        features = model.features(ids, mask)
        hidden = features @ own["hidden.weight"].T + own["hidden.bias"]
        hidden = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))  # GELU
        logits = hidden @ own["head.weight"].T + own["head.bias"]
    np.testing.assert_allclose(
        torch.softmax(logits, dim=1).numpy(),
        classifier.predict_proba(short_news[0][:5]),
        atol=1e-6,
    )


@pytest.mark.parametrize("pooling", ["mean", "cls", "attention"])
@pytest.mark.parametrize("head", ["linear", "hidden"])
def test_files_keep_pooling_and_head(pooling, head, short_news, tiny_path, tmp_path):
    classifier = fit(short_news, tiny_path, n_texts=32, pooling=pooling, head=head)
    classifier.save(tmp_path)
    wanted = classifier.predict_proba(short_news[0][:9])
    for copy in (
        LLKDClassifier.load(tmp_path),
        pickle.loads(pickle.dumps(classifier)),
    ):
        assert copy.student_.pooling_ == pooling
        assert copy.student.head == head
        np.testing.assert_array_equal(copy.predict_proba(short_news[0][:9]), wanted)
    is_known = pooling != "attention"  # to sentence-transformers
    assert (tmp_path / "modules.json").exists() == is_known
    names = {name for name in weights(classifier) if not name.startswith("encoder.")}
    wanted_names = {"head.weight", "head.bias"}
    if head == "hidden":
        wanted_names |= {"hidden.weight", "hidden.bias"}
    if pooling == "attention":
        wanted_names |= {"attention.score.weight"}
    assert names == wanted_names


def test_the_head_s_own_learning_rate_is_that_of_all_that_is_new(tiny_path):
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(tiny_path)
    model = EncoderClassifier(encoder, 3, "attention", 0.1, "hidden")
    shapes = sorted(tuple(p.shape) for p in model.head_parameters())
    assert shapes == sorted([(1, 32), (32, 32), (32,), (3, 32), (3,)])


@pytest.mark.parametrize("other", [{"head": "hidden"}, {"linear_probe_epochs": 1}])
def test_the_architecture_s_head_admits_no_other(other, short_news, tiny_path):
    with pytest.raises(InvalidParameterError, match="`pooling=.architecture.`"):
        fit(short_news, tiny_path, pooling="architecture", **other)


# ---- linear probe


def first_beliefs(short_news, tiny_path, **student):
    """Return what a student believes of its pool before the first step."""
    texts, gold = short_news
    teacher = GoldTeacher(texts, gold)
    fresh = TransformerStudent(tiny_path, device="cpu", precision="float32", **student)
    fresh.begin_fit(texts[:96], 5, seed=0)
    rows = np.arange(64)  # the others are held out
    fresh.warm_up(rows, teacher(texts[:64]), np.ones(64))
    return fresh.predict_rows(rows), teacher(texts[:64]), fresh.snapshot()


@pytest.mark.parametrize("head", ["linear", "hidden"])
@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_a_linear_probe_teaches_the_head_and_leaves_the_encoder(
    head, pooling, short_news, tiny_path
):
    how = {"head": head, "pooling": pooling}
    before, teacher, untouched = first_beliefs(short_news, tiny_path, **how)
    after, _, started = first_beliefs(
        short_news, tiny_path, linear_probe_epochs=30, **how
    )

    def loss(proba):
        return -(teacher * np.log(proba)).sum(axis=1).mean()

    assert loss(after) < loss(before) - 0.05
    for name, array in untouched.items():
        is_head = name.startswith(("head.", "hidden."))
        assert np.array_equal(array, started[name]) != is_head, name


def test_a_linear_probe_is_the_seed_s_and_none_is_the_default(short_news, tiny_path):
    started = [
        weights(fit(short_news, tiny_path, linear_probe_epochs=2)) for _ in range(2)
    ]
    plain = weights(fit(short_news, tiny_path))
    none = weights(fit(short_news, tiny_path, linear_probe_epochs=0))
    for name, array in plain.items():
        np.testing.assert_array_equal(array, none[name])
        np.testing.assert_array_equal(started[0][name], started[1][name])
    assert not np.array_equal(plain["head.weight"], started[0]["head.weight"])


def test_held_out_rows_and_rows_of_no_weight_give_no_linear_probe(
    short_news, tiny_path, monkeypatch
):
    calls = []
    monkeypatch.setattr(
        TransformerStudent, "warm_up", lambda self, *given: calls.append(given)
    )
    texts, gold = short_news
    classifier = LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        refine=None,
        student=TransformerStudent(tiny_path, device="cpu", linear_probe_epochs=1),
        early_stopping=True,
        validation_fraction=0.25,
        n_epochs=1,
        random_state=0,
    )
    weight = np.linspace(0, 1, 64)
    classifier.fit(texts[:64], sample_weight=weight)
    ((rows, target, row_weight),) = calls
    assert len(rows) == 48
    assert set(np.flatnonzero(classifier.times_selected_)) <= set(rows)
    np.testing.assert_array_equal(row_weight, weight[rows])
    np.testing.assert_allclose(target, classifier.teacher_proba_[rows])
    classifier.partial_fit(texts[64:96])
    assert len(calls) == 1  # the head has learned by then
