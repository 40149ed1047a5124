"""The HTTP interface: answers, limits, tokens and metrics."""

import asyncio
import re

import numpy as np
import pytest
from skllkd.exceptions import GuaranteeWarning, TeacherAccessError
from skllkd.teachers import CallableTeacher

from tests.serving.test_cascade import told, truth_of
from tests.serving.told import ToldTeacher, told_texts

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from fastapi.testclient import TestClient
from pydantic import ValidationError
from skllkd.serving.app import MAX_BODY_BYTES, MAX_CHARACTERS, Query, make_app
from skllkd.serving.batching import Batcher, QueueFullError
from skllkd.serving.model import MAX_WAITING_TEACHER, ServedModel, described


@pytest.fixture(scope="module")
def cascade():
    return told(ToldTeacher(), audit_share=0).fit(told_texts(800))


@pytest.fixture
def client(cascade):
    with TestClient(make_app(lambda: cascade)) as client:
        yield client


def predictions(client, texts):
    response = client.post("/predict", json={"texts": texts})
    assert response.status_code == 200, response.text
    return response.json()["predictions"]


def test_answers_are_those_of_the_cascade(client, cascade):
    texts = told_texts(200, seed=1)
    decided = cascade.decision(texts)
    found = predictions(client, texts)
    assert [row["label"] for row in found] == decided.label.tolist()
    assert [row["source"] for row in found] == decided.source.tolist()
    np.testing.assert_allclose([row["confidence"] for row in found], decided.confidence)
    assert predictions(client, texts[0]) == found[:1]  # one text needs no list
    assert len(predictions(client, texts[:1] * 1024)) == 1024


def test_it_is_told_who_answers(cascade):
    texts = told_texts(800)
    alone = told(teacher=False, metric="accuracy").fit(texts, truth_of(texts))
    with pytest.warns(GuaranteeWarning):
        nothing = told(ToldTeacher()).fit(told_texts(30))
    assert re.search("from confidence .* go to the teacher", described(cascade))
    assert re.search("are right.* abstained from", described(alone))
    assert "answers nothing" in described(nothing)


def test_without_a_teacher_it_abstains(cascade):
    alone = told(abstention_label=None).fit(
        told_texts(800), [t.split()[3] for t in told_texts(800)]
    )
    with TestClient(make_app(lambda: alone)) as client:
        found = predictions(client, told_texts(100, seed=1))
    abstained = [row for row in found if row["source"] == "abstained"]
    assert abstained
    assert {row["label"] for row in abstained} == {None}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"texts": []},
        {"texts": [1]},
        {"texts": None},
        {"texts": ["a"] * 1025},
        {"texts": "a" * (MAX_CHARACTERS + 1)},
        {"texts": ["a"], "model": "other"},
        [],
        "text",
    ],
)
def test_a_body_of_another_form_is_refused_without_an_echo(client, body):
    response = client.post("/predict", json=body)
    assert response.status_code == 422
    assert len(response.content) < 1000
    assert all(
        set(fault) == {"loc", "msg", "type"} for fault in response.json()["detail"]
    )


@pytest.mark.parametrize("content", [b"", b"{", b'{"texts": ["\xff"]}'])
def test_what_is_no_json_is_refused(client, content):
    response = client.post(
        "/predict", content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code in (400, 422)


def test_half_a_character_is_refused(client):
    response = client.post(
        "/predict",
        content=b'{"texts": ["\\ud800"]}',
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 422


def test_large_bodies_are_refused_with_and_without_a_length(client):
    body = b'{"texts": "' + b"a" * MAX_BODY_BYTES + b'"}'

    def parts():
        for start in range(0, len(body), 2**16):
            yield body[start : start + 2**16]

    for content in (body, parts()):
        response = client.post("/predict", content=content)
        assert response.status_code == 413
        assert "larger" in response.json()["detail"]


def test_a_full_queue_is_503_with_a_hint(cascade, monkeypatch):
    async def full(self, texts):
        raise QueueFullError

    monkeypatch.setattr(Batcher, "answer", full)
    with TestClient(make_app(lambda: cascade)) as client:
        response = client.post("/predict", json={"texts": "1 0.9 ham ham"})
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        assert client.get("/health").status_code == 200


def test_a_token_is_asked_for(cascade):
    with TestClient(make_app(lambda: cascade, "sécret")) as client:
        texts = {"texts": ["1 0.9 ham ham"]}
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "x"}):
            for answer in (
                client.post("/predict", json=texts, headers=headers),
                client.get("/metrics", headers=headers),
            ):
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        right = {"Authorization": "Bearer sécret".encode()}
        assert client.post("/predict", json=texts, headers=right).status_code == 200
        assert client.get("/health").status_code == 200


