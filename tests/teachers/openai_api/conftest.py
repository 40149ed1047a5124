"""The client of the openai package with a transport that needs no socket."""

import pytest

from tests.faulty_server import stub
from tests.teachers.openai_api.common import KEY, Recorder, httpx, openai


@pytest.fixture
def served(monkeypatch):
    """Return a function that has the client's requests answered by a function."""
    client = openai.OpenAI

    def serve(answer=stub):
        recorder = Recorder(answer)

        def opened(**parameters):
            transport = httpx.MockTransport(recorder)
            return client(http_client=httpx.Client(transport=transport), **parameters)

        monkeypatch.setattr(openai, "OpenAI", opened)
        return recorder

    monkeypatch.setattr("skllkd.teachers.openai_api.rate_limit.FIRST_WAIT_S", 0.001)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return serve
