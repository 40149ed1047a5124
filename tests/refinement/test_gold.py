"""Weights from gold labels, and accuracy judged by labels that were put aside."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from skllkd.refinement import Evidence, EvidenceContext, OutOfFold, Refinement
from skllkd.refinement.gold import Accuracy, accuracy_on, distinct_rows, held_out
from skllkd.refinement.weights import gold_weights

NAMES = ["ham", "spam", "eggs"]


@dataclass(frozen=True)
class Given(Evidence):
    """Evidence that is known beforehand, and remembers the contexts it saw."""

    answer: Any
    seen: list = field(default_factory=list)

    def log_prob(self, context):
        self.seen.append(context)
        return self.answer


@dataclass(frozen=True)
class Leak(Evidence):
    """Evidence that repeats the gold labels it is shown."""

    uses_labels = True

    def log_prob(self, context):
        return np.log(np.where(np.isnan(context.labels), 1 / 3, context.labels + 1e-6))


def log_prob_of(label, sure, rng):
    """Return log-probabilities that name a label, with some noise."""
    logit = sure * np.eye(3)[label] + rng.normal(size=(len(label), 3))
    return log_softmax(logit, axis=1)


def right_in(share, gold, rng):
    """Return labels that are right in about a share of the texts, else at random."""
    return np.where(
        rng.uniform(size=len(gold)) < share, gold, rng.randint(3, size=len(gold))
    )


@pytest.fixture
def pool():
    """Return gold columns, a poor teacher's distributions and a good source's answer."""
    rng = np.random.RandomState(0)
    gold = rng.randint(3, size=600)
    teacher = softmax(log_prob_of(right_in(0.3, gold, rng), 3, rng), axis=1)
    return gold, teacher, log_prob_of(right_in(0.9, gold, rng), 3, rng)


def some_of(gold, n):
    return np.where(np.arange(len(gold)) < n, gold, -1)


def refined(teacher, gold, *evidence, texts=None):
    texts = texts or [f"text {i}" for i in range(len(teacher))]
    return Refinement(evidence)(context_of(texts, teacher, gold))


def context_of(texts, teacher, gold, **others):
    context = EvidenceContext.of(texts, NAMES)
    return replace(context, teacher_proba=teacher, labels=teacher, gold=gold, **others)


# ---- weights


def test_weights_are_the_prior_without_labels_and_the_truth_with_many():
    rng = np.random.RandomState(0)
    evidence = rng.normal(size=(2, 4000, 3)) * 2
    truth, offset = np.array([0.3, 1.2]), np.array([0.5, 0.0, -0.5])
    proba = softmax(np.tensordot(truth, evidence, 1) + offset, axis=1)
    gold = (proba.cumsum(axis=1) > rng.uniform(size=(4000, 1))).argmax(axis=1)
    prior = np.array([1.0, 0.5])

    weights, offsets = gold_weights(evidence[:, :0], gold[:0], prior)
    np.testing.assert_allclose(weights, prior)
    np.testing.assert_allclose(offsets, 0)

    def distance(n):
        weights, offsets = gold_weights(evidence[:, :n], gold[:n], prior)
        return np.abs(weights - truth).sum() + np.abs(offsets - offset).sum()

    assert distance(4000) < 0.35 < distance(200) < distance(0)


def test_weights_are_never_negative():
    rng = np.random.RandomState(0)
    gold = rng.randint(3, size=300)
    wrong = log_prob_of((gold + 1) % 3, 3, rng)
    right = log_prob_of(gold, 3, rng)
    weights, _ = gold_weights(np.array([wrong, right]), gold, np.array([1.0, 1.0]))
    assert 0 <= weights[0] < 0.01 < weights[1]


def test_gold_labels_find_the_source_that_is_right_where_the_teacher_is_not(pool):
    gold, teacher, good = pool
    others = np.arange(100, 600)

    def right(n):
        found = refined(teacher, some_of(gold, n) if n else None, Given(good))
        return (found.proba.argmax(axis=1) == gold)[others].mean()

    assert right(100) > right(0) + 0.05
    assert right(25) >= right(0)


def test_the_weight_of_the_teacher_is_among_the_sources(pool):
    gold, teacher, good = pool
    found = refined(teacher, some_of(gold, 100), Given(good), Given(None))
    assert [source.name for source in found.sources] == ["teacher", "given", "given"]
    weights = [source.weight for source in found.sources]
    assert 0 <= weights[0] < weights[1]
    assert weights[2] == 0
    without = refined(teacher, None, Given(good)).sources
    assert [source.name for source in without] == ["given"]


def test_gold_labels_are_certain_and_learned(pool):
    gold, teacher, _ = pool
    shown = []

    class Learner(Leak):
        def log_prob(self, context):
            shown.append(context.labels)

    some = some_of(gold, 40)
    found = refined(teacher, some, Learner())
    np.testing.assert_array_equal(found.proba[:40], np.eye(3)[gold[:40]])
    np.testing.assert_array_equal(shown[0][:40], np.eye(3)[gold[:40]])
    assert (found.proba[40:].max(axis=1) < 1).all()


def test_gold_labels_of_one_class_do_not_make_every_text_of_it(pool):
    gold, teacher, good = pool
    some = np.where((gold == 1) & (np.arange(600) < 90), gold, -1)
    label = refined(teacher, some, Given(good)).proba.argmax(axis=1)[some < 0]
    before = refined(teacher, None, Given(good)).proba.argmax(axis=1)[some < 0]
    assert np.bincount(label)[1] < 1.1 * np.bincount(before)[1]


def test_a_class_without_other_texts_keeps_the_teacher_s_and_gold_stays():
    teacher = np.tile([0.6, 0.4, 0.0], (30, 1))
    teacher[:5] = [0.1, 0.2, 0.7]
    sure = np.log(np.tile([0.01, 0.98, 0.01], (30, 1)))
    gold = np.where(np.arange(30) == 0, 1, -1)
    label = refined(teacher, gold, Given(sure)).proba.argmax(axis=1)
    assert label[0] == 1
    assert (label[1:5] == 2).all()


# ---- accuracy


def test_an_accuracy_is_of_the_labels_that_were_found_without_the_text_s_own(pool):
    gold, _, _ = pool
    uniform = np.full((600, 3), 1 / 3)
    rng = np.random.RandomState(1)
    uniform += rng.uniform(0, 1e-3, size=uniform.shape)
    found = refined(uniform / uniform.sum(axis=1, keepdims=True), gold, Leak())
    assert found.proba.argmax(axis=1).tolist() == gold.tolist()
    low, high = found.accuracy["labels"].interval
    assert low < 1 / 3 < high


def test_evidence_that_uses_no_labels_sees_no_gold(pool):
    gold, teacher, good = pool
    source = Given(good)
    refined(teacher, some_of(gold, 50), source)
    assert len(source.seen) == 1  # it may cost something
    assert source.seen[0].gold is None


def test_the_accuracy_is_near_the_truth_of_the_other_texts(pool):
    gold, teacher, good = pool
    found = refined(teacher, some_of(gold, 300), Given(good))
    truth = (found.proba.argmax(axis=1) == gold)[300:].mean()
    low, high = found.accuracy["labels"].interval
    assert low < truth < high
    teacher_truth = (teacher.argmax(axis=1) == gold)[:300].sum()
    assert found.accuracy["teacher"] == Accuracy(300, teacher_truth)
    assert "student" not in found.accuracy


def test_the_student_s_accuracy_is_that_of_the_out_of_fold_model(pool):
    gold, teacher, _ = pool
    asked = []

    def out_of_fold(label, weight, n_folds):
        asked.append((label, weight))
        return np.eye(3)[np.where(np.arange(600) % 2, gold, (gold + 1) % 3)]

    texts = [f"text {i}" for i in range(600)]
    context = context_of(texts, teacher, some_of(gold, 100), out_of_fold=out_of_fold)
    found = Refinement([OutOfFold()], 1)(context)
    assert found.accuracy["student"] == Accuracy(100, 50)
    label, weight = asked[0]
    assert (label[:100] == gold[:100]).all()
    assert weight[:100].min() > 1.5 * weight.mean()
    assert len(asked) == 6  # in each of five parts a fifth of the labels is put aside
    for label, _ in asked[1:]:
        assert 3 <= (label[:100] != gold[:100]).sum() <= 20


def test_folds_put_each_text_aside_once_with_its_copies():
    texts = ["a", "b", "c", "d", "e", "f", "g", "a", "b", "h"]
    gold = np.array([0, 1, 2, 0, 1, 2, -1, 0, 1, -1])
    assert distinct_rows(texts, gold).tolist() == [0, 1, 2, 3, 4, 5]
    seen = []
    for rows, others in held_out(texts, gold, seed=0):
        hidden = np.flatnonzero((gold >= 0) & (others < 0))
        assert {texts[row] for row in hidden} == {texts[row] for row in rows}
        assert not {texts[row] for row in np.flatnonzero(others >= 0)} & {
            texts[row] for row in rows
        }
        seen += rows.tolist()
    assert sorted(seen) == [0, 1, 2, 3, 4, 5]


def test_one_gold_label_is_judged_by_what_is_found_without_any(pool):
    gold, teacher, good = pool
    found = refined(teacher, some_of(gold, 1), Given(good))
    without = refined(teacher, None, Given(good)).proba.argmax(axis=1)
    assert found.accuracy["labels"] == Accuracy(1, int(without[0] == gold[0]))


def test_rows_without_a_distribution_are_not_judged():
    proba = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]])
    accuracy = accuracy_on(proba, np.array([0, 1, 0]), np.arange(3))
    assert accuracy == Accuracy(2, 1)
    assert accuracy.share == 0.5
    assert str(accuracy).startswith("50.0% [9.5%, 90.5%] of 2")
    assert np.isnan(Accuracy(0, 0).share)


def test_a_text_without_the_teacher_s_label_teaches_by_its_gold_label(pool):
    gold, teacher, _ = pool
    teacher[:50] = np.nan
    asked = []
    texts = [f"text {i}" for i in range(600)]
    context = context_of(
        texts,
        teacher,
        some_of(gold, 20),
        out_of_fold=lambda *given: asked.append(given),
    )
    Refinement([OutOfFold()], 1)(context)
    label, weight, _ = asked[0]
    assert (label[:20] == gold[:20]).all()
    assert (label[20:50] == -1).all()
    assert (weight[:20] > 0).all()


def test_a_few_gold_labels_do_not_lift_the_doubt_about_a_source():
    rng = np.random.RandomState(0)
    gold = rng.randint(3, size=600)
    teacher = softmax(log_prob_of(right_in(0.9, gold, rng), 6, rng), axis=1)

    class OfEncoder(Given):
        of_encoder = True

    poor = OfEncoder(log_prob_of(right_in(0.3, gold, rng), 6, rng))
    without = refined(teacher, None, poor)
    assert without.sources[0].missing
    few = refined(teacher, some_of(gold, 10), poor)
    changed = few.proba.argmax(axis=1) != without.proba.argmax(axis=1)
    assert changed[10:].mean() < 0.02
