"""Whose answers are in the store: addresses, models behind a name, and their servers."""

import numpy as np
import pytest
from hypothesis import given
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers import LabelStore
from skllkd.teachers.openai_api import served as module
from skllkd.teachers.openai_api.connection import Exchange
from skllkd.teachers.openai_api.served import Served, served_model
from skllkd.teachers.openai_api.server import Server

from tests.choices import Choices, built
from tests.faulty_server import stub
from tests.teachers.openai_api.common import CLASSES, LOCAL, TEXTS, httpx, teacher

HERE = "http://localhost:8080/v1"


def listing(*entries):
    return {"object": "list", "data": list(entries)}


def gguf(name, size=100, **more):
    meta = {"n_params": size, "size": 2 * size, "n_ctx": 512}
    return listing({"id": name, "owned_by": "llamacpp", "meta": meta, **more})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (HERE, "http://127.0.0.1:8080/v1/"),
        (HERE, "HTTP://LocalHost:8080/v1"),
        (HERE, "http://[::1]:8080/v1"),
        (HERE, "http://0.0.0.0:8080/v1"),
        ("https://api.example.com/v1", "https://API.example.com.:443/v1//"),
        ("http://gpu/v1", "http://GPU:80/v1"),
    ],
)
def test_an_address_in_another_spelling_has_the_same_answers(served, one, other):
    served()
    teacher(base_url=one).label(TEXTS, CLASSES)
    assert teacher(base_url=other).label(TEXTS, CLASSES).n_asked == 0
    elsewhere = teacher(base_url="http://localhost:8081/v1")
    assert elsewhere.label(TEXTS, CLASSES).n_asked == 12


def test_ports_that_are_none_are_refused():
    for address in ("http://localhost:0/v1", "http://localhost:99999/v1"):
        with pytest.raises(InvalidParameterError, match="`base_url`"):
            teacher(base_url=address)


def test_another_model_behind_the_port_has_its_own_answers(served, capsys):
    recorder = served()
    recorder.listed["/v1/models"] = gguf("/models/small.gguf")
    asked = teacher(base_url=HERE)
    assert asked.label(TEXTS, CLASSES).n_asked == 12
    assert asked.label(TEXTS, CLASSES, verbose=1).n_asked == 0
    assert "12 of 12 distinct texts are answered already, by small.gguf" in (
        capsys.readouterr().err
    )
    recorder.listed["/v1/models"] = gguf("/models/large.gguf", 500)
    (note,) = asked.plan(TEXTS, CLASSES).notes
    assert "12 answers of small.gguf" in note and "is large.gguf" in note
    assert note in str(asked.plan(TEXTS, CLASSES))
    assert asked.label(TEXTS[:6], CLASSES, verbose=1).n_asked == 6
    assert note in capsys.readouterr().err
    recorder.listed["/v1/models"] = gguf("/elsewhere/small.gguf")
    assert asked.label(TEXTS, CLASSES).n_asked == 0
    with LabelStore() as store:
        assert sorted(e.description["serves"].split()[0] for e in store.contents()) == [
            "large.gguf",
            "small.gguf",
        ]


def test_a_server_that_is_down_has_the_answers_of_its_last_model(served, capsys):
    recorder = served()
    for name in ("first.gguf", "second.gguf"):
        recorder.listed["/v1/models"] = gguf(name)
        teacher(base_url=HERE).label(TEXTS, CLASSES)
    with LabelStore() as store, store._writing() as connection:  # a second apart
        keys = {e.description["serves"]: e.fingerprint for e in store.contents()}
        for place, name in enumerate(sorted(keys)):
            connection.execute(
                "UPDATE answers SET answered_at = ? WHERE fingerprint = ?",
                [1000 + place, keys[name]],
            )
    recorder.listed["/v1/models"] = httpx.ConnectError("down")
    labels = teacher(base_url=HERE).label(TEXTS, CLASSES, verbose=1)
    assert labels.n_asked == 0 and len(recorder.bodies) == 24
    assert "answered already, by second.gguf" in capsys.readouterr().err


def test_names_that_say_it_all_and_servers_of_others_are_not_asked(served):
    recorder = served()
    teacher(base_url=HERE, model="stub").label(TEXTS, CLASSES)
    recorder.listed["/v1/models"] = listing({"id": "stub", "created": 1})
    assert teacher(base_url=HERE, model="stub").label(TEXTS, CLASSES).n_asked == 0
    recorder.gets.clear()
    teacher(base_url=LOCAL).label(TEXTS, CLASSES)
    teacher(base_url=HERE, cache_key="mine").label(TEXTS, CLASSES)
    assert recorder.gets == []


