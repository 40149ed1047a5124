"""How far sources find the texts of each class that a teacher finds."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from skllkd import Multilabel
from skllkd.refinement import Evidence, EvidenceContext, OutOfFold, Refinement
from skllkd.refinement.pool import PoolEvidence
from skllkd.refinement.tag_agreement import kappa_of_likeliest, likeliest_from
from skllkd.students import SklearnStudent

TAGS = Multilabel(["sports", "money"])
N = 120

HAS = np.random.RandomState(0).rand(N, 2) < [0.4, 0.2]
TEXTS = [
    " ".join([w for w, h in zip(["goal", "bank"], row, strict=True) if h] + ["word"])
    + f" {i % 7}"
    for i, row in enumerate(HAS)
]


@dataclass(frozen=True)
class Given(Evidence):
    answer: Any = None

    def log_prob(self, context):
        return self.answer


def refined(evidence, teacher, **more):
    context = PoolEvidence(
        SklearnStudent(), TEXTS, TAGS._checked, np.ones(N), 3, 0, 0, False
    ).context(teacher)
    return Refinement(evidence)(replace(context, **more))


def by_class(evidence, teacher, **more):
    (source,) = refined([evidence], teacher, **more).sources
    return source.by_class


def proba_of(has, high=0.8, low=0.1):
    noise = np.random.RandomState(1).uniform(0, 0.05, has.shape)
    return np.where(has, high, low) + noise


def test_as_many_texts_as_expected_are_the_teachers():
    assert likeliest_from(np.array([0.9, 0.2, 0.6, 0.3])) == 0.6  # they add up to 2
    assert likeliest_from(np.array([1.0, 0.0, 1.0, np.nan])) == 1.0
    assert likeliest_from(np.array([0.8] * 2 + [0.1] * 30)) == 0.8  # of 5 expected
    for nothing_told in ([0.3] * 10, [0.01] * 10, [0.99] * 10, [np.nan], []):
        assert likeliest_from(np.array(nothing_told, dtype=float)) is None


def test_agreement_is_kappa_of_as_many_of_the_likeliest():
    has = np.arange(20) < 5
    score = np.where(np.arange(20) < 7, 1.0, 0.0) + np.arange(20) / 100
    said = np.isin(np.arange(20), np.argsort(-score)[:5])
    wanted = cohen_kappa_score(has, said)
    assert kappa_of_likeliest(has, score) == pytest.approx(wanted)
    assert kappa_of_likeliest(has, has.astype(float)) == 1
    assert kappa_of_likeliest(np.ones(3, bool), np.arange(3.0)) is None


def test_each_class_has_its_own_in_the_users_order():
    teacher, wrong = proba_of(HAS), HAS.copy()
    wrong[:, 1] = np.random.RandomState(2).permutation(wrong[:, 1])
    found = by_class(Given(np.log(proba_of(wrong))), teacher)
    assert found[0] == pytest.approx(1)
    assert abs(found[1]) < 0.4


def test_neither_a_flat_teacher_nor_a_flat_source_needs_to_reach_one_half():
    flat = proba_of(HAS, 0.35, 0.25)
    assert flat.max() < 0.5
    found = by_class(Given(np.log(proba_of(HAS, 0.2, 0.1))), flat)
    assert found == pytest.approx((1, 1))
    learned = by_class(OutOfFold(), flat)
    assert min(learned) > 0.5
    # In the refinement itself the model learns nothing: no text is likelier than not.
    assert (refined([OutOfFold()], flat).out_of_fold == -1).all()


def test_texts_without_an_answer_are_left_out_and_silence_is_none():
    teacher = proba_of(HAS)
    teacher[:10] = np.nan
    answer = np.log(proba_of(HAS))
    answer[10:20, 0] = np.nan
    answer[:, 1] = np.nan
    assert by_class(Given(answer), teacher) == (pytest.approx(1), None)
    assert by_class(Given(None), teacher) == (None, None)
    assert by_class(OutOfFold(), np.full((N, 2), 0.2)) == (None, None)


def test_gold_labels_are_not_what_is_compared():
    gold = np.where(np.arange(N)[:, None] < 60, ~HAS, -1).astype(int)
    parts = refined([Given(np.log(proba_of(HAS)))], proba_of(HAS), gold=gold).sources
    assert [source.name for source in parts] == ["teacher", "given"]
    assert parts[0].by_class == ()
    assert parts[1].by_class == pytest.approx((1, 1))


def test_one_class_a_text_has_none():
    context = EvidenceContext.of(TEXTS, ["a", "b"])
    proba = np.full((N, 2), 0.5)
    context = replace(context, teacher_proba=proba, labels=proba)
    (source,) = Refinement([Given(np.log(proba))])(context).sources
    assert source.by_class == ()
