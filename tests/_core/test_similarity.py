import numpy as np
import pytest
from scipy.special import log_softmax
from skllkd._core.classes import as_classes
from skllkd._core.similarity import class_name_log_prob, class_texts

NAMES = np.array([[1.0, 0.0], [0.0, 1.0]])


def test_the_log_prob_is_the_centred_cosine_over_the_temperature():
    rng = np.random.default_rng(0)
    texts, names = rng.normal(size=(7, 5)), rng.normal(size=(3, 5))
    lengths = np.outer(np.linalg.norm(texts, axis=1), np.linalg.norm(names, axis=1))
    logits = texts @ names.T / lengths / 0.2
    expected = log_softmax(logits - logits.mean(axis=0), axis=1)
    np.testing.assert_allclose(class_name_log_prob(texts, names, 0.2), expected)
    raw = class_name_log_prob(texts, names, 0.2, centred=False)
    np.testing.assert_allclose(raw, log_softmax(logits, axis=1))


def test_a_name_close_to_every_text_gains_nothing_by_it():
    texts = np.array([[1.0, 0.1], [1.0, 0.2], [1.0, 0.6], [1.0, 0.9]])
    raw = class_name_log_prob(texts, NAMES, 0.05, centred=False)
    assert raw.argmax(axis=1).tolist() == [0, 0, 0, 0]
    centred = class_name_log_prob(texts, NAMES, 0.05)
    assert centred.argmax(axis=1).tolist() == [0, 0, 1, 1]


def test_a_lower_temperature_is_surer_and_leaves_the_order():
    texts = np.array([[1.0, 0.1], [0.3, 1.0]])
    soft, sharp = (class_name_log_prob(texts, NAMES, t) for t in (0.5, 0.05))
    assert (sharp.max(axis=1) > soft.max(axis=1)).all()
    assert (sharp.argmax(axis=1) == soft.argmax(axis=1)).all()


@pytest.mark.parametrize("centred", [True, False])
def test_the_length_of_an_embedding_does_not_matter_even_zero(centred):
    texts = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    scale = np.array([[10.0], [0.1], [1.0]])
    one, other = (
        class_name_log_prob(rows, NAMES, 0.1, centred=centred)
        for rows in (texts, texts * scale)
    )
    np.testing.assert_allclose(one, other)
    np.testing.assert_allclose(np.exp(one).sum(axis=1), 1)


def test_a_text_without_an_embedding_has_no_answer_and_no_part_in_the_mean():
    texts = np.array([[1.0, 0.1], [np.nan, np.nan], [0.3, 1.0]])
    log_prob = class_name_log_prob(texts, NAMES, 0.1)
    assert np.isnan(log_prob[1]).all()
    without = class_name_log_prob(texts[[0, 2]], NAMES, 0.1)
    np.testing.assert_allclose(log_prob[[0, 2]], without)
    nothing = class_name_log_prob(np.full((2, 2), np.nan), NAMES, 0.1)
    assert np.isnan(nothing).all()


def test_classes_are_written_as_words_with_their_descriptions():
    classes = as_classes(
        {"card_arrival": "", "lost-card": "the card is gone", "c": None}
    )
    assert class_texts(classes) == ["card arrival", "lost card: the card is gone", "c"]
    assert class_texts(as_classes([10, 2])) == ["10", "2"]
