"""One text's fault is one text's, and a model that names no class is stopped."""

import json
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skllkd.exceptions import SkllkdWarning, TeacherAccessError, TeacherOutputError
from skllkd.teachers import LabelStore
from skllkd.teachers.openai_api import connection
from skllkd.teachers.openai_api.reading import ChatResult
from skllkd.teachers.openai_api.scorer import ChatScorer

from tests.choices import built
from tests.faulty_server import completion, stub, text_of, top_logprobs
from tests.teachers.openai_api.common import CLASSES, error, httpx, teacher
from tests.teachers.openai_api.test_completion import ABOUT_A_TEXT, value


def filtered(_):
    return {"choices": [{"index": 0, "finish_reason": "content_filter"}]}


def declined(_):
    return completion(None, refusal="I cannot help with that.")


FAULTS = {
    "filtered": filtered,
    "declined": declined,
    "empty": lambda _: completion(""),
    "none": lambda _: completion(None),
    "outside": lambda _: completion("perhaps", top_logprobs({"perhaps": 0.9})),
    "no choices": lambda _: {"choices": []},
    "not json": lambda _: httpx.Response(200, text="<html>"),
    "busy in a 200": lambda _: {"error": {"message": "busy", "code": 503}},
    "late": lambda _: httpx.ReadTimeout("late"),
    "reset": lambda _: httpx.ReadError("reset"),
    **{
        words[:40]: lambda _, status=status, words=words: error(status or 200, words)
        for status, words in ABOUT_A_TEXT
    },
}
#: Faults that are the model's own answer, which is stored and not bought again.
FINAL = {"filtered", "declined", "empty", "none", "outside"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("method", "place"), [("logprobs", 0), ("label", 2)])
def test_a_fault_is_of_its_text_wherever_it_comes_and_again_on_a_rerun(
    served, fault, place, method
):
    texts = ["beta 0", "gamma 1", "alpha 2", "beta 3"]
    texts.insert(place, "the odd one")

    def answer(body):
        is_odd = text_of(body) == "the odd one"
        return FAULTS[fault](body) if is_odd else stub(body)

    recorder = served(answer)
    asked = teacher(max_retries=1, method=method)
    for n_runs in (1, 2):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            labels = asked.label(texts, CLASSES)
        assert labels.missing.tolist() == [text == "the odd one" for text in texts]
        assert np.delete(labels.proba, place, 0).argmax(axis=1).tolist() == [1, 2, 0, 1]
        assert labels.error[place] and len(said) == 1  # nothing was given up for it
        assert labels.n_asked == (5 if n_runs == 1 else int(fault not in FINAL))
    parameters = {
        tuple(body) for body in recorder.bodies if text_of(body) != texts[place]
    }
    assert len(parameters) == 1


@pytest.fixture
def without_waiting_threads(monkeypatch):
    """Send each request in the thread that asks: nothing is late here."""
    monkeypatch.setattr(connection, "_within", lambda _, call: call())


def answer_of_some_kind(choices):
    """Choose no fault, a fault, or any JSON."""
    return choices.of(["", "", *FAULTS]) if choices.below(2) else value(choices)


@given(
    built(lambda choices: choices.several(answer_of_some_kind, 4, least=1)),
    st.sampled_from(["logprobs", "label", ("votes", 2)]),
    st.sampled_from([1] * 9 + [3]),  # a pool of threads is dear
)
def test_a_pool_of_faults_is_labelled_as_far_as_it_goes(
    served, without_waiting_threads, faults, method, n_threads
):
    """Other answers than those of a list are any JSON that is not said to be a fault."""
    # Before the first answer three in a row end a labelling, after it ten.
    faults = ["", *faults]

    def answer(body):
        fault = faults[int(text_of(body).split()[-1])]
        if fault == "":
            return stub(body)
        if isinstance(fault, str) and fault in FAULTS:
            return FAULTS[fault](body)
        return httpx.Response(200, text=json.dumps(fault))

    served(answer)
    asked = teacher(
        max_retries=0, method=method, max_concurrency=n_threads, store=False
    )
    texts = [f"beta {i}" for i in range(len(faults))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkllkdWarning)
        labels = asked.label(texts, CLASSES)
    well = np.array([fault == "" for fault in faults])
    assert not labels.missing[well].any()
    assert (labels.proba[well].argmax(axis=1) == 1).all()
    assert [bool(reason) for reason in labels.error] == labels.missing.tolist()


