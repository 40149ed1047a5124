"""Losses against their formulas in NumPy, their gradients, their limits, their files."""

import json

import numpy as np
import pytest
import skllkd.students
import torch
from sklearn.base import clone
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError, SkllkdWarning
from skllkd.selection import LLKDSelection, SelectAll
from skllkd.students import (
    CandidateSet,
    CrossEntropy,
    GeneralizedCrossEntropy,
    Loss,
    TransformerStudent,
)

from tests.conftest import TOPICS, GoldTeacher


def entropy_formula(p, t, smoothing=0.0):
    smooth = (1 - smoothing) * t + smoothing / t.shape[1]
    return -(smooth * np.log(p)).sum(axis=1)


def generalised_formula(p, t, q):
    return (t * (1 - p**q) / q).sum(axis=1)


def candidates_formula(p, t, coverage):
    """Add a row's classes, likeliest first, until they hold enough; then its ties."""
    losses = []
    for proba, target in zip(p, t, strict=True):
        members, held = [], 0.0
        for k in np.argsort(-target):
            if held >= coverage - 1e-6 and target[k] < target[members[-1]]:
                break
            members.append(k)
            held += target[k]
        members = [k for k in members if target[k] > 0]
        losses.append(-np.log(proba[members].sum()))
    return np.array(losses)


FORMULAS = [
    (CrossEntropy(), entropy_formula),
    (CrossEntropy(0.2), lambda p, t: entropy_formula(p, t, 0.2)),
    (GeneralizedCrossEntropy(), lambda p, t: generalised_formula(p, t, 0.7)),
    (GeneralizedCrossEntropy(1), lambda p, t: generalised_formula(p, t, 1)),
    (CandidateSet(), lambda p, t: candidates_formula(p, t, 0.9)),
    (CandidateSet(0.6), lambda p, t: candidates_formula(p, t, 0.6)),
    (CandidateSet(1), lambda p, t: candidates_formula(p, t, 1.0)),
]
LOSSES = [loss for loss, _ in FORMULAS]
N_CLASSES = 6


def rows(n=40):
    """Return log-probabilities and targets: soft, one-hot, ties, zeros among them."""
    rng = np.random.RandomState(0)
    proba = rng.dirichlet(np.ones(N_CLASSES), size=n)
    target = rng.dirichlet(np.full(N_CLASSES, 0.5), size=n)
    target[:10] = np.eye(N_CLASSES)[rng.randint(N_CLASSES, size=10)]
    target[10:15] = [0.25, 0, 0.25, 0.25, 0, 0.25]
    target[15:20] = 1 / N_CLASSES
    target[20:25] = [0, 0.5, 0.2, 0.2, 0.1, 0]
    return torch.from_numpy(np.log(proba)), torch.from_numpy(target)


def one_hot(n=40):
    log_proba, target = rows(n)
    return log_proba, torch.eye(N_CLASSES, dtype=torch.float64)[target.argmax(dim=1)]


def test_every_exported_loss_is_tested():
    exported = {
        thing
        for thing in vars(skllkd.students).values()
        if isinstance(thing, type) and issubclass(thing, Loss) and thing is not Loss
    }
    assert exported == {type(loss) for loss in LOSSES}


@pytest.mark.parametrize(("loss", "formula"), FORMULAS, ids=map(repr, LOSSES))
def test_value_is_the_formula_s_row_by_row(loss, formula):
    log_proba, target = rows()
    values = loss.per_sample(log_proba, target)
    assert values.shape == (40,)
    wanted = formula(log_proba.exp().numpy(), target.numpy())
    np.testing.assert_allclose(values.numpy(), wanted, atol=1e-12)
    in_float32 = loss.per_sample(log_proba.float(), target.float())
    np.testing.assert_allclose(in_float32.numpy(), wanted, atol=2e-6)
    assert (values >= -1e-12).all()


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_gradient_is_that_of_finite_differences(loss):
    log_proba, target = rows()
    logits = log_proba.clone().requires_grad_()

    def of_logits(logits):
        return loss.per_sample(torch.log_softmax(logits, dim=1), target)

    assert torch.autograd.gradcheck(of_logits, (logits,), eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_loss_and_gradient_are_finite_where_a_probability_is_0(loss):
    logits = torch.tensor([[0.0, 1e4, -1e4], [3e4, 0.0, 1.0]], requires_grad=True)
    target = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.7, 0.3]])
    values = loss.per_sample(torch.log_softmax(logits, dim=1), target)
    assert torch.softmax(logits, dim=1).min() == 0
    assert torch.isfinite(values).all()
    values.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_limits():
    log_proba, label = one_hot()
    hard = CrossEntropy().per_sample(log_proba, label)
    p = log_proba.exp()[label.bool()]
    torch.testing.assert_close(hard, -p.log())
    for same in (CrossEntropy(0.0), GeneralizedCrossEntropy(1e-9)):
        torch.testing.assert_close(same.per_sample(log_proba, label), hard)
    for coverage in (0.1, 0.9, 1):
        one = CandidateSet(coverage).per_sample(log_proba, label)
        torch.testing.assert_close(one, hard)
    torch.testing.assert_close(
        GeneralizedCrossEntropy(1).per_sample(log_proba, label), 1 - p
    )
    # In the precision of training as well, where 1 - p**q would be all rounding.
    nearly = GeneralizedCrossEntropy(1e-6).per_sample(log_proba.float(), label.float())
    torch.testing.assert_close(nearly, hard.float(), rtol=1e-4, atol=1e-5)
    soft = torch.full_like(label, 1 / N_CLASSES)
    torch.testing.assert_close(  # everything is plausible: nothing to learn
        CandidateSet().per_sample(log_proba, soft), torch.zeros_like(hard)
    )


