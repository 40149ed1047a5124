"""The rule: sources, weights, rounds and the record of what changed."""

from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.refinement import (
    AnotherTeacher,
    ClassNames,
    Evidence,
    EvidenceContext,
    OutOfFold,
    Refinement,
    Rules,
)
from skllkd.refinement.record import refinement_record
from skllkd.refinement.weights import evidence_weights

NAMES = ["ham", "spam", "eggs"]


@dataclass(frozen=True)
class Given(Evidence):
    """Evidence that is known beforehand."""

    answer: Any = None

    def log_prob(self, context):
        return self.answer


@dataclass(frozen=True)
class Learner(Given):
    """Evidence that is asked in each round, and remembers the labels it was shown."""

    shown: list = field(default_factory=list)
    uses_labels = True
    of_encoder = True

    def log_prob(self, context):
        self.shown.append(context.labels)
        return self.answer


def refine(teacher_proba, *evidence, n_rounds=2, few_texts=0):
    proba = np.array(teacher_proba, dtype=float)
    texts, names = [f"text {i}" for i in range(len(proba))], NAMES[: proba.shape[1]]
    context = EvidenceContext.of(texts, names)
    context = replace(context, teacher_proba=proba, labels=proba)
    with patch("skllkd.refinement.refinement._FEW_TEXTS", few_texts):
        return Refinement(evidence, n_rounds)(context)[:2]


def proba_of(rng, n_texts, n_classes=3, scale=1.0):
    return softmax(scale * rng.normal(size=(n_texts, n_classes)), axis=1)


def agreeing(rng, teacher):
    """Return evidence that puts the classes of each text in the teacher's order."""
    evidence = np.sort(proba_of(rng, *teacher.shape), axis=1)
    return np.take_along_axis(evidence, teacher.argsort(axis=1).argsort(axis=1), 1)


def test_log_probabilities_of_teacher_and_learner_are_added():
    rng = np.random.RandomState(0)
    teacher = proba_of(rng, 20)
    evidence = agreeing(rng, teacher)
    proba, (source,) = refine(teacher, Learner(np.log(evidence)))
    product = teacher * evidence
    np.testing.assert_allclose(proba, product / product.sum(axis=1, keepdims=True))
    assert (source.name, source.weight, source.n_texts) == ("learner", 1.0, 20)


def test_a_learner_with_few_labels_to_learn_from_has_little_weight():
    rng = np.random.RandomState(0)
    teacher = proba_of(rng, 20)
    evidence = agreeing(rng, teacher)
    teacher[10:] = np.nan
    proba, (source,) = refine(teacher, Learner(np.log(evidence)), few_texts=50)
    assert source.weight == 10 / 60
    product = np.nan_to_num(teacher, nan=1) * evidence ** (10 / 60)
    np.testing.assert_allclose(proba, product / product.sum(axis=1, keepdims=True))


def test_other_evidence_is_weighted_by_its_agreement_with_the_teacher():
    rng = np.random.RandomState(0)
    teacher, evidence = proba_of(rng, 50, scale=3), proba_of(rng, 50)
    proba, (source,) = refine(teacher, Given(np.log(evidence)))
    label = teacher.argmax(axis=1)
    (weight,) = evidence_weights(np.log(evidence)[None], label)
    assert source.weight == pytest.approx(weight)
    unnormalised = np.maximum(teacher, 1e-4) * evidence**weight
    expected = unnormalised / unnormalised.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(proba, expected)


def test_no_evidence_outweighs_ten_thousand_to_one():
    hard = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    with np.errstate(divide="ignore"):
        against = np.log([[0.0, 1.0], [0.5, 0.5], [0.0, 1.0]])
    proba, _ = refine(hard, Learner(against))
    np.testing.assert_allclose(proba[0], [0.5, 0.5], atol=1e-4)
    np.testing.assert_allclose(proba[1], [1 / 1.0001, 1e-4 / 1.0001], rtol=1e-3)


def test_nor_does_a_weight_above_1_let_it():
    """The labels follow the evidence so closely that its weight is far above 1."""
    teacher = np.tile([[0.999, 0.001], [0.001, 0.999]], (200, 1))
    evidence = np.log(np.tile([[0.6, 0.4], [0.4, 0.6]], (200, 1)))
    evidence[0] = np.log([0.001, 0.999])
    proba, (source,) = refine(teacher, Given(evidence))
    assert source.weight > 2
    np.testing.assert_allclose(proba[0, 1] / proba[0, 0], 1e-3 / 0.999 * 1e4, rtol=0.01)


