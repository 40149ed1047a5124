"""A server of a classifier, whose teacher fails in many ways, and all that it writes."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from skllkd import CascadeClassifier, LLKDClassifier
from skllkd.exceptions import GuaranteeWarning
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import PrecomputedTeacher

from tests.conftest import TOPICS
from tests.faulty_server import FaultyServer, completion, text_of, top_logprobs

for package in ("fastapi", "uvicorn", "prometheus_client", "httpx2"):
    pytest.importorskip(package)
pytestmark = pytest.mark.enable_socket

KEY = "sk-proj-" + "Zq7xW9vK2mB4nL6pR8tY0uJ3hG5fD1sAeQcXzVwT" * 3
TOKEN = "a-token-of-the-users-own-0123456789"
MARKED = "Jane Roe of 12 Elm Street wants her refund"
SAID = f"You wrote: {MARKED}. The key is {KEY}. And: {KEY[:60]}"


def error(status, code=None):
    return status, {"error": {"message": SAID, "code": code}}


ANSWERS = {
    "well": (200, completion("A", top_logprobs({"A": 0.9, "B": 0.1}))),
    "outside": (200, completion(SAID, top_logprobs({"You": 0.9}))),
    "declined": (200, completion(None, None, refusal=SAID)),
    "list": (200, [SAID]),
    "error": error(200),
    "filter": error(400, "content_filter"),
    "object": error(400, {"of": SAID}),
    "page": (502, {"page": f"<html>{SAID}"}),
    "money": error(429, "insufficient_quota"),
    "access": error(401),
}
PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
from skllkd.teachers.openai_api import rate_limit
rate_limit.FIRST_WAIT_S = 0.001
from skllkd.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


class Quoting(FaultyServer):
    """A teacher's server that repeats text and key, in the way that a text names."""

    def complete(self, body):
        return ANSWERS[text_of(body).split()[-1]]


@pytest.fixture(scope="module")
def cascade_path(news, tiny_path, tmp_path_factory):
    """Return a saved cascade that asks its teacher about every text."""
    texts, gold = news
    classifier = LLKDClassifier(
        PrecomputedTeacher(texts, gold),
        TOPICS,
        refine=None,
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        random_state=0,
        verbose=0,
    ).fit(texts[:100])
    cascade = CascadeClassifier(classifier, metric="accuracy", held_out="prefit")
    with pytest.warns(GuaranteeWarning):
        cascade.fit(texts[100:120], gold[100:120])
    folder = tmp_path_factory.mktemp("served") / "model"
    cascade.save(folder)
    return folder


def ask(port, path, body=None, token=TOKEN):
    """Return all of an answer, its head included."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        None if body is None else body.encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as failed:
        return f"{failed.code} {failed.headers}{failed.read().decode()}"


def test_no_key_and_no_text_is_in_the_log_or_the_answers_of_a_server(
    cascade_path, tmp_path
):
    """At DEBUG, of every library, after each failure of the teacher."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cache = tmp_path / "served"
    environment = os.environ | {
        "OPENAI_API_KEY": KEY,
        "SKLLKD_TOKEN": TOKEN,
        "SKLLKD_CACHE": str(cache),
    }
    with Quoting() as teacher, open(tmp_path / "log", "w+b") as log:
        command = ["serve", str(cascade_path), "--port", str(port), "--access-log"]
        command += ["--teacher", "stub", "--base-url", teacher.url]
        command += ["--api-key-env", "OPENAI_API_KEY"]
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *command],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            for _ in range(1500):  # 2.5 minutes, on a busy machine
                assert process.poll() is None, (tmp_path / "log").read_text()
                try:
                    ask(port, "/health")
                    break
                except OSError:
                    time.sleep(0.1)
            said = [
                ask(port, "/predict", json.dumps({"texts": f"{MARKED} {name}"}))
                for name in ANSWERS
            ]
            said += [
                ask(port, "/predict", json.dumps({"texts": MARKED}), "wrong " + KEY),
                ask(port, "/predict", json.dumps({"text": MARKED})),
                ask(port, "/predict", json.dumps([MARKED])),
                ask(port, "/predict", json.dumps({"texts": MARKED})[:-2]),
                ask(port, "/metrics"),
            ]
        finally:
            process.terminate()
            process.wait(30)
        assert {*(text.split()[-1] for text, _ in teacher.log)} == {*ANSWERS}
    assert said[0].count('"source":"teacher"') == 1
    assert all('"source":"abstained"' in answer for answer in said[1 : len(ANSWERS)])
    kept = [path.read_bytes().decode("latin-1") for path in cache.rglob("*.sqlite*")]
    content = [*said, (tmp_path / "log").read_text(), *kept]
    assert "DEBUG" in content[len(said)] and "POST /predict" in content[len(said)]
    assert kept
    for each in content:
        assert not [
            KEY[i : i + 8] for i in range(len(KEY) - 7) if KEY[i : i + 8] in each
        ]
        assert "Jane Roe" not in each and "Elm Street" not in each and TOKEN not in each
