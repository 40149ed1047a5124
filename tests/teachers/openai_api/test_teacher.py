"""Labelling, plans and parameters of the teacher behind the OpenAI API."""

import math
import pickle
from collections import Counter

import numpy as np
import pytest
from sklearn.base import clone
from skllkd._core.classes import as_classes
from skllkd.exceptions import (
    BudgetReachedWarning,
    InvalidParameterError,
    MissingLabelWarning,
)
from skllkd.teachers import LabelStore, OpenAITeacher
from skllkd.teachers.openai_api.chat import ChatRequest
from skllkd.teachers.openai_api.tag_requests import chat_request

from tests.faulty_server import letter_probabilities, stub, text_of
from tests.teacher_contract import CHECKS
from tests.teachers.openai_api.common import (
    CLASSES,
    LOCAL,
    TEXTS,
    error,
    flaky,
    httpx,
    teacher,
)


def test_log_probabilities_reach_the_labels_and_are_asked_for_once(served):
    recorder = served()
    labels = teacher().label([*TEXTS, TEXTS[0], " "][:-1], CLASSES)
    expected = [[letter_probabilities(t)[c] for c in "ABC"] for t in TEXTS]
    for row, share in zip(
        expected, (letter_probabilities(t) for t in TEXTS), strict=True
    ):
        best = max(share, key=share.get)
        row["ABC".index(best)] += 0.01  # " A"
    np.testing.assert_allclose(np.exp(labels.log_prob[:12]), expected)
    np.testing.assert_allclose(labels.label_mass[:12], np.sum(expected, axis=1))
    assert labels.confidence == "log-probabilities"
    assert (labels.n_asked, labels.n_reused) == (12, 1)
    assert len(recorder.bodies) == 12 and labels.usage[:3] == (12, 600, 12)
    again = clone(teacher()).label(TEXTS, CLASSES)
    assert (len(recorder.bodies), again.n_asked) == (12, 0)


def test_a_stored_pool_needs_neither_server_nor_key(served, monkeypatch, tmp_path):
    served()
    before = teacher().label(TEXTS, CLASSES)

    def no_client(**_):
        raise AssertionError

    monkeypatch.setattr(httpx, "Client", no_client)
    monkeypatch.delenv("OPENAI_API_KEY")
    after = teacher().label(TEXTS, CLASSES)
    np.testing.assert_array_equal(after.log_prob, before.log_prob)
    # a store merged from another machine's, which remembers nothing of the server
    with LabelStore() as store:
        store.export(tmp_path / "labels.jsonl")
    elsewhere = tmp_path / "other.sqlite"
    with LabelStore(elsewhere) as store:
        store.merge(tmp_path / "labels.jsonl")
    assert teacher(store=elsewhere).label(TEXTS, CLASSES).n_asked == 0
    assert teacher(store=elsewhere).submit(TEXTS, CLASSES) == ""


def test_a_cache_key_keeps_the_answers_of_a_server_that_moves(served):
    recorder = served()
    teacher(cache_key="mine").label(TEXTS, CLASSES)
    n_requests = len(recorder.bodies)
    moved = teacher(cache_key="mine", base_url="http://elsewhere.example/v1")
    assert moved.label(TEXTS, CLASSES).n_asked == 0
    assert len(recorder.bodies) == n_requests
    assert teacher(base_url=LOCAL + "/").label(TEXTS, CLASSES).n_asked == 12


