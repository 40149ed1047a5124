"""Retries, refusals, and servers that are gone."""

import pytest
from skllkd.exceptions import (
    MissingLabelWarning,
    TeacherAccessError,
)

from tests.faulty_server import completion, stub, text_of, top_logprobs
from tests.teachers.openai_api.common import (
    CLASSES,
    TEXTS,
    error,
    flaky,
    httpx,
    logprob_free,
    teacher,
)

PASSING = {
    "429": lambda: error(429),
    "429 after": lambda: error(429, headers={"Retry-After": "0"}),
    "500": lambda: error(500),
    "503": lambda: httpx.Response(503, text="<html>"),
    "408": lambda: error(408),
    "timeout": lambda: httpx.ReadTimeout("slow"),
    "reset": lambda: httpx.ReadError("reset"),
    "refused": lambda: httpx.ConnectError("refused"),
    "closed": lambda: httpx.RemoteProtocolError("incomplete"),
    "not json": lambda: httpx.Response(200, text="<html>Bad gateway</html>"),
    "cut": lambda: httpx.Response(200, text='{"choices": [{"mess'),
    "empty": lambda: {"choices": []},
    "odd": lambda: {"choices": [{"message": {"content": 3}}]},
    "null": lambda: httpx.Response(200, text="null"),
}


@pytest.mark.parametrize("kind", PASSING)
def test_passing_failures_are_tried_again(served, kind):
    recorder = served(flaky([PASSING[kind]] * 2))
    labels = teacher(max_retries=2).label(TEXTS, CLASSES)
    assert not labels.missing.any()
    assert len(recorder.bodies) == 12 + 24


def test_a_text_given_up_is_missing_with_the_reason_and_asked_again(served):
    recorder = served(lambda b: error(503, "busy") if "beta" in text_of(b) else stub(b))
    with pytest.warns(
        MissingLabelWarning, match="4 the server gave no answer: HTTP 503"
    ):
        labels = teacher(max_retries=1).label(TEXTS, CLASSES)
    assert labels.missing.sum() == 4
    assert "busy" in labels.error[1]
    assert len(recorder.bodies) == 8 + 4 * 2
    recorder = served()
    assert teacher().label(TEXTS, CLASSES).n_asked == 4
    assert {*recorder.texts} == {text for text in TEXTS if "beta" in text}


def test_missing_logprobs_of_a_server_that_gives_them_are_tried_again_and_not_stored(
    served,
):
    served(lambda b: logprob_free(b) if "beta" in text_of(b) else stub(b))
    with pytest.warns(MissingLabelWarning, match="without log-probabilities"):
        labels = teacher(max_retries=1).label(TEXTS[:2], CLASSES)
    assert labels.usage[:3] == (3, 150, 3)  # paid for, if in vain
    served()
    assert teacher().label(TEXTS[:2], CLASSES).n_asked == 1


def test_answers_outside_the_classes_are_missing_and_not_asked_again(served):
    odd = completion("perhaps", top_logprobs({"perhaps": 0.9}))
    recorder = served(lambda b: odd if "gamma" in text_of(b) else stub(b))
    with pytest.warns(MissingLabelWarning, match="4 none of the answer codes"):
        labels = teacher().label(TEXTS, CLASSES)
    assert labels.missing.sum() == 4
    assert {*labels.error[labels.missing]} == {
        "none of the answer codes is among the likeliest tokens: the model answered "
        "with none of the classes: 'perhaps'"
    }
    n_requests = len(recorder.bodies)
    with pytest.warns(MissingLabelWarning, match="4 none of the answer codes"):
        teacher().label(TEXTS, CLASSES)
    assert len(recorder.bodies) == n_requests


def test_a_text_the_server_finds_too_long_is_missing_alone(served):
    long = error(400, "maximum context length is 512", "context_length_exceeded")
    served(lambda body: long if "gamma" in text_of(body) else stub(body))
    with pytest.warns(MissingLabelWarning, match="maximum context length is 512"):
        labels = teacher().label(TEXTS, CLASSES)
    assert labels.missing.sum() == 4


@pytest.mark.parametrize(
    ("status", "named"),
    [(401, "OPENAI_API_KEY"), (404, "ends in /v1"), (402, "plan"), (429, "plan")],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_refusals_of_all_stop_soon_and_keep_what_there_is(
    served, status, named, at_once
):
    texts = [*TEXTS, *(f"gamma {i}" for i in range(100, 140))]
    good = set() if at_once else {*texts[:4]}
    no = error(status, "no such", "insufficient_quota")
    recorder = served(lambda body: stub(body) if text_of(body) in good else no)
    with pytest.raises(TeacherAccessError, match=f"(?i)'stub'.*no such.*{named}"):
        teacher(max_concurrency=2).label(texts, CLASSES)
    # The first goes alone. After the last answer three refusals and one under way;
    # while it is awaited, two.
    assert len(recorder.bodies) <= (1 if at_once else len(good) + 3 + 1 + 2)
    recorder = served()
    assert teacher().label(texts, CLASSES).n_reused == len(good)
    assert not good & {*recorder.texts}


@pytest.mark.parametrize("status", [400, 403, 422])
def test_refusals_that_may_be_of_one_text_stop_when_several_texts_meet_them(
    served, status
):
    no = error(status, "no such")
    recorder = served(lambda _: no)
    with pytest.raises(TeacherAccessError, match="no such.*`model`"):
        teacher(max_concurrency=1).label(TEXTS, CLASSES)
    assert len({*recorder.texts}) == len(recorder.bodies) == 3
    recorder = served(lambda b: no if text_of(b) in TEXTS[:2] else stub(b))
    with pytest.warns(MissingLabelWarning, match=f"2 the server.*HTTP {status}: no su"):
        labels = teacher().label(TEXTS, CLASSES)
    assert labels.missing.tolist() == [True] * 2 + [False] * 10
    texts = [f"beta {i}" for i in range(100, 160)]
    recorder = served(lambda b: no if "beta" in text_of(b) else stub(b))
    with pytest.raises(TeacherAccessError, match="no such"):
        teacher(max_concurrency=1).label(["alpha", *texts], CLASSES)
    assert len(recorder.bodies) == 1 + 10


def test_a_server_that_is_gone_is_not_asked_a_million_times(served):
    gone = httpx.ConnectError("refused")
    recorder = served(lambda b: stub(b) if text_of(b) == "alpha 0" else gone)
    texts = [f"alpha {i}" for i in range(500)]
    with pytest.raises(TeacherAccessError, match=r"broken connection.*that it runs"):
        teacher(max_retries=1).label(texts, CLASSES)
    assert len(recorder.bodies) < 60


def test_a_server_that_never_answers_is_said_to_at_once(served):
    recorder = served(lambda _: httpx.ConnectError("refused"))
    with pytest.raises(TeacherAccessError, match="broken connection"):
        teacher(max_retries=1).label(TEXTS, CLASSES)
    assert len(recorder.bodies) == 2


def test_a_server_that_asks_for_an_hour_is_not_waited_for(served):
    served(lambda _: error(429, headers={"Retry-After": "3600"}))
    with pytest.raises(TeacherAccessError, match="come back in 3,600 s"):
        teacher().label(TEXTS, CLASSES)
