"""The embedding teacher with the real MiniLM on real news."""

import numpy as np
import pytest
from skllkd import LLKDClassifier
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import EmbeddingTeacher, EnsembleTeacher

from tests.conftest import TOPICS

DESCRIBED = {
    "business": "markets, companies, the economy",
    "entertainment": "film, music, television",
    "politics": "government, parties, elections",
    "sports": "matches, players, clubs",
    "tech": "computers, software, phones, games",
}


@pytest.fixture(scope="module")
def teacher(minilm_path):
    return EmbeddingTeacher(minilm_path, device="cpu")


def accuracy(labels, gold):
    return np.mean(np.array(labels.classes)[labels.proba.argmax(axis=1)] == gold)


def test_names_tell_topics_apart_and_descriptions_do_better(teacher, news):
    texts, gold = [text[:300] for text in news[0]], np.array(news[1])
    named, described = (teacher.label(texts, c) for c in (TOPICS, DESCRIBED))
    assert accuracy(named, gold) > 0.65  # chance is 0.2
    assert accuracy(described, gold) > 0.8
    proba = described.proba
    right = np.array(TOPICS)[proba.argmax(axis=1)] == gold
    sure = proba.max(axis=1) >= np.median(proba.max(axis=1))
    assert right[sure].mean() > right[~sure].mean() + 0.1


def test_it_teaches_a_student_and_an_ensemble(teacher, minilm_path, news):
    texts, gold = [text[:300] for text in news[0]], news[1]
    classifier = LLKDClassifier(
        EnsembleTeacher([teacher], calibration=teacher.calibration),
        DESCRIBED,
        student=FrozenEncoderStudent(minilm_path, device="cpu"),
        n_epochs=15,
        random_state=0,
    ).fit(texts[:300])
    assert classifier.score(texts[300:], gold[300:]) > 0.75
    assert classifier.n_teacher_calls_ == 0