@pytest.mark.parametrize(
    ("listed", "model"),
    [
        (listing({"id": "qwen"}), ""),
        (listing({"id": "a/qwen"}, {"id": "b"}), ""),
        (listing({"id": "other"}), "other"),
        (listing({"id": "qwen", "root": "/weights/qwen-7b"}), "qwen-7b"),
        (listing({"id": "qwen", "meta": {"n_params": 5, "size": "x"}}), "n_params=5"),
        (listing(), ""),
        ([1, None], ""),
        ({"data": {"id": 3}}, ""),
        ({"data": [{"id": 3, "meta": [], "owned_by": {}}]}, ""),
    ],
)
def test_what_a_server_lists(served, listed, model):
    recorder = served()
    recorder.listed["/v1/models"] = listed
    assert served_model(Server(HERE, "qwen", "OPENAI_API_KEY")) == Served(model)


LEAVES = [
    lambda _: None,
    lambda c: bool(c.below(2)),
    Choices.number,
    Choices.integer,
    Choices.text,
]


def listed(choices):
    """Make any JSON, whose keys are those of a list of models."""
    key = ("data", "id", "meta")
    return choices.nested(lambda c: c.of(LEAVES)(c), lambda c: c.of(key))


@given(built(listed))
def test_any_list_of_models_is_read(content):
    entry = module._entry(content, "m")
    assert isinstance(module._identity(entry, "m"), str)
    assert isinstance(module._entry({"data": content}, "m"), dict)
    assert module._identity(entry | {"meta": content, "id": content}, "m") is not None


@pytest.mark.parametrize(
    ("entry", "props", "n"),
    [
        ({"owned_by": "llamacpp"}, {"total_slots": 3}, 3),
        ({"owned_by": "llamacpp"}, {"total_slots": "x"}, 8),
        ({"owned_by": "llamacpp"}, 404, 8),
        ({"owned_by": "me"}, 404, 1),
        ({"owned_by": "vllm"}, 404, 64),
        ({}, 404, 8),
    ],
)
def test_a_server_of_ones_own_is_asked_as_much_as_it_takes_at_once(
    served, entry, props, n
):
    recorder = served()
    recorder.listed = {"/v1/models": listing({"id": "m", **entry}), "/props": props}
    asked = teacher(base_url=HERE)
    asked.plan(TEXTS, CLASSES)
    assert asked._n_concurrent == asked._for_workers().max_concurrency == n
    assert teacher(base_url=HERE, max_concurrency=2)._n_concurrent == 2
    assert asked.get_params()["max_concurrency"] is None


def test_an_exchange_that_fails_says_nothing(monkeypatch):
    monkeypatch.setattr(
        module.Connection, "send", lambda *_, **__: Exchange(problem="late")
    )
    assert served_model(Server(HERE, "qwen", "OPENAI_API_KEY")) is None


def test_the_order_of_the_classes_buys_nothing_again(served):
    recorder = served()
    first = teacher().label(TEXTS, CLASSES)
    backwards = dict(reversed(CLASSES.items()))
    again = teacher().label(TEXTS, backwards)
    assert again.n_asked == 0 and again.classes == tuple(backwards)
    np.testing.assert_array_equal(again.log_prob, first.log_prob[:, ::-1])
    more = teacher().label(["beta 99", *TEXTS], backwards)  # asked as the others were
    assert more.n_asked == 1 and more.proba[0].argmax() == 1
    systems = {body["messages"][0]["content"] for body in recorder.bodies}
    assert len(systems) == 1
    other = {**CLASSES, "third": "with a description"}
    assert teacher().label(TEXTS, other).n_asked == 12


def test_other_classes_are_said_before_they_are_paid_for(served, capsys):
    recorder = served()
    teacher().label(TEXTS, CLASSES)
    fewer = list(CLASSES)[:2]
    (note,) = teacher().plan(TEXTS, fewer).notes
    assert "12 answers of stub at http://model.example/v1 are in the store" in note
    assert "for other classes (first, second, third): all texts are sent again" in note

    def answer(body):
        assert note in capsys.readouterr().err or len(recorder.bodies) > 13
        return stub(body)

    recorder.answer = answer
    assert teacher().label(TEXTS, fewer, verbose=1).n_asked == 12
    assert teacher().plan(TEXTS, fewer).notes == ()
