"""Limits on calls and cost, whatever a server reports."""

import contextlib
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skllkd.exceptions import SkllkdError, SkllkdWarning
from skllkd.teachers.labels import Usage
from skllkd.teachers.metered.budget import Budget, Meter
from skllkd.teachers.openai_api.client import usage_of
from skllkd.teachers.openai_api.completion import read_completion

from tests.choices import Choices, built
from tests.faulty_server import completion, stub
from tests.teachers.openai_api.common import CLASSES, error, httpx, teacher
from tests.teachers.openai_api.test_completion import value

POOL = [f"beta {i}" for i in range(60)]
PRICE = (1000.0, 1000.0)


def reports(usage):
    """Return a stub that reports a usage, None for leaving it out."""

    def answer(body):
        got = stub(body)
        got.pop("usage")
        return got if usage is None else got | {"usage": usage}

    return answer


def late():
    """Return a stub that reports the tokens of the last five answers with each fifth."""
    n = 0

    def answer(body):
        nonlocal n
        n += 1
        used = {"prompt_tokens": 250 * (n % 5 == 0), "completion_tokens": 5}
        return stub(body) | {"usage": used}

    return answer


REPORTS = {
    "nothing": reports(None),
    "null": reports({"prompt_tokens": None, "completion_tokens": None}),
    "zero": reports({"prompt_tokens": 0, "completion_tokens": 0}),
    "too little": reports({"prompt_tokens": 1, "completion_tokens": 1}),
    "negative": reports({"prompt_tokens": -50, "completion_tokens": -1}),
    "words": reports({"prompt_tokens": "50", "completion_tokens": "1"}),
    "a total": reports({"total_tokens": 51}),
    "a list": reports([50, 1]),
    "too much": reports({"prompt_tokens": 10**6, "completion_tokens": 1}),
    "late": late(),
}


def bought(recorder):
    """Return the cost of the requests a server got, at 51 tokens each."""
    return len(recorder.bodies) * 51 * PRICE[0] / 1e6


def label_quietly(asked):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkllkdWarning)
        return asked.label(POOL, CLASSES)


@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.parametrize("report", REPORTS)
def test_the_cost_holds_whatever_is_reported(served, report, n_threads):
    recorder = served(REPORTS[report])
    limits = {"price_per_million": PRICE, "max_cost": 0.6}
    asked = teacher(**limits, max_concurrency=n_threads)
    label_quietly(asked)
    first = bought(recorder)
    assert 0 < first <= 0.6 + n_threads * first / len(recorder.bodies)
    assert len(recorder.bodies) >= (1 if report == "too much" else 4)
    label_quietly(asked)  # another run has what is left
    each = first / len(recorder.bodies)
    assert bought(recorder) <= 0.6 + n_threads * each


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: {"choices": []},
        lambda _: httpx.Response(200, text="<html>"),
        lambda _: httpx.ReadTimeout("late"),
        lambda _: completion("A"),  # without log-probabilities
        lambda _: completion("", finish="length"),
        lambda _: completion("perhaps"),
    ],
    ids=["empty", "not json", "late", "no logprobs", "cut", "unusable"],
)
@pytest.mark.parametrize("limits", [{"max_calls": 5}, {"max_cost": 0.5}])
@pytest.mark.parametrize("method", ["logprobs", "label"])
def test_answers_that_lead_nowhere_count(served, answer, limits, method):
    recorder = served(answer)
    asked = teacher(
        **limits,
        method=method,
        price_per_million=PRICE,
        max_concurrency=1,
        max_retries=6,
    )
    with contextlib.suppress(SkllkdError):
        label_quietly(asked)
    if "max_calls" in limits:
        assert len(recorder.bodies) <= 5
    else:
        assert bought(recorder) <= 0.5 + bought(recorder) / len(recorder.bodies)


def test_refused_requests_cost_nothing(served):
    recorder = served(lambda _: error(429))
    asked = teacher(max_calls=5, max_retries=2, max_concurrency=1)
    with pytest.raises(SkllkdError):
        asked.label(POOL, CLASSES)
    assert len(recorder.bodies) == 9  # three texts, three times
    assert teacher().plan(POOL, CLASSES).spent.n_calls == 0


def test_a_thinking_model_is_stopped_by_its_first_thoughts(served):
    def answer(body):
        used = {"prompt_tokens": 50, "completion_tokens": 3000}
        return stub(body) | {"usage": used}

    recorder = served(answer)
    limits = {"price_per_million": PRICE, "max_cost": 4.0}
    label_quietly(teacher(method="label", max_concurrency=8, **limits))
    assert len(recorder.bodies) <= 8  # those that were under way


def up_to(choices, most):
    """Choose an integer from 0."""
    return int.from_bytes(choices.take(2)) % (most + 1)


@given(
    built(lambda c: c.several(lambda c: up_to(c, 400), 40, least=1)),
    st.integers(0, 500),
    st.integers(1, 8),
)
def test_a_meter_goes_beyond_a_limit_by_what_is_under_way_at_most(
    costs, max_cost, n_at_once
):
    budget = Budget(None, max_cost / 1e6, (1, 1))
    meter = Meter(budget, Usage(), 1, lambda texts: Usage(0, 10 * len(texts), 0))
    left, under_way, paid = list(costs), [], 0
    while left or under_way:
        while left and len(under_way) < n_at_once and meter.reserve(["text"]):
            under_way.append(left.pop())
        if not under_way:
            break
        assert paid < max_cost
        paid += under_way[0]
        meter.settle(1, Usage(1, under_way.pop(0), 0))
        if not meter.may_send():
            paid += sum(under_way)
            break
    assert paid <= max_cost + n_at_once * max(costs)


COUNTS = [
    lambda _: None,
    lambda c: up_to(c, 409) - 9,
    Choices.number,
    lambda c: c.of(["50", "x"]),
]


def usage(choices):
    """Make counts of tokens, or any JSON."""
    if choices.below(2):
        return value(choices)
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: choices.of(COUNTS)(choices) for name in names if choices.below(2)}


@given(
    built(lambda c: c.several(usage, 5, least=1)),
    st.integers(0, 3000),
    st.integers(1, 8),
    st.integers(0, 300),
)
def test_the_cost_holds_for_any_usage_that_is_reported(
    reported, max_cost, n_at_once, n_words
):
    """What a request takes is 40 tokens, and those written; a fourth may be believed."""
    budget = Budget(None, max_cost / 1e6, (1, 1))
    meter = Meter(budget, Usage(), 1, lambda texts: Usage(0, 41 * len(texts), 0))
    body, each = completion("word " * n_words), 40 + n_words
    n_sent = n_under_way = 0
    while n_sent < 500:
        while n_under_way < n_at_once and meter.reserve(["text"]):
            n_under_way += 1
        if not n_under_way or not meter.may_send():
            break
        body["usage"] = reported[n_sent % len(reported)]
        n_sent, n_under_way = n_sent + 1, n_under_way - 1
        meter.settle(1, usage_of(read_completion(body), 40))
    assert n_sent * each <= 4 * max_cost + n_at_once * each
