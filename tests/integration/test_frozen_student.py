"""The frozen-encoder student with the real MiniLM."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from skllkd import LLKDClassifier
from skllkd.students import (
    FrozenEncoderStudent,
    GeneralizedCrossEntropy,
    feature_cache,
)
from skllkd.students.text_encoder import TextEncoder
from skllkd.teachers import PrecomputedTeacher

from tests.conftest import TOPICS


@pytest.fixture
def encoded(monkeypatch):
    """Return the list of texts the encoder is given, as it grows."""
    feature_cache.memory = feature_cache._Memory()
    seen = []
    encode = TextEncoder._encode

    def counting(self, texts):
        seen.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(TextEncoder, "_encode", counting)
    return seen


def test_a_search_reads_every_text_once_and_finds_a_good_head(
    news, minilm_path, tmp_path, encoded
):
    texts, gold = [text[:300] for text in news[0]], news[1]
    classifier = LLKDClassifier(
        PrecomputedTeacher(texts, gold),
        TOPICS,
        student=FrozenEncoderStudent(
            minilm_path, device="cpu", loss=GeneralizedCrossEntropy()
        ),
        n_epochs=10,
        random_state=0,
    )
    grid = {"student__head": ["linear", "hidden"], "student__loss__q": [0.3, 0.7]}
    search = GridSearchCV(classifier, grid, cv=3, error_score="raise")
    search.fit(texts[:240], gold[:240])
    best = search.best_estimator_
    assert best.score(texts[240:], gold[240:]) > 0.85
    assert sorted(encoded) == sorted({*texts, *TOPICS})
    best.save(tmp_path)
    np.testing.assert_array_equal(
        LLKDClassifier.load(tmp_path).predict_proba(texts[240:]),
        best.predict_proba(texts[240:]),
    )


def test_it_is_what_the_encoder_alone_gives(news, minilm_path):
    """Features are sentence-transformers' own, before it brings them to length 1."""
    from sentence_transformers import SentenceTransformer

    student = FrozenEncoderStudent(minilm_path, device="cpu")
    short = [text[:200] for text in news[0][:20]]
    student.begin_fit(short, 5, seed=0)
    features = student._features(short)
    wanted = SentenceTransformer(str(minilm_path), device="cpu").encode(short)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(features / length, wanted, atol=1e-5)