def test_silence_is_no_evidence_and_of_silence_alone_comes_no_label():
    nan = [np.nan, np.nan]
    teacher = [[0.9, 0.1], nan, [0.6, 0.4], nan]
    proba, (source,) = refine(
        teacher, Learner(np.log([nan, [0.2, 0.8], [0.5] * 2, nan]))
    )
    np.testing.assert_allclose(proba[:3], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert np.isnan(proba[3]).all()
    assert source.n_texts == 2


def test_a_text_of_which_no_source_speaks_keeps_its_distribution():
    teacher = np.array([[1 - 1e-6, 1e-6], [0.6, 0.4]])  # the first beyond the floor
    evidence = np.log([[np.nan, np.nan], [0.7, 0.3]])
    proba, _ = refine(teacher, Learner(evidence))
    np.testing.assert_array_equal(proba[0], teacher[0])
    assert proba[1, 0] > 0.7


def test_evidence_of_weight_nothing_labels_no_text():
    """Else its first class would be the label of every text without a teacher's."""
    teacher = np.tile([[0.9, 0.1], [0.1, 0.9], [np.nan, np.nan]], (40, 1))
    opposite = np.log(1 - np.nan_to_num(teacher, nan=0.3))
    proba, (source,) = refine(teacher, Given(opposite))
    assert source.weight == 0
    np.testing.assert_array_equal(np.isnan(proba[:, 0]), np.isnan(teacher[:, 0]))


def test_without_evidence_the_labels_are_the_teacher_s():
    teacher = proba_of(np.random.RandomState(0), 10)
    proba, sources = refine(teacher, Given(None))
    np.testing.assert_allclose(proba, teacher)
    assert sources[0].weight == 0
    assert refine(teacher)[1] == ()


def test_each_round_shows_the_labels_of_the_round_before():
    teacher = proba_of(np.random.RandomState(0), 10)
    learner = Learner(np.log(agreeing(np.random.RandomState(1), teacher)))
    proba, _ = refine(teacher, learner, n_rounds=3)
    first, second, third = learner.shown
    np.testing.assert_allclose(first, teacher)
    np.testing.assert_allclose(second, third)
    np.testing.assert_allclose(second, proba)
    assert np.abs(first - second).max() > 0.1


@pytest.mark.parametrize(("n_others", "stays"), [(7, True), (9, False)])
def test_a_learner_worse_than_the_labels_leaves_them_alone(n_others, stays):
    """Of two judges who are right in 80 %, 68 % of the answers are the same."""
    teacher = np.tile([0.8, 0.2], (25, 1))
    evidence = np.tile([0.9, 0.1], (25, 1))
    evidence[:n_others] = [0.1, 0.9]  # agrees in 18 or 16 of 25
    learner = Learner(np.log(evidence))
    proba, (source,) = refine(teacher, learner)
    assert (proba[0, 0] < 0.5) == stays
    assert len(learner.shown) == (2 if stays else 1)
    assert (source.weight, source.n_texts) == ((1.0, 25) if stays else (0.0, 0))
    assert ("stood aside (needs labels that are less sure)" in str(source)) != stays


def test_so_do_class_names_but_not_other_knowledge():
    teacher = np.tile([0.95, 0.05], (20, 1))
    evidence = np.tile([0.4, 0.6], (20, 1))
    evidence[:12] = [0.6, 0.4]

    @dataclass(frozen=True)
    class OfTheEncoder(Given):
        of_encoder = True

    _, sources = refine(
        teacher, OfTheEncoder(np.log(evidence)), Given(np.log(evidence))
    )
    assert [bool(source.missing) for source in sources] == [True, False]


def test_it_still_speaks_of_texts_without_a_label():
    teacher = np.tile([0.95, 0.05], (20, 1))
    teacher[15:] = np.nan
    evidence = np.tile([0.3, 0.7], (20, 1))
    learner = Learner(np.log(evidence))
    proba, (source,) = refine(teacher, learner)
    np.testing.assert_allclose(proba[:15], teacher[:15])
    np.testing.assert_allclose(proba[15:], evidence[15:])
    assert source.n_texts == 5
    assert len(learner.shown) == 2


def test_it_is_judged_in_the_first_round_only():
    """Later labels hold its own evidence, and claim more."""
    teacher = np.tile([0.6, 0.4], (20, 1))
    learner = Learner(np.log(np.tile([0.999, 0.001], (20, 1))))
    learner.answer[:6] = np.log([0.4, 0.6])  # .7 of the labels, which claim .6
    proba, (source,) = refine(teacher, learner, n_rounds=3)
    assert source.weight == 1
    assert len(learner.shown) == 3
    assert proba[0, 0] == pytest.approx(0.5)


def test_a_class_keeps_its_texts_if_it_would_lose_all_of_them():
    teacher = [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.4, 0.3, 0.3], [0.1, 0.2, 0.7]]
    everything_is_ham = np.log(np.tile([0.9, 0.05, 0.05], (4, 1)))
    proba, _ = refine(teacher, Learner(everything_is_ham))
    assert proba.argmax(axis=1).tolist() == [0, 1, 0, 2]
    np.testing.assert_array_equal(proba[1], teacher[1])
    assert proba[0, 0] > 0.95


