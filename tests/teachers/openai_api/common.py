"""A transport that needs no socket, for the teacher behind the OpenAI API."""

import json
import threading
from collections import Counter

import pytest
from skllkd.teachers import OpenAITeacher

from tests.faulty_server import stub, text_of

httpx = pytest.importorskip("httpx2")

CLASSES = {"first": "about alpha", "second": "about beta", "third": ""}
TEXTS = [f"{word} {i}" for i in range(4) for word in ("alpha", "beta", "gamma")]
KEY = "sk-abcDEF0123456789secret"
MESSAGE = {"role": "user", "content": "Text: alpha 0\nClass?"}
LOCAL = "http://model.example/v1"


class Recorder:
    """Answers requests by a function of their body, and remembers them."""

    def __init__(self, answer=stub):
        self.answer, self.bodies, self.headers = answer, [], []
        self.listed, self.gets = {}, []  # what is said at a path, and which were read
        self.lock = threading.Lock()

    def __call__(self, request):
        if request.method == "GET":
            self.gets.append(request.url.path)
            found = self.listed.get(request.url.path, 404)
            if isinstance(found, Exception):
                raise found
            return (
                httpx.Response(404) if found == 404 else httpx.Response(200, json=found)
            )
        body = json.loads(request.content)
        with self.lock:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
        answer = self.answer(body)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, dict):
            return httpx.Response(200, json=answer)
        return answer

    @property
    def texts(self):
        return [text_of(body) for body in self.bodies]


def teacher(**parameters):
    """Return a teacher; `max_retries` is that of a subclass."""
    names = {"max_retries"} & parameters.keys()
    patience = {name: parameters.pop(name) for name in names}
    parameters = {"model": "stub", "base_url": LOCAL, "calibration": None} | parameters
    if patience:
        return type("OpenAITeacher", (OpenAITeacher,), patience)(**parameters)
    return OpenAITeacher(**parameters)


def error(status, message="no", code=None, headers=None, **also):
    body = {"error": {"message": message, "code": code, **also}}
    return httpx.Response(status, json=body, headers=headers)


def logprob_free(body):
    answer = stub(body)
    answer["choices"][0]["logprobs"] = None
    return answer


def flaky(answers, then=stub):
    """Return a function that gives each text these answers first."""
    seen = Counter()
    lock = threading.Lock()

    def answer(body):
        text = text_of(body)
        with lock:
            seen[text] += 1
            n = seen[text]
        return answers[n - 1]() if n <= len(answers) else then(body)

    return answer
