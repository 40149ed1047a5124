"""The HTTP interface of a review: blind, guarded, and one answer a text."""

import json

import numpy as np
import pytest
from skllkd.serving.review.answers import AnswerFile
from skllkd.serving.review.pool import STUDENT, TEACHER
from skllkd.serving.review.session import ReviewSession

from tests.serving.review.reviewed import some_pool
from tests.serving.told import ToldStudent

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient
from skllkd.serving.review.app import Reviewed, is_number_or_local, make_review_app

HOME = "http://127.0.0.1:1234/secret/"


class Student(ToldStudent):
    """Give every text the same probabilities."""

    def predict_proba(self, X):
        return np.tile([0.3, 0.7], (len(X), 1))


@pytest.fixture
def session(tmp_path):
    with AnswerFile(tmp_path / "review.csv", ["ham", "spam"]) as answers:
        yield ReviewSession(some_pool(), answers, n_random=10)


@pytest.fixture
def client(session):
    reviewed = Reviewed("model", Student(), 0.65, "skllkd fit --gold review.csv")
    app = make_review_app(session, reviewed, "secret")
    with TestClient(app, base_url=HOME) as client:
        yield client


def test_a_text_is_shown_blind_and_its_views_after_the_answer(client, session):
    state = client.get("state").json()
    assert state["last"] is None
    assert set(state["asked"]) == {"key", "text", "part"}
    row = session.row
    assert state["asked"]["text"] == session.pool.texts[row]
    assert state["accuracy"][STUDENT]["share"] is None
    form = {"key": state["asked"]["key"], "gold": 1, "note": "why"}
    after = client.post("answer", json=form).json()
    assert after["last"]["gold"] == "spam"
    said = after["last"]["said"]
    expected = session.pool.classes[session.pool.said(TEACHER)[row]]
    assert said[TEACHER]["name"] == expected
    assert after["accuracy"][STUDENT]["n_texts"] == 1
    assert after["asked"]["key"] != form["key"]
    assert after["progress"]["n_sample_asked"] == 1
    assert session.answers.last.note == "why"


def test_a_second_answer_is_refused(client, session):
    key = client.get("state").json()["asked"]["key"]
    assert client.post("answer", json={"key": key, "gold": 0}).status_code == 200
    for path, form in (("answer", {"key": key, "gold": 1}), ("skip", {"key": key})):
        refused = client.post(path, json=form)
        assert refused.status_code == 409
        assert "already" in refused.json()["detail"]
    assert len(session.answers) == 1


def test_unsure_skip_and_undo(client, session):
    keys = []
    for path, form in (("answer", {"gold": None, "note": "odd"}), ("skip", {})):
        keys.append(client.get("state").json()["asked"]["key"])
        state = client.post(path, json={"key": keys[-1]} | form).json()
    assert state["progress"]["n_unsure"] == state["progress"]["n_skipped"] == 1
    assert client.post("undo").json()["asked"]["key"] == keys[1]
    undone = client.post("undo").json()
    assert undone["asked"]["key"] == keys[0]
    assert undone["note"] == "odd"
    assert len(session.answers) == 0


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"key": "x", "gold": 0},
        {"key": "KEY", "gold": 2},
        {"key": "KEY", "gold": -1},
        {"key": "KEY", "gold": [0]},
        {"key": "KEY", "gold": "ham"},
        {"key": "KEY", "gold": 0, "note": "n" * 2001},
        {"key": "KEY", "gold": 0, "other": 1},
    ],
)
def test_an_answer_of_another_form_is_refused(client, session, form):
    key = client.get("state").json()["asked"]["key"]
    form = {k: key if v == "KEY" else v for k, v in form.items()}
    assert client.post("answer", json=form).status_code == 422
    assert len(session.answers) == 0


