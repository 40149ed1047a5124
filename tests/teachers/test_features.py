"""Examples proposed from labels, and the features that tell how alike texts are."""

import numpy as np
import pytest
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.teachers import PrecomputedTeacher
from skllkd.teachers.features import features_of_texts

CLASSES = ["sports", "politics"]
TEXTS = [
    text.ljust(22, ".")  # all of one length
    for text in (
        "the goal of the match",
        "the goal of a match",
        "a race of ten miles",
        "the vote on the bill",
        "the law of the land",
        "a poll",
    )
]
SPORTS = [0.95, 0.9, 0.8, 0.3, 0.1, 0.2]


def labels_of(texts, first):
    proba = np.column_stack([first, 1 - np.array(first)])
    return PrecomputedTeacher(texts, proba).label(texts, CLASSES)


def test_the_surest_of_each_class_comes_first_and_classes_take_turns():
    examples = labels_of(TEXTS, SPORTS).propose_examples(TEXTS, 2)
    assert [name for _, name in examples] == ["sports", "politics"] * 2
    assert examples[0][0] == TEXTS[0]


def test_the_next_example_is_unlike_the_first_though_another_is_surer():
    features = np.array([[1, 0], [0.99, 0.1], [0, 1], [0, 1], [1, 0], [0.9, 0.1]])
    labels = labels_of(TEXTS, SPORTS)
    examples = labels.propose_examples(TEXTS, 2, embed=lambda texts: features)
    assert examples[::2] == [(TEXTS[0], "sports"), (TEXTS[2], "sports")]
    assert examples[1::2] == [(TEXTS[4], "politics"), (TEXTS[3], "politics")]


def test_long_texts_and_those_without_a_label_are_left_out():
    long = "a very long text about nothing but sports and sports again"
    texts = [long, *TEXTS, "x"]
    with pytest.warns(MissingLabelWarning):
        labels = labels_of(texts, [0.99, *SPORTS, np.nan])
    chosen = [text for text, _ in labels.propose_examples(texts, 3)]
    assert long not in chosen and "x" not in chosen
    assert chosen[0] != long


def test_a_class_nobody_is_in_has_the_likeliest_texts():
    labels = labels_of(TEXTS, [0.9, 0.8, 0.7, 0.6, 0.51, 0.95])
    assert labels.propose_examples(TEXTS)[1] == (TEXTS[4], "politics")


def test_texts_and_features_must_match_the_labels():
    labels = labels_of(TEXTS, SPORTS)
    with pytest.raises(InvalidParameterError, match="6 texts of these labels; got 2"):
        labels.propose_examples(TEXTS[:2])
    with pytest.raises(InvalidParameterError, match=r"`embed` .* got shape \(6,\)"):
        labels.propose_examples(TEXTS, embed=lambda texts: np.ones(6))
    with pytest.raises(InvalidParameterError, match="`n_per_class`"):
        labels.propose_examples(TEXTS, 0)


def test_without_features_words_tell_how_alike_texts_are():
    words = features_of_texts(["a b", "b a", "c"])
    likeness = (words @ words.T).toarray()
    np.testing.assert_allclose(likeness, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    rows = features_of_texts(["a", "b"], lambda texts: [[3.0, 4.0], [0.0, 2.0]])
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 1]])
