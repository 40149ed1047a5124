"""The pretrained encoder by itself, and `Student.embed`."""

import numpy as np
import pytest
import skllkd.students._torch.pretrained
from skllkd.exceptions import SavedModelError
from skllkd.students import (
    FrozenEncoderStudent,
    SklearnStudent,
    TransformerStudent,
    feature_cache,
    text_encoder,
)
from skllkd.students.text_encoder import TextEncoder, read_encoder

TEXTS = ["the match was won", "a bank failed", "the match was won", "a vote"]


@pytest.fixture(autouse=True)
def nothing_remembered():
    feature_cache.memory = feature_cache._Memory()
    skllkd.students._torch.pretrained._known.clear()


@pytest.fixture
def encoded(monkeypatch):
    """Return the list of texts the encoder is given, as it grows."""
    seen = []
    encode = TextEncoder._encode

    def counting(self, texts):
        seen.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(TextEncoder, "_encode", counting)
    return seen


def test_features_are_those_of_sentence_transformers(tiny_path):
    from sentence_transformers import SentenceTransformer

    features, n_cut = read_encoder(tiny_path, device="cpu").features(TEXTS)
    expected = SentenceTransformer(str(tiny_path), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert n_cut == 0


def test_texts_longer_than_the_window_are_counted(tiny_path):
    encoder = read_encoder(tiny_path, max_length=4, device="cpu")
    assert encoder.window.max_length == 4
    assert encoder.features([*TEXTS, "a"])[1] == 3


def test_many_texts_are_read_in_parts_and_in_order(tiny_path, monkeypatch, encoded):
    encoder = read_encoder(tiny_path, device="cpu")
    whole = encoder.features(TEXTS)[0]
    assert len(encoded) == 3
    feature_cache.memory = feature_cache._Memory()
    monkeypatch.setattr(text_encoder, "_TEXTS_AT_ONCE", 1)
    np.testing.assert_allclose(encoder.features(TEXTS)[0], whole, atol=1e-5)
    assert len(encoded) == 6


@pytest.mark.parametrize("kind", [FrozenEncoderStudent, TransformerStudent])
def test_a_student_embeds_before_and_after_it_is_trained(kind, tiny_path, encoded):
    expected = read_encoder(tiny_path, device="cpu").features(TEXTS)[0]
    student = kind(tiny_path, device="cpu")
    np.testing.assert_array_equal(student.embed(TEXTS), expected)
    student.begin_fit(TEXTS, 2, seed=0)
    target = np.eye(2)[[0, 1, 0, 1]]
    student.train_step(np.arange(4), target, np.ones(4), progress=0.5)
    student.end_fit()
    np.testing.assert_array_equal(student.embed(TEXTS), expected)
    assert len(encoded) == 3  # all of them share the features


def test_a_frozen_student_needs_no_files_once_it_is_fitted(tiny_path, tmp_path):
    import shutil

    folder = shutil.copytree(tiny_path, tmp_path / "encoder")
    frozen = FrozenEncoderStudent(folder, device="cpu", cache=None)
    tuned = TransformerStudent(folder, device="cpu")
    for student in (frozen, tuned):
        student.begin_fit(TEXTS, 2, seed=0)
        student.end_fit()
    shutil.rmtree(folder)
    skllkd.students._torch.pretrained._known.clear()
    assert frozen.embed(TEXTS).shape == (4, 32)
    with pytest.raises(SavedModelError, match="cannot be loaded as a text encoder"):
        tuned.embed(TEXTS)


def test_a_student_without_an_encoder_embeds_nothing():
    assert SklearnStudent().embed(TEXTS) is None
