"""A client of HTTP with a transport that needs no socket."""

import pytest

from tests.faulty_server import stub
from tests.teachers.openai_api.common import KEY, Recorder, httpx


@pytest.fixture
def served(monkeypatch):
    """Return a function that has the client's requests answered by a function."""
    client = httpx.Client

    def serve(answer=stub):
        recorder = Recorder(answer)

        def opened(**parameters):
            return client(transport=httpx.MockTransport(recorder), **parameters)

        monkeypatch.setattr(httpx, "Client", opened)
        return recorder

    monkeypatch.setattr("skllkd.teachers.openai_api.rate_limit.FIRST_WAIT_S", 0.001)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return serve