def test_a_labelling_opens_and_writes_everything_once(served, monkeypatch):
    recorder = served()
    counts = Counter()

    def counted(owner, name):
        original = getattr(owner, name)

        def call(*args, **kwargs):
            counts[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    counted(LabelStore, "__init__")
    counted(httpx, "Client")
    counted(OpenAITeacher, "fingerprint")
    counted(ChatRequest, "body")
    chat_request.cache_clear()
    asked = teacher()
    assert asked.label(TEXTS[:3], CLASSES).n_asked == 3
    assert counts == {"__init__": 1, "Client": 1, "fingerprint": 1, "body": 3}
    assert chat_request.cache_info().misses == 1 and len(recorder.bodies) == 3
    assert asked.label(TEXTS[:3], CLASSES).n_asked == 0
    assert counts == {"__init__": 2, "Client": 1, "fingerprint": 2, "body": 3}


@pytest.mark.parametrize("method", ["logprobs", "votes", "label"])
def test_the_key_does_not_depend_on_threads_or_on_the_server(served, method):
    served(flaky([lambda: error(500)]))
    first = teacher(max_concurrency=1, method=method).label(TEXTS, CLASSES)
    recorder = served()
    again = teacher(max_concurrency=7, method=method, rate_limit=(9, None))
    np.testing.assert_array_equal(again.label(TEXTS, CLASSES).proba, first.proba)
    assert recorder.bodies == []


def test_without_a_store_nothing_is_written_or_remembered(served, own_store):
    recorder = served()
    asked = teacher(store=False, base_url="http://forgetful.example/v1")
    for _ in range(2):
        asked.label(TEXTS, CLASSES)
    assert len(recorder.bodies) == 24
    assert not own_store.parent.exists() or not [*own_store.parent.iterdir()]


def test_budgets_stop_before_the_next_text(served):
    recorder = served()
    with (
        pytest.warns(BudgetReachedWarning, match="max_calls=5"),
        pytest.warns(MissingLabelWarning, match="not sent"),
    ):
        labels = teacher(max_calls=5, max_concurrency=1).label(TEXTS, CLASSES)
    assert len(recorder.bodies) == 5
    assert labels.missing.sum() == 7
    with pytest.warns(BudgetReachedWarning), pytest.warns(MissingLabelWarning):
        teacher(max_calls=5, method="votes").label(TEXTS, CLASSES)
    rest = teacher(price_per_million=(1e4, 0), max_cost=3.5, max_concurrency=1)
    with pytest.warns(BudgetReachedWarning), pytest.warns(MissingLabelWarning):
        rest.label(TEXTS, CLASSES)  # 0.5 a request
    assert teacher().plan(TEXTS, CLASSES).spent.n_calls == 7
    assert len(teacher().label(TEXTS, CLASSES)) == 12
    assert len({*recorder.texts}) == 12


def test_nothing_is_paid_where_the_budget_allows_no_call(served):
    recorder = served()
    with pytest.warns(BudgetReachedWarning), pytest.warns(MissingLabelWarning):
        teacher(max_calls=0).label(TEXTS, CLASSES)
    assert recorder.bodies == []


@pytest.mark.parametrize("method", ["logprobs", "votes"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_contract(served, check, method):
    def answer(body):  # votes that differ from text to text
        answer = stub(body)
        letter = "AB"[len(text_of(body)) % 2]
        for choice in answer["choices"][: len(text_of(body)) % 3]:
            choice["message"]["content"] = letter
        return answer | {"choices": answer["choices"][:1]}

    served(answer)
    check(teacher(method=("votes", 3) if method == "votes" else method))


def test_a_plan_asks_nothing_and_counts_the_whole_request(served):
    recorder = served()
    limits = {"rate_limit": (6, 10**6)}
    price = {"price_per_million": (1.0, 2.0)}
    plan = teacher(**limits, **price).plan(TEXTS, CLASSES)
    assert recorder.bodies == []
    assert (plan.n_calls, plan.tokens.how, plan.tokens.output) == (12, "estimated", 12)
    assert plan.seconds == 120
    request = teacher()._request(as_classes(CLASSES))
    system = request.before[0]["content"]
    each = 3 + 4 + -(-len(system) // 4) + 4 + -(-len("Text: alpha 0\nClass?") // 4)
    assert abs(plan.tokens.input - 12 * each) <= 12
    assert math.isclose(plan.cost, (plan.tokens.input + 2 * 12) / 1e6)
    votes = teacher(method=("votes", 5)).plan(TEXTS, CLASSES)
    assert votes.n_calls == 60  # at most, as long as the server is not known


@pytest.mark.parametrize(
    "parameters",
    [
        {"method": "guess"},
        {"method": ("votes", 0)},
        {"method": ("votes",)},
        {"method": ("label", 3)},
        {"max_concurrency": 0},
        {"max_retries": -1},
        {"timeout_s": 0},
        {"rate_limit": (0, None)},
        {"rate_limit": (None, -1)},
        {"rate_limit": 60},
        {"max_text_chars": 0},
        {"model": ""},
        {"max_cost": 1},
    ],
)
def test_bad_parameters_are_named(served, parameters):
    recorder = served()
    for store in (None, False):
        asked = teacher(**{"store": store} | parameters)
        with pytest.raises(InvalidParameterError, match=f"`{next(iter(parameters))}"):
            asked.label(TEXTS, CLASSES)
    assert recorder.bodies == []


def test_a_teacher_is_a_specification():
    asked = teacher(method="votes", examples=[("t", "first")])
    assert clone(asked).get_params() == asked.get_params()
    assert pickle.loads(pickle.dumps(asked)).get_params() == asked.get_params()