def test_evidence_of_another_shape_is_a_named_error():
    with pytest.raises(
        InvalidParameterError, match=r"Given.log_prob .*\(4, 2\).*\(2, 4\)"
    ):
        refine(np.full((4, 2), 0.5), Given(np.zeros((2, 4))))


# ---- weights


def sampled(log_prob, rng):
    """Draw a label of each row from the distribution."""
    noise = rng.gumbel(size=log_prob.shape)
    return (log_prob + noise).argmax(axis=1)


@pytest.mark.parametrize("true_weight", [0.0, 0.4, 1.0])
def test_the_weight_is_the_one_the_labels_were_drawn_with(true_weight):
    rng = np.random.RandomState(0)
    evidence = log_softmax(2 * rng.normal(size=(20_000, 4)), axis=1)
    label = sampled(true_weight * evidence + [0.0, 1.0, -1.0, 0.5], rng)
    (weight,) = evidence_weights(evidence[None], label)
    assert weight == pytest.approx(true_weight, abs=0.03)


def test_weights_of_two_sources_that_say_the_same_share_it():
    rng = np.random.RandomState(0)
    evidence = log_softmax(2 * rng.normal(size=(5000, 3)), axis=1)
    label = sampled(evidence, rng)
    pair = evidence_weights(np.array([evidence, evidence]), label)
    assert pair.sum() == pytest.approx(1, abs=0.05)


def test_a_handful_of_texts_gives_little_weight():
    evidence = np.log(np.array([[0.9, 0.1], [0.1, 0.9]]))
    (of_two,) = evidence_weights(evidence[None], np.array([0, 1]))
    (of_many,) = evidence_weights(
        np.tile(evidence, (500, 1))[None], np.tile([0, 1], 500)
    )
    assert of_two < 0.2
    assert of_many > 1


# ---- the record


def test_the_record_counts_changes_and_sorts_them_by_sureness():
    nan = [np.nan] * 3
    teacher = np.array(
        [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], nan, nan, [0.0, 0.0, 1.0]]
    )
    refined = np.array(
        [[0.9, 0.1, 0], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0, 1, 0], nan, [0, 0, 1.0]]
    )
    record = refinement_record(np.array(NAMES), teacher, refined, ())
    assert record.changed.tolist() == [2, 1]
    assert (record.n_new, record.n_texts) == (1, 5)
    ham, spam, eggs = record.per_class
    assert ham == replace(ham, n_teacher=2, n_refined=1, n_left=1, n_came=0, n_new=0)
    assert spam == replace(spam, n_teacher=1, n_refined=2, n_left=1, n_came=1, n_new=1)
    assert eggs == replace(eggs, n_teacher=1, n_refined=2, n_left=0, n_came=1, n_new=0)
    assert "2 of 5 labels changed, 1 added" in repr(record)


# ---- parameters


def test_a_nested_parameter_is_set_and_the_shared_default_stays():
    classifier = LLKDClassifier()
    twin = clone(classifier).set_params(
        refine__n_rounds=5, refine__evidence=[OutOfFold()]
    )
    assert twin.get_params()["refine__n_rounds"] == 5
    assert twin.refine.evidence == [OutOfFold()]
    assert classifier.refine == LLKDClassifier().refine == Refinement()
    assert clone(twin).refine == twin.refine
    both = twin.set_params(refine=Refinement(n_rounds=7), refine__evidence=())
    assert both.refine == Refinement((), 7)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"refine": True}, "`refine` must be.*True"),
        ({"refine__n_rounds": 0}, "`refine__n_rounds` must.*got 0"),
        ({"refine__rounds": 1}, "`refine__rounds` is no parameter.*n_rounds"),
        ({"refine__evidence": ClassNames()}, "`refine__evidence` must.*ClassNames"),
        ({"refine__evidence": [ClassNames]}, "`refine__evidence` must"),
        ({"refine__evidence": [ClassNames(0)]}, "`temperature` must.*got 0"),
        ({"refine__evidence": [OutOfFold(1)]}, "`n_folds` must.*got 1"),
        ({"refine__evidence": [Rules({})]}, "`rules` must map"),
        ({"refine__evidence": [Rules({"a": ["word"]})]}, "functions.*'word'.*'a'"),
        ({"refine__evidence": [AnotherTeacher(3)]}, "teacher"),
    ],
)
def test_bad_parameters_are_named_before_labels_are_bought(params, message):
    def never(texts):
        raise AssertionError("labels were bought")

    with pytest.raises(InvalidParameterError, match=message):
        LLKDClassifier(never, ["a", "b"]).set_params(**params).fit(["x", "y"])


def test_names_of_sources_are_those_of_their_classes():
    assert ClassNames().name == "class names"
    assert AnotherTeacher(print).name == "another teacher"