@pytest.mark.parametrize("status", [401, 402, 404, 405])
def test_one_refusal_among_answers_is_of_its_text_and_three_in_a_row_of_all(
    served, status
):
    """As of a gateway that is set up anew while others are answered."""
    texts = [f"beta {i}" for i in range(8)]
    served(lambda b: error(status) if text_of(b) == "beta 4" else stub(b))
    with pytest.warns(SkllkdWarning, match=f"HTTP {status}"):
        labels = teacher(max_concurrency=1).label(texts, CLASSES)
    assert labels.missing.tolist() == [text == "beta 4" for text in texts]
    recorder = served(lambda b: stub(b) if text_of(b) < "beta 3" else error(status))
    with pytest.raises(TeacherAccessError, match=f"HTTP {status}"):
        teacher(max_concurrency=1, model="other").label(texts, CLASSES)
    assert len(recorder.bodies) == 6
    recorder = served(lambda _: error(status))
    with pytest.raises(TeacherAccessError, match=f"HTTP {status}"):
        teacher(max_concurrency=1, model="third").label(texts, CLASSES)
    assert len(recorder.bodies) == 1


# ---- a model that names no class

CHATTY = "Sure! I would say this text is about the weather."


@pytest.mark.parametrize(
    ("method", "hint"),
    [
        ("logprobs", 'method="label"'),
        ("label", 'method="logprobs"'),
        (("votes", 2), "lab"),
    ],
)
def test_a_model_that_names_no_class_is_stopped_after_a_few_answers(
    served, method, hint
):
    odd = completion(CHATTY, top_logprobs({"Sure": 0.9}), n=2)
    recorder = served(lambda _: odd)
    texts = [f"beta {i}" for i in range(200)]
    asked = teacher(method=method, max_concurrency=4)
    with pytest.raises(
        TeacherOutputError, match="first 2. answers of model='stub'"
    ) as no:
        asked.label(texts, CLASSES)
    assert "weather" in str(no.value) and hint in str(no.value)
    assert "`examples`" in str(no.value) and "`instruction`" in str(no.value)
    n_requests = len({*recorder.texts})
    assert 21 <= n_requests <= 21 + 4
    with LabelStore() as store:  # what was paid for is not bought again
        assert sum(entry.n_unanswered for entry in store.contents()) >= 21
    recorder = served()
    with pytest.warns(SkllkdWarning):
        assert asked.label(texts, CLASSES).n_asked == 200 - n_requests


def test_a_model_that_names_a_class_now_and_then_is_seldom_stopped():
    rng, stopped = np.random.default_rng(0), 0
    for _ in range(1000):
        client = SimpleNamespace(stop=threading.Event())
        scorer = ChatScorer(client, SimpleNamespace(model="stub", method="label"))
        for is_usable in rng.random(60) < 0.2:
            reason = "" if is_usable else "none of the answer codes"
            scorer._note_answer(ChatResult(np.zeros(3), 1.0, reason))
        stopped += client.stop.is_set()
    assert 0 < stopped <= 20


def test_one_usable_answer_lets_a_labelling_go_on(served):
    odd = completion(CHATTY, top_logprobs({"Sure": 0.9}))
    served(lambda body: stub(body) if text_of(body) == "beta 5" else odd)
    asked = teacher(max_concurrency=1)
    with pytest.warns(SkllkdWarning, match="29 none of the answer codes"):
        labels = asked.label([f"beta {i}" for i in range(30)], CLASSES)
    assert labels.n_asked == 30


def test_texts_that_a_filter_holds_back_are_no_sign_until_there_are_many(served):
    def answer(body):
        return filtered(body) if int(text_of(body).split()[-1]) < 20 else stub(body)

    served(answer)
    texts = [f"beta {i}" for i in range(30)]
    with pytest.warns(SkllkdWarning, match="20 a filter of the server"):
        assert teacher(max_concurrency=1).label(texts, CLASSES).missing.sum() == 20
    recorder = served(filtered)
    with pytest.raises(TeacherOutputError, match="50 answers.*a filter of the server"):
        teacher(model="other").label([f"beta {i}" for i in range(200)], CLASSES)
    assert len(recorder.bodies) < 60
