"""Servers that do not take every parameter, or do not give log-probabilities."""

from contextlib import nullcontext

import numpy as np
import pytest
from skllkd.exceptions import (
    BudgetReachedWarning,
    MissingLabelWarning,
    SkllkdWarning,
    TeacherAccessError,
)
from skllkd.teachers import BatchCalibration

from tests.faulty_server import completion, stub, top_logprobs
from tests.teachers.openai_api.common import (
    CLASSES,
    MESSAGE,
    TEXTS,
    error,
    flaky,
    logprob_free,
    teacher,
)


@pytest.mark.parametrize("says_so", [True, False])
def test_without_logprobs_labels_are_read_and_the_user_is_told(served, says_so):
    def answer(body):
        if says_so and "logprobs" in body:
            return error(400, "logprobs are not supported")
        return logprob_free(body)

    recorder = served(answer)
    asked = teacher(calibration=BatchCalibration(), max_concurrency=1)
    with pytest.warns(SkllkdWarning, match=r'"votes".*"label".*goes on with labels'):
        labels = asked.label(TEXTS, CLASSES)
    assert labels.confidence == "none" and not labels.missing.any()
    assert labels.proba.argmax(axis=1).tolist() == [0, 1, 2] * 4
    # 20, 5 and no likely tokens of one text; or three texts, three times each
    n_tries = 3 if says_so else 9
    assert len(recorder.bodies) == n_tries + 12
    assert len({*recorder.texts[:n_tries]}) == (1 if says_so else 3)
    assert teacher(method="label").label(TEXTS, CLASSES).n_asked == 0


def test_the_calls_without_logprobs_count(served):
    recorder = served(logprob_free)
    with (
        pytest.warns(SkllkdWarning, match="goes on"),
        pytest.warns(BudgetReachedWarning),
        pytest.warns(MissingLabelWarning),
    ):
        teacher(max_calls=11, max_concurrency=1).label(TEXTS, CLASSES)
    assert len(recorder.bodies) <= 11


def test_labels_come_in_structured_output_without_a_confidence(served):
    recorder = served(logprob_free)
    asked = teacher(method="label", calibration=BatchCalibration())
    labels = asked.label(TEXTS, CLASSES)
    assert labels.confidence == "none"
    np.testing.assert_array_equal(labels.proba.max(axis=1), 1)
    assert recorder.bodies[-1]["response_format"]["type"] == "json_schema"
    enum = recorder.bodies[-1]["response_format"]["json_schema"]["schema"]
    assert enum["properties"]["class"]["enum"] == ["A", "B", "C"]
    assert len(recorder.bodies) == 12
    assert asked.label(TEXTS, CLASSES).n_asked == 0


@pytest.mark.parametrize("several", [True, False])
def test_votes_with_one_request_or_many(served, several):
    def answer(body):
        got = logprob_free(body)
        return got if several else got | {"choices": got["choices"][:1]}

    recorder = served(answer)
    labels = teacher(method=("votes", 3)).label(TEXTS, CLASSES)
    assert labels.confidence == "votes"
    np.testing.assert_allclose(labels.proba.max(axis=1), (3 + 1 / 3) / 4)
    n_each = 1 if several else 3
    assert len(recorder.bodies) == 12 * n_each
    assert sum("n" in body for body in recorder.bodies) == (12 if several else 1)
    assert recorder.bodies[-1]["temperature"] == 1
    plan = teacher(method=("votes", 3)).plan(["new"], CLASSES)
    assert plan.n_calls == 3  # at most, as the server is not known


def test_logprobs_left_out_once_are_no_sign(served):
    served(flaky([lambda: logprob_free({"messages": [MESSAGE]})] * 2))
    assert teacher().label(TEXTS, CLASSES).confidence == "log-probabilities"


def picky(body):
    """Answer as OpenAI's reasoning models do: each refusal names one parameter."""
    if "max_tokens" in body:
        said = "'max_tokens' is not supported. Use 'max_completion_tokens' instead."
        return error(400, f"Unsupported parameter: {said}", "unsupported_parameter")
    if "temperature" in body:
        return error(400, "'temperature' does not support 0 with this model.")
    if "logprobs" in body:
        return error(403, "You are not allowed to request logprobs from this model")
    if body["max_completion_tokens"] < 100:
        return error(400, "Could not finish the message: output limit was reached.")
    answer = stub(body)
    answer["usage"]["completion_tokens_details"] = {"reasoning_tokens": 64}
    return answer


def test_reasoning_models_are_found_and_given_room(served):
    recorder = served(picky)
    with pytest.warns(SkllkdWarning, match="`temperature`.*thinks first"):
        labels = teacher(method="label").label(TEXTS, CLASSES)
    assert not labels.missing.any()
    assert len(recorder.bodies) == 12 + 3  # each refusal names one parameter
    body = recorder.bodies[-1]
    assert body["max_completion_tokens"] == 4096
    assert not {"max_tokens", "temperature", "logprobs", "top_logprobs"} & {*body}
    with pytest.warns(SkllkdWarning) as warned:
        teacher(method="logprobs").label(TEXTS, CLASSES)
    assert "not allowed to request logprobs" in str(warned[0].message)


@pytest.mark.parametrize(
    "thought",
    [
        completion("", finish="length"),
        completion("A", top_logprobs({"A": 0.9}), reasoning_content="hm"),
        completion("<think>", top_logprobs({"<think>": 1.0}), "length"),
    ],
)
def test_local_models_that_think_are_found(served, thought):
    recorder = served(lambda body: stub(body) if body["max_tokens"] > 99 else thought)
    with pytest.warns(SkllkdWarning, match="thinks first, in up to 4096 tokens"):
        labels = teacher(method="label").label(TEXTS[:3], CLASSES)
    assert not labels.missing.any()
    assert recorder.bodies[-1]["max_tokens"] == 4096
    with pytest.raises(TeacherAccessError, match='reasoning model.*method="votes"'):
        teacher().label(TEXTS[:3], CLASSES)


def test_a_server_that_lists_few_tokens_is_asked_for_few(served):
    def answer(body):
        if body.get("top_logprobs", 0) > 5:
            return error(400, "top_logprobs must be at most 5")
        return stub(body)

    recorder = served(answer)
    with pytest.warns(SkllkdWarning, match="at most 5 likely tokens"):
        teacher().label(TEXTS, CLASSES)
    assert [body["top_logprobs"] for body in recorder.bodies] == [20] + [5] * 12


@pytest.mark.parametrize(
    "refusal",
    [
        lambda: error(400, "response_format is not supported"),
        lambda: error(500, "1 validation error: 'loc': ('body', 'response_format')"),
        lambda: completion("B"),
    ],
)
def test_without_structured_output_plain_answers_are_read(served, refusal):
    recorder = served(
        lambda b: refusal() if "response_format" in b else logprob_free(b)
    )
    ignored = isinstance(refusal(), dict)
    with nullcontext() if ignored else pytest.warns(SkllkdWarning, match="structured"):
        labels = teacher(method="label").label(TEXTS, CLASSES)
    assert not labels.missing.any()
    assert len(recorder.bodies) == (12 if ignored else 13)
    assert ("response_format" in recorder.bodies[-1]) == ignored
