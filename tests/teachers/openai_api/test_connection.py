"""Answers that do not end, and proxies of the environment."""

import json
import time

import pytest
from skllkd.exceptions import (
    InvalidParameterError,
    MissingDependencyError,
    MissingLabelWarning,
)

from tests.faulty_server import stub, text_of
from tests.teachers.openai_api.common import CLASSES, TEXTS, httpx, teacher


class Pieces(httpx.SyncByteStream):
    """A body that comes in pieces."""

    def __init__(self, pieces, wait_s=0.0):
        self.pieces, self.wait_s = pieces, wait_s

    def __iter__(self):
        for piece in self.pieces:
            time.sleep(self.wait_s)
            yield piece


def drip(body):
    data = json.dumps(stub(body)).encode()
    pieces = (data[i : i + 1] for i in range(len(data)))
    return httpx.Response(200, stream=Pieces(pieces, 0.1))


def endless(status):
    def answer(body):
        return httpx.Response(status, stream=Pieces(iter(lambda: b" " * 2**20, b"")))

    return answer


def late_headers(body):
    time.sleep(60)
    return stub(body)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (drip, "no answer in time"),
        (late_headers, "no answer in time"),
        (endless(200), "larger than any answer"),
        (endless(500), "larger than any answer"),
        (lambda _: httpx.Response(200, text="[" * 100_000), "no JSON"),
        (lambda _: httpx.Response(200, text='{"choices": ' + "9" * 5000), "no JSON"),
        (lambda _: httpx.Response(400, text="\xff<html>"), "<html>"),
    ],
)
def test_an_answer_without_end_is_given_up_and_the_rest_is_labelled(
    served, answer, reason
):
    served(lambda body: answer(body) if text_of(body) == TEXTS[0] else stub(body))
    start = time.monotonic()
    with pytest.warns(MissingLabelWarning, match=reason):
        labels = teacher(timeout_s=1.0, max_retries=0).label(TEXTS, CLASSES)
    assert time.monotonic() - start < 30  # it would take 50 to come
    assert labels.missing.tolist() == [True] + [False] * 11


def test_an_answer_that_did_not_come_counts_as_a_call(served):
    late = httpx.ReadTimeout("late")
    served(lambda body: late if "beta" in text_of(body) else stub(body))
    with pytest.warns(MissingLabelWarning):
        labels = teacher(max_retries=1).label(TEXTS[:2], CLASSES)
    assert labels.usage.n_calls == 1 + 2
    assert labels.usage.input_tokens > 2.5 * 50  # the server may have read the text


@pytest.mark.parametrize(
    ("proxy", "error"),
    [
        ("socks5://127.0.0.1:9", MissingDependencyError),
        ("ftp://x", InvalidParameterError),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch, proxy, error):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(error, match="ALL_PROXY"):
        teacher().label(TEXTS, CLASSES)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_server_on_this_machine_needs_no_proxy(served, monkeypatch, host):
    recorder = served()
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    asked = teacher(base_url=f"http://{host}:8080/v1", store=False)
    assert not asked.label(TEXTS, CLASSES).missing.any()
    assert len(recorder.bodies) == 12
