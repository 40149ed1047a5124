"""A key and a marked text, planted, in every artefact after every kind of failure."""

import contextlib
import io
import json
import logging
import pickle
import warnings

import pytest
from skllkd import LLKDClassifier
from skllkd.exceptions import SkllkdError
from skllkd.inspection.report_page import report_page
from skllkd.serving.review.answers import AnswerFile
from skllkd.serving.review.messages import results_message, state_message
from skllkd.serving.review.pool import read_pool
from skllkd.serving.review.session import ReviewSession
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import LabelStore

from tests.faulty_server import completion, stub, text_of, top_logprobs
from tests.teachers.openai_api.common import CLASSES, TEXTS, error, httpx, teacher
from tests.teachers.openai_api.test_secrets import every_string

KEY = "sk-proj-" + "Zq7xW9vK2mB4nL6pR8tY0uJ3hG5fD1sAeQcXzVwT" * 3
MARKED = "Jane Roe of 12 Elm Street wants her refund alpha"
SAID = f"You wrote: {MARKED}. The key is {KEY}. And: {KEY[:60]}"
FAILURES = {
    "an answer outside": lambda: completion(SAID, top_logprobs({"You": 0.9})),
    "a refusal": lambda: completion(None, None, refusal=SAID),
    "an answer cut off": lambda: completion(SAID, None, "length"),
    "too long": lambda: error(400, SAID, "context_length_exceeded"),
    "a filter": lambda: error(400, f"content filter: {SAID}", "content_filter"),
    "a code that is an object": lambda: error(400, SAID, {"of": SAID}),
    "no access": lambda: error(401, SAID),
    "no model": lambda: error(404, SAID),
    "no money": lambda: error(429, SAID, "insufficient_quota"),
    "trouble": lambda: error(500, SAID),
    "an error in a good answer": lambda: {"error": {"message": SAID, "code": 400}},
    "no JSON": lambda: httpx.Response(200, text=SAID),
    "a list": lambda: httpx.Response(200, json=[SAID]),
    "a web page": lambda: httpx.Response(502, text=f"<html>{SAID}"),
    "no connection": lambda: httpx.ConnectError(SAID),
    "a slow server": lambda: httpx.ReadTimeout(SAID),
}


def key_parts(content):
    return [KEY[i : i + 8] for i in range(len(KEY) - 7) if KEY[i : i + 8] in content]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("method", ["logprobs", "label"])
def test_after_each_failure(failure, method, served, own_store, monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    served(lambda b: FAILURES[failure]() if MARKED in text_of(b) else stub(b))
    asked = teacher(method=method, max_retries=1)
    shown, labels = [], None
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            labels = asked.label([*TEXTS[:2], MARKED], CLASSES)
            shown += [str(labels.error), repr(labels), labels.to_pandas().to_csv()]
        except SkllkdError as caught:
            shown.append(every_string(type("Caught", (), {"value": caught})))
    assert labels is None or labels.missing[2]
    with LabelStore() as store:
        store.export(own_store.parent / "export.jsonl")
        files = [path.read_bytes() for path in own_store.parent.iterdir()]
    shown += [str(warning.message) for warning in warned]
    shown += [caplog.text, str([vars(record) for record in caplog.records])]
    for content in [*shown, *(file.decode("latin-1") for file in files)]:
        assert not key_parts(content)
    for content in files:
        assert b"Jane Roe" not in content and b"Elm Street" not in content


def test_in_all_that_a_fit_leaves(served, own_store, monkeypatch, tmp_path, tiny_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    outside = FAILURES["an answer outside"]
    served(lambda b: outside() if MARKED in text_of(b) else stub(b))
    texts = [*TEXTS, *(f"{word} more" for word in ("alpha", "beta", "gamma")), MARKED]
    classifier = LLKDClassifier(
        teacher(examples=[("alpha example", "first")]),
        CLASSES,
        student=FrozenEncoderStudent(tiny_path, cache="disk"),
        n_epochs=1,
        random_state=0,
        verbose=1,
    )
    printed = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        warnings.simplefilter("ignore")
        classifier.fit(texts)
        classifier.save(tmp_path / "folder")
        classifier.export_onnx(tmp_path / "model.onnx", TEXTS, max_disagreement=1.0)
        page = report_page(classifier, texts, classifier.report())
    (tmp_path / "pickle").write_bytes(pickle.dumps(classifier))
    shown = [repr(classifier), classifier._repr_html_(), printed.getvalue()]
    folders = (tmp_path, own_store.parent)
    files = {p for folder in folders for p in folder.rglob("*") if p.is_file()}
    assert len(files) > 12 and tmp_path / "folder" / "README.md" in files
    content = [path.read_bytes().decode("latin-1") for path in files]
    for each in [*content, *shown]:
        assert not key_parts(each)
        assert "Jane Roe" not in each and "alpha 0" not in each
    # A report and a review show texts of the pool; not the words of a model.
    for each in (page, *reviewed(classifier, texts, tmp_path / "review.csv")):
        assert not key_parts(each) and "You wrote" not in each


def reviewed(classifier, texts, path):
    """Answer a review of a classifier; return all that it shows and writes."""
    shown = []
    with AnswerFile(path, classifier.classes_.tolist()) as answers:
        session = ReviewSession(read_pool(classifier, texts), answers, n_random=3)
        while session.row is not None:
            shown.append(json.dumps(state_message(session, "model")))
            session.answer(session.row, "first", "a note")
        shown += [json.dumps(results_message(session)), str(session.results())]
    return [*shown, path.read_text()]