def test_gradient_of_generalised_is_cross_entropy_s_times_p_to_the_q():
    log_proba, label = one_hot()
    gradients = []
    for loss in (CrossEntropy(), GeneralizedCrossEntropy(0.7)):
        logits = log_proba.clone().requires_grad_()
        loss.per_sample(torch.log_softmax(logits, dim=1), label).sum().backward()
        gradients.append(logits.grad)
    p = log_proba.exp()[label.bool()][:, None]
    torch.testing.assert_close(gradients[1], gradients[0] * p**0.7)


def test_a_candidate_outside_the_set_is_pushed_down_and_none_inside_is_preferred():
    logits = torch.zeros(1, 3, requires_grad=True)
    target = torch.tensor([[0.9, 0.06, 0.04]])  # the first two hold 0.96
    CandidateSet(0.95).per_sample(torch.log_softmax(logits, dim=1), target).backward()
    pull = logits.grad[0]
    assert pull[0] == pull[1] < 0 < pull[2]


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (CrossEntropy(1.0), "label_smoothing"),
        (CrossEntropy(-0.1), "label_smoothing"),
        (GeneralizedCrossEntropy(0), "q"),
        (GeneralizedCrossEntropy(1.1), "q"),
        (CandidateSet(0), "coverage"),
        (CandidateSet("most"), "coverage"),
        ("focal", "loss"),
        (CrossEntropy, "loss"),
    ],
)
def test_bad_parameters_are_named(bad, name):
    with pytest.raises(InvalidParameterError, match=f"`{name}`"):
        TransformerStudent(loss=bad).check()


# ---- in a classifier


@pytest.fixture(scope="module")
def short_news(news):
    texts, gold = news
    return [text[:100] for text in texts], gold


def fit(short_news, tiny_path, loss, target="hard", **parameters):
    texts, gold = short_news
    classifier = LLKDClassifier(
        GoldTeacher(texts, gold, confidence=0.6),
        TOPICS,
        refine=None,
        selection=SelectAll(target=target),
        student=TransformerStudent(tiny_path, device="cpu", loss=loss),
        n_epochs=1,
        random_state=0,
    ).set_params(**parameters)
    return classifier.fit(texts[:48])


def weights_of(classifier):
    return classifier.student_.weights_["head.weight"]


def test_no_loss_is_cross_entropy_and_others_are_not(short_news, tiny_path):
    plain = fit(short_news, tiny_path, None)
    np.testing.assert_array_equal(
        weights_of(plain), weights_of(fit(short_news, tiny_path, CrossEntropy()))
    )
    for loss in (CrossEntropy(0.3), GeneralizedCrossEntropy(0.9)):
        other = fit(short_news, tiny_path, loss)
        assert np.abs(weights_of(other) - weights_of(plain)).max() > 1e-5
    start = np.log(len(TOPICS))
    np.testing.assert_allclose(plain.history_["loss"][0], start, rtol=0.15)
    bent = fit(short_news, tiny_path, GeneralizedCrossEntropy(0.9)).history_["loss"][0]
    np.testing.assert_allclose(bent, (1 - np.exp(-0.9 * start)) / 0.9, rtol=0.15)


def test_weights_multiply_the_loss(short_news, tiny_path):
    texts, gold = short_news
    weight = np.zeros(48)
    weight[::2] = 1
    classifier = clone(fit(short_news, tiny_path, GeneralizedCrossEntropy()))
    classifier.set_params(
        teacher=GoldTeacher(texts, gold, confidence=0.6), batch_size=48
    )
    half = classifier.fit(texts[:48], sample_weight=weight).history_["loss"][0]
    every = classifier.fit(texts[:48]).history_["loss"][0]

    assert 0.4 * every < half < 0.6 * every


def test_parameters_of_the_loss_are_the_student_s(short_news, tiny_path):
    classifier = LLKDClassifier(
        student=TransformerStudent(tiny_path, loss=GeneralizedCrossEntropy())
    )
    assert classifier.get_params()["student__loss__q"] == 0.7
    clone(classifier).set_params(student__loss__q=0.1)
    assert classifier.student.loss.q == 0.7
    twin = clone(classifier.set_params(student__loss__q=0.2))
    assert twin.student.loss.q == 0.2 and twin.student.loss is not classifier


def test_a_loss_of_sets_says_when_it_gets_labels_alone(short_news, tiny_path):
    with pytest.warns(SkllkdWarning, match="selection__target"):
        fit(short_news, tiny_path, CandidateSet(0.95))
    fit(
        short_news, tiny_path, CandidateSet(0.95), target="soft"
    )  # a warning would fail


@pytest.mark.parametrize("loss", [None, GeneralizedCrossEntropy(0.4)], ids=repr)
def test_a_folder_keeps_the_loss(loss, short_news, tiny_path, tmp_path):
    classifier = fit(short_news, tiny_path, loss, selection=LLKDSelection(momentum=0.8))
    classifier.save(tmp_path)
    settings = json.loads((tmp_path / "skllkd.json").read_text())
    assert ("q" in repr(settings["student"]["parameters"]["loss"])) == bool(loss)
    loaded = LLKDClassifier.load(tmp_path)
    for student in (loaded.student, loaded.student_):
        assert repr(student.loss) == repr(loss)
    assert loaded.predict(["x"]).shape == (1,)


class OwnLoss(CrossEntropy):
    """A loss of one's own."""


def test_a_loss_of_one_s_own_trains_and_is_refused_before_anything_is_written(
    short_news, tiny_path, tmp_path
):
    classifier = fit(short_news, tiny_path, OwnLoss())
    with pytest.raises(NotImplementedError, match="OwnLoss.*joblib"):
        classifier.save(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
