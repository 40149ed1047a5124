"""Predicting a stream of texts."""

import itertools

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDClassifier
from skllkd import LLKDClassifier, ONNXClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.students import SklearnStudent


@pytest.fixture(scope="module")
def fitted():
    texts = ["card charged twice", "site is down"] * 10
    classifier = LLKDClassifier(student=SklearnStudent(), random_state=0)
    return classifier.fit(texts, ["billing", "outage"] * 10)


def counted(texts, read):
    for text in texts:
        read.append(text)
        yield text


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_chunks_together_are_what_predict_says(fitted, method):
    texts = [f"the card number {k}" if k % 3 else "down" for k in range(23)]
    chunks = list(fitted.predict_stream(iter(texts), chunk_size=5, method=method))
    assert [len(chunk) for chunk in chunks] == [5, 5, 5, 5, 3]
    together = np.concatenate(chunks)
    np.testing.assert_array_equal(together, getattr(fitted, method)(texts))


def test_it_reads_no_further_than_the_chunk_asked_for(fitted):
    read = []
    stream = fitted.predict_stream(
        counted(itertools.repeat("card"), read), chunk_size=7
    )
    assert read == []
    for n_chunks in (1, 2, 3):
        next(stream)
        assert len(read) == 7 * n_chunks


def test_it_keeps_nothing_of_what_went_by(fitted):
    import gc
    import weakref

    class Text(str):
        __slots__ = ("__weakref__",)

    passed = []

    def texts():
        for _ in range(12):
            text = Text("card")
            passed.append(weakref.ref(text))
            yield text

    gc.freeze()  # what is there already need not be searched
    stream = fitted.predict_stream(texts(), chunk_size=4)
    for n_chunks in (1, 2, 3):
        next(stream)
        gc.collect()
        alive = sum(ref() is not None for ref in passed)
        assert alive <= 5, n_chunks  # a chunk, and the generator's own


def test_an_item_that_is_no_text_is_named_by_its_place(fitted):
    texts = [*["card"] * 11, None, "card"]
    stream = fitted.predict_stream(iter(texts), chunk_size=4)
    assert len(next(stream)) == len(next(stream)) == 4
    with pytest.raises(
        InvalidParameterError, match=r"None \(NoneType\) at position 11"
    ):
        next(stream)


def test_no_texts_no_chunks(fitted):
    assert list(fitted.predict_stream([])) == []


def test_wrong_calls_are_told_at_once(fitted):
    with pytest.raises(InvalidParameterError, match=r"\[text\]"):
        fitted.predict_stream("a bare text")
    with pytest.raises(InvalidParameterError, match="iterable"):
        fitted.predict_stream(7)
    with pytest.raises(InvalidParameterError, match="`chunk_size`"):
        fitted.predict_stream(["a"], chunk_size=0)
    with pytest.raises(InvalidParameterError, match="`method`"):
        fitted.predict_stream(["a"], method="score")
    with pytest.raises(NotFittedError):
        LLKDClassifier().predict_stream(["a"])
    with pytest.raises(InvalidParameterError, match="`chunk_size`"):
        ONNXClassifier("none.onnx").predict_stream(["a"], chunk_size=0)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_predict_of_a_generator_names_the_method_that_takes_it(fitted, method):
    with pytest.raises(InvalidParameterError, match="predict_stream"):
        getattr(fitted, method)(text for text in ["card"])
    with pytest.raises(InvalidParameterError, match="predict_stream"):
        getattr(ONNXClassifier("none.onnx"), method)(iter(["card"]))


def test_a_student_that_takes_numbers_has_no_stream():
    rng = np.random.RandomState(0)
    X, y = rng.randn(20, 3), [0, 1] * 10
    student = SklearnStudent(SGDClassifier(loss="log_loss"), vectorizer="passthrough")
    classifier = LLKDClassifier(student=student, random_state=0).fit(X, y)
    with pytest.raises(InvalidParameterError, match="numbers"):
        classifier.predict_stream(iter(X))


def test_a_single_text_does_not_wait_for_its_tokenizer_to_be_read(tiny_path):
    from skllkd._core.tokens import load_tokenizer
    from skllkd._core.windows import Window

    source = (tiny_path / "tokenizer.json").read_text(encoding="utf-8")
    first = load_tokenizer(source, Window("head", 32))
    assert load_tokenizer(source, Window("head", 32)) is first
    assert load_tokenizer(source, Window("head", 16)).truncation["max_length"] == 16
    assert first.truncation["max_length"] == 32
