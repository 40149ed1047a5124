"""The contract of teachers, over those that need no language model."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from skllkd import teachers
from skllkd.teachers import (
    CalibratedTeacher,
    CallableTeacher,
    EmbeddingTeacher,
    EnsembleTeacher,
    PrecomputedTeacher,
    SklearnTeacher,
    Teacher,
    TransformersTeacher,
)

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


def fitted():
    pipeline = make_pipeline(CountVectorizer(), LogisticRegression())
    return SklearnTeacher(pipeline.fit(TEXTS, ["sports", "business"] * 3))


def ensemble():
    by_class = dict(zip(["business", "sports"], np.array(PROBA).T[::-1], strict=True))
    return EnsembleTeacher(
        [
            CallableTeacher(answer, cache_key="contract"),
            PrecomputedTeacher(TEXTS, by_class),
            PrecomputedTeacher(TEXTS, [*PROBA[:5], [0.6, 0.4]]),
        ],
    )


MAKE = {
    "callable": lambda: CallableTeacher(answer, cache_key="contract"),
    "precomputed": lambda: PrecomputedTeacher(TEXTS, PROBA),
    "calibrated": calibrated,
    "ensemble": ensemble,
    "fitted": fitted,
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_contract(make, check):
    check(make())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_contract_of_a_sentence_encoder(check, tiny_path):
    check(EmbeddingTeacher(tiny_path, device="cpu"))


@pytest.fixture(scope="module")
def llama_path(tmp_path_factory, news):
    from tests.tiny_llama import write_tiny_llama

    return write_tiny_llama(tmp_path_factory.mktemp("llama") / "tiny", news[0])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_contract_of_a_causal_language_model(check, llama_path):
    check(TransformersTeacher(llama_path))


def test_every_exported_teacher_keeps_to_the_contract():
    suites = [
        "".join(
            part.read_text("utf-8") for part in (path, *path.parent.glob("common.py"))
        )
        for path in Path(__file__).parents[1].rglob("test_*.py")
        if "tests.teacher_contract import" in path.read_text(encoding="utf-8")
    ]
    exported = [
        name
        for name in teachers.__all__
        if isinstance(thing := getattr(teachers, name), type)
        and issubclass(thing, Teacher)
        and not inspect.isabstract(thing)
    ]
    assert len(exported) >= 8
    assert [
        name
        for name in exported
        if not any(re.search(rf"\b{name}\b[(,]", s) for s in suites)
    ] == []