def test_an_answer_that_is_not_saved_says_so(client, session, monkeypatch):
    key = client.get("state").json()["asked"]["key"]
    session.answers.path.write_bytes(b"changed")
    refused = client.post("answer", json={"key": key, "gold": 0})
    assert refused.status_code == 422
    assert "not saved" in refused.json()["detail"]

    def full(answer):
        raise OSError("No space left on device")

    monkeypatch.setattr(session.answers, "append", full)
    refused = client.post("answer", json={"key": key, "gold": 0})
    assert refused.status_code == 507
    assert "space" in refused.json()["detail"]
    assert client.get("state").json()["asked"]["key"] == key


def test_nothing_is_answered_without_the_secret(client, session):
    key = client.get("state").json()["asked"]["key"]
    for path in ("/", "/state", "/page.js", "/other/state", "/secre/", "/docs"):
        assert client.get(f"http://127.0.0.1:1234{path}").status_code == 404
    for path in ("/openapi.json", "/secret/openapi.json", "/secret/docs"):
        assert client.get(f"http://127.0.0.1:1234{path}").status_code == 404
    refused = client.post("http://127.0.0.1:1234/answer", json={"key": key, "gold": 0})
    assert refused.status_code == 404
    assert len(session.answers) == 0


def test_a_form_of_another_site_is_refused(client, session):
    """Browsers send such a body across sites without asking first."""
    key = client.get("state").json()["asked"]["key"]
    body = json.dumps({"key": key, "gold": 0})
    refused = client.post(
        "answer", content=body, headers={"content-type": "text/plain"}
    )
    assert refused.status_code == 422
    assert len(session.answers) == 0


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:80", True),
        ("127.0.0.1", True),
        ("[::1]:8000", True),
        ("localhost:8000", True),
        ("192.168.0.7:8000", True),
        ("evil.example:8000", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:1", False),
        ("", False),
    ],
)
def test_a_name_that_is_made_to_point_here_is_refused(client, host, known):
    assert is_number_or_local(host) == known
    answer = client.get("state", headers={"host": host})
    assert answer.status_code == (200 if known else 403)


def test_browsers_are_told_to_run_nothing_else(client):
    for path in ("", "page.js", "page.css", "state", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    page = client.get("")
    assert page.headers["content-type"].startswith("text/html")
    assert client.get("page.js").headers["content-type"].startswith("text/javascript")
    for text in (page.text, client.get("page.js").text, client.get("page.css").text):
        assert "//" not in text.replace("// ", "")  # no address elsewhere
        assert "innerHTML" not in text


def test_results_are_those_of_the_session(client, session):
    for _ in range(15):
        key = client.get("state").json()["asked"]["key"]
        client.post("answer", json={"key": key, "gold": 0})
    found, results = client.get("results").json(), session.results()
    assert found["accuracy"][STUDENT]["n_right"] == results.accuracy[STUDENT].n_right
    assert found["accuracy"][STUDENT]["n_texts"] == 10
    assert found["accuracy"][STUDENT]["low"] == results.accuracy[STUDENT].interval[0]
    assert found["confusion"][TEACHER] == results.confusion[TEACHER].tolist()
    assert sum(found["confusion"][STUDENT][0]) == 15
    assert found["by_class"][1][STUDENT]["share"] is None
    assert found["comparison"] == str(results.comparison)
    assert found["command"] == "skllkd fit --gold review.csv"


def test_a_text_is_tried_without_giving_the_sample_away(client, session):
    key = client.get("state").json()["asked"]["key"]
    client.post("answer", json={"key": key, "gold": 0})
    answered = session.pool.texts[session.last_row]
    found = client.post("try", json={"text": answered}).json()
    assert found["proba"][0] == {"name": "spam", "p": 0.7}
    assert found["threshold"] == 0.65
    nearest = found["nearest"][0]
    assert nearest["text"] == answered
    assert nearest["likeness"] == pytest.approx(1)
    assert nearest["gold"] == "ham"
    assert nearest["said"]
    waiting = session.pool.texts[session.row]
    hidden = client.post("try", json={"text": waiting}).json()["nearest"][0]
    assert hidden["text"] == waiting
    assert hidden["said"] == {}
    assert client.post("try", json={"text": ""}).status_code == 422
    assert client.post("try", json={"text": "?"}).status_code == 200  # no word known