def test_health_and_metrics_say_what_is_served(cascade):
    fresh = told(ToldTeacher(), audit_share=1.0).fit(told_texts(800))
    with TestClient(make_app(lambda: fresh)) as client:
        texts = told_texts(100, seed=1)
        found = predictions(client, texts)
        client.post("/predict", json={})
        health = client.get("/health").json()
        lines = client.get("/metrics").text.splitlines()
    own = sum(row["source"] == "student" for row in found)
    assert health["classes"] == ["ham", "spam"]
    assert health["threshold"] == fresh.threshold_
    assert health["promise_holds"]
    assert f'skllkd_texts_total{{source="student"}} {own}.0' in lines
    assert 'skllkd_requests_total{status="200"} 1.0' in lines
    assert 'skllkd_requests_total{status="422"} 1.0' in lines
    assert "skllkd_request_seconds_count 2.0" in lines
    assert f"skllkd_checks_total {own}.0" in lines
    assert fresh.audit_.n_checked == own


def test_a_teacher_that_fails_leaves_the_student_to_answer():
    def down(texts):
        raise TeacherAccessError("no such key")

    texts = told_texts(800)
    cascade = told(metric="accuracy", teacher=CallableTeacher(down, store=False))
    cascade.fit(texts, [t.split()[3] for t in texts])
    with TestClient(make_app(lambda: cascade)) as client:
        found = predictions(client, told_texts(100, seed=1))
        lines = client.get("/metrics").text.splitlines()
    assert {row["source"] for row in found} == {"student", "abstained"}
    assert "skllkd_teacher_errors_total 1.0" in lines


def test_a_check_is_left_out_where_the_teacher_is_too_busy():
    fresh = told(ToldTeacher(), audit_share=1.0).fit(told_texts(800))
    sure = [text for text in told_texts(100) if float(text.split()[1]) > 0.99]

    async def run():
        served = ServedModel(fresh)
        served.teachers.n_waiting = MAX_WAITING_TEACHER
        decided = await served.decide(sure)
        await asyncio.gather(*served._checks)
        return decided

    assert set(asyncio.run(run()).source) == {"student"}
    assert fresh.audit_.n_checked == fresh._traffic.n_rechecked == 0


def test_a_reload_that_fails_keeps_the_model(cascade):
    from skllkd.exceptions import SavedModelError
    from skllkd.serving.app import _Current

    models = [cascade]

    def load():
        if not models:
            raise SavedModelError("gone")
        return models.pop()

    async def run():
        current = _Current(load)
        before = current.served
        await current.reload()
        assert current.served is before
        models.append(cascade)
        await current.reload()
        assert current.served is not before

    asyncio.run(run())


def test_a_level_is_any_integer_of_json():
    assert Query.model_validate_json('{"texts": "a", "level": 1.0}').level == 1
    assert Query.model_validate_json('{"texts": "a", "level": null}').level is None
    for level in ("1.5", "true", '"1"', "0", "1e400"):
        with pytest.raises(ValidationError):
            Query.model_validate_json(f'{{"texts": "a", "level": {level}}}')
