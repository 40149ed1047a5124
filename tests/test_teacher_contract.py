"""The contract of teachers, over those that need no language model."""

import pytest
from skllkd.teachers import CalibratedTeacher, CallableTeacher, PrecomputedTeacher

from tests.teacher_contract import CHECKS, TEXTS

PROBA = [[0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.45, 0.55]]


def answer(texts):
    return [PROBA[TEXTS.index(text)] for text in texts]


def calibrated():
    gold = ["sports", "business"] * 10
    texts = [f"{name} {i}" for i, name in enumerate(gold)]
    proba = [[0.8, 0.2] if name == "sports" else [0.4, 0.6] for name in gold]
    inner = PrecomputedTeacher([*TEXTS, *texts], [*PROBA, *proba])
    return CalibratedTeacher(inner, texts, gold)


MAKE = {
    "callable": lambda: CallableTeacher(answer, cache_key="contract"),
    "precomputed": lambda: PrecomputedTeacher(TEXTS, PROBA),
    "calibrated": calibrated,
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_contract(make, check):
    check(make())
