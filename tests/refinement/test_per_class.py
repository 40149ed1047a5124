"""Refinement of several classes a text: the same as of each class by itself."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from skllkd import Multilabel
from skllkd._core.log_odds import yes_no_columns
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
from skllkd.refinement.pool import PoolEvidence
from skllkd.refinement.record import refinement_record
from skllkd.students import SklearnStudent

TAGS = Multilabel(["sports", "money", "law"])
WORDS = ["goal", "bank", "court"]
N = 120


@dataclass(frozen=True)
class Given(Evidence):
    answer: Any = None

    def log_prob(self, context):
        return self.answer


@pytest.fixture(scope="module")
def pool():
    """Return texts with their classes, and a teacher that is right of four in five."""
    rng = np.random.RandomState(0)
    has = rng.rand(N, 3) < 0.4
    texts = [
        " ".join([w for w, h in zip(WORDS, row, strict=True) if h] + [f"word{i % 7}"])
        for i, row in enumerate(has)
    ]
    wrong = rng.rand(N, 3) < 0.2
    odds = np.where(has ^ wrong, 1.0, -1.0) * rng.uniform(0.5, 2.0, size=(N, 3))
    return texts, has, expit(odds)


def context_of(texts, teacher_proba, **more):
    context = EvidenceContext.of(texts, TAGS)
    return replace(context, teacher_proba=teacher_proba, labels=teacher_proba, **more)


def test_each_class_is_refined_by_itself(pool):
    texts, has, teacher = pool
    evidence = np.log(np.clip(0.7 * has + 0.15, 0.1, 0.9))
    refined = Refinement([Given(evidence)])(context_of(texts, teacher))
    for k in range(3):
        pair = np.column_stack([1 - teacher[:, k], teacher[:, k]])
        own = EvidenceContext.of(texts, ["no", "yes"])
        own = replace(own, teacher_proba=pair, labels=pair)
        alone = Refinement([Given(yes_no_columns(evidence[:, k]))])(own)
        np.testing.assert_allclose(refined.proba[:, k], alone.proba[:, 1])
    before, after = ((p > 0.5) == has for p in (teacher, refined.proba))
    assert after.mean() > before.mean() + 0.05
    (source,) = refined.sources
    assert (source.name, source.n_texts, source.missing) == ("given", N, "")
    assert 0 < source.agreement < 1


def test_rules_speak_of_the_classes_they_are_for(pool):
    texts, has, teacher = pool
    rules = Rules({"sports": lambda text: "goal" in text})
    refined = Refinement([rules])(context_of(texts, teacher))
    right = (refined.proba > 0.5) == has
    assert right[:, 0].mean() > ((teacher > 0.5) == has)[:, 0].mean()
    np.testing.assert_allclose(refined.proba[:, 1:], teacher[:, 1:])


def test_another_teacher_and_names_speak_of_all_classes(pool):
    texts, has, teacher = pool

    def second(texts):
        return [[0.9 if word in text else 0.2 for word in WORDS] for text in texts]

    def embed(texts):
        words = [*WORDS, *TAGS.classes]
        return np.array([[float(w in t) for w in words] for t in texts])[:, :3] + 1e-3

    context = context_of(texts, teacher, embed=embed)
    refined = Refinement([AnotherTeacher(second), ClassNames()])(context)
    assert [source.name for source in refined.sources] == [
        "another teacher",
        "class names",
    ]
    before, after = ((p > 0.5) == has for p in (teacher, refined.proba))
    assert after.mean() > before.mean() + 0.05


def test_a_student_learns_one_class_at_a_time_and_gold_is_certain(pool):
    texts, has, teacher = pool
    gold = np.full((N, 3), -1)
    gold[::3] = has[::3]
    evidence = PoolEvidence(
        SklearnStudent(), texts, TAGS._checked, np.ones(N), 3, 0, 0, False
    )
    context = replace(evidence.context(teacher), gold=gold)
    refined = Refinement([OutOfFold()])(context)
    np.testing.assert_array_equal(refined.proba[::3], has[::3])
    assert refined.out_of_fold.shape == (N, 3)
    assert set(np.unique(refined.out_of_fold)) <= {-1, 0, 1}
    assert {"teacher", "labels"} <= refined.accuracy.keys()
    assert refined.accuracy["teacher"].n_texts <= N // 3
    assert 0.7 < refined.accuracy["teacher"].share < 0.9


def test_texts_without_an_answer_and_absent_classes(pool):
    texts, has, teacher = pool
    teacher = teacher.copy()
    teacher[:5] = np.nan
    teacher[5:, 2] = 0.01  # the class is nowhere
    evidence = np.log(np.clip(has.astype(float), 0.1, 0.9))
    evidence[:2] = np.nan
    refined = Refinement([Given(evidence)])(context_of(texts, teacher))
    missing = np.isnan(refined.proba).all(axis=1)
    assert missing.tolist() == [True] * 2 + [False] * (N - 2)
    assert not np.isnan(refined.proba[2:]).any()
    assert refined.proba[5:, 2].max() < 0.5


def test_evidence_of_another_shape_is_refused(pool):
    texts, _, teacher = pool
    with pytest.raises(InvalidParameterError, match="Given.log_prob"):
        Refinement([Given(np.zeros((N, 2)))])(context_of(texts, teacher))


def test_the_record_counts_texts_of_each_class():
    teacher = np.array([[0.9, 0.9], [0.1, 0.6], [np.nan, np.nan], [0.2, 0.2]])
    refined = np.array([[0.9, 0.2], [0.7, 0.6], [0.8, 0.1], [0.2, 0.2]])
    record = refinement_record(
        np.array(["a", "b"]), teacher, refined, (), multilabel=True
    )
    a, b = record.per_class
    assert (a.n_teacher, a.n_refined, a.n_left, a.n_came, a.n_new) == (1, 3, 0, 1, 1)
    assert (b.n_teacher, b.n_refined, b.n_left, b.n_came, b.n_new) == (2, 1, 1, 0, 0)
    assert record.changed.tolist() == [0, 1]
    assert (record.n_new, record.n_texts) == (1, 4)
