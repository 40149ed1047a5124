"""`skllkd serve` as a process: many clients, a reload, a client that goes, and the end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from skllkd import CascadeClassifier, LLKDClassifier, ONNXClassifier
from skllkd.cli.main import main
from skllkd.exceptions import GuaranteeWarning
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import PrecomputedTeacher

from tests.conftest import TOPICS
from tests.recipes import recipe

for package in ("fastapi", "uvicorn", "prometheus_client", "onnx", "onnxruntime"):
    pytest.importorskip(package)
pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(os.name != "posix", reason="signals"),
]
RUN = "import sys\nfrom skllkd.cli.main import main\nsys.exit(main(sys.argv[1:]))"
IN_THE_IMAGE = """
import sys

class Others:
    @staticmethod
    def find_spec(name, *_):
        if name.partition(".")[0] in {others!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Others)
{run}
"""


def packages_of_the_image():
    """Return the packages that the Dockerfile of the page installs, with all they need."""
    (installed,) = re.findall(
        r"--no-cache-dir (?!--no-deps)((?:.*\\\n)*.*)", recipe("put-to-work.md", "FROM")
    )
    left, found = installed.replace("\\", " ").split(), {"skllkd"}
    while left:
        name = canonicalize_name(left.pop())
        if name not in found:
            found.add(name)
            needed = map(Requirement, requires(name) or ())
            left += [r.name for r in needed if not r.marker or r.marker.evaluate()]
    return found


@pytest.fixture(scope="module")
def in_the_image():
    """Return a program that serves, and finds no package that is not in the image."""
    packages = packages_of_the_image()
    others = {
        module
        for module, names in packages_distributions().items()
        if packages.isdisjoint(map(canonicalize_name, names))
    }
    assert {"torch", "transformers", "pandas"} <= others
    return IN_THE_IMAGE.format(others=others, run=RUN)


@pytest.fixture(scope="module")
def classifier(news, tiny_path):
    texts, gold = news
    return LLKDClassifier(
        PrecomputedTeacher(texts, gold),
        TOPICS,
        refine=None,
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        random_state=0,
        verbose=0,
    ).fit(texts)


@pytest.fixture(scope="module")
def onnx_path(classifier, news, tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "student.onnx"
    classifier.export_onnx(path, news[0][:20])
    return path


class Server:
    """A process that serves a model, stopped on leaving."""

    def __init__(self, *arguments, code=RUN):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-c", code, "serve", *map(str, arguments)]
        command += ["--port", str(self.port)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.log = []  # lines, as they come
        self._reading = threading.Thread(target=self._read_log)
        self._reading.start()

    def __enter__(self):
        for _ in range(1200):
            assert self.process.poll() is None, self.log
            try:
                self.get("/health")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
            else:
                return self
        self.process.kill()
        raise AssertionError("the server did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self._reading.join()
        self.process.stderr.close()

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def wait_until(self, condition):
        for _ in range(1200):
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(self.log)

    def has_said(self, words):
        return any(words in line for line in self.log)

    def get(self, path):
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read().decode()

    def predict(self, texts):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/predict",
            json.dumps({"texts": texts}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return [row["label"] for row in json.load(answer)["predictions"]]


def test_an_onnx_file_is_served_with_the_packages_of_the_image(
    onnx_path, news, in_the_image
):
    texts = news[0]
    expected = ONNXClassifier(onnx_path).predict(texts).tolist()
    chunks = [slice(i, i + 1 + i % 3) for i in range(0, 360, 3)]
    program = Server(onnx_path, code=in_the_image)
    with program as server, ThreadPoolExecutor(24) as clients:
        assert server.predict(texts[0]) == expected[:1]
        found = list(clients.map(lambda chunk: server.predict(texts[chunk]), chunks))
        assert found == [expected[chunk] for chunk in chunks]
        assert json.loads(server.get("/health"))["classes"] == TOPICS
        assert 'skllkd_requests_total{status="200"} 121.0' in server.get("/metrics")
        assert "/predict" in json.loads(server.get("/openapi.json"))["paths"]


def test_a_reload_and_a_client_that_goes_lose_no_answer(onnx_path, news, tmp_path):
    texts = news[0]
    expected = ONNXClassifier(onnx_path).predict(texts).tolist()
    served = tmp_path / "model.onnx"
    served.write_bytes(onnx_path.read_bytes())
    with Server(served) as server, ThreadPoolExecutor(8) as clients:
        futures = [clients.submit(server.predict, texts[i : i + 40]) for i in range(80)]
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            body = json.dumps({"texts": texts}).encode()
            head = (
                f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
            )
            gone.sendall(
                head.encode() + b"Content-Type: application/json\r\n\r\n" + body
            )
        server.process.send_signal(signal.SIGHUP)
        server.wait_until(lambda: server.has_said("the model was read anew"))
        served.write_bytes(b"no model")  # it is not read, and the first stays
        server.process.send_signal(signal.SIGHUP)
        server.wait_until(lambda: server.has_said("was not read anew"))
        for i, future in enumerate(futures):
            assert future.result() == expected[i : i + 40]
        assert server.predict(texts[:5]) == expected[:5]
    assert "".join(server.log).count("The student answers every text") == 2


def test_what_was_taken_in_is_answered_before_the_end(onnx_path, news):
    texts = news[0] * 2
    expected = ONNXClassifier(onnx_path).predict(texts).tolist()
    with Server(onnx_path) as server:
        answers = []
        clients = [
            threading.Thread(target=lambda: answers.append(server.predict(texts)))
            for _ in range(4)
        ]
        for client in clients:
            client.start()

        def all_are_taken_in():
            n_waiting = json.loads(server.get("/health"))["n_waiting"]
            return n_waiting + len(answers) * len(texts) == 4 * len(texts)

        server.wait_until(all_are_taken_in)
        server.process.terminate()
        for client in clients:
            client.join()
        assert server.process.wait(60) in (0, -signal.SIGTERM)
    assert answers == [expected] * 4


def test_a_saved_cascade_asks_the_teacher_named(classifier, news, tmp_path):
    texts, gold = news
    cascade = CascadeClassifier(classifier, metric="accuracy", held_out="prefit")
    with pytest.warns(GuaranteeWarning):  # it is too bad to answer alone
        cascade.fit([f"{text} again" for text in texts], gold)
    cascade.save(tmp_path / "model")
    answers = tmp_path / "answers.jsonl"
    rows = ({"text": t, "label": y} for t, y in zip(texts, gold, strict=True))
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--teacher", answers, "--teacher-price", "2"]
    with Server(tmp_path / "model", *options) as server:
        assert server.predict(texts[:50]) == gold[:50]
        assert 'skllkd_texts_total{source="teacher"} 50.0' in server.get("/metrics")
        assert json.loads(server.get("/health"))["threshold"] is None
    log = "".join(server.log)
    assert "Of 50 texts: student 0.0%, teacher 100.0%, abstained 0.0%" in log
    assert "A thousand texts: 2 with the student, 2 without" in log


@pytest.mark.parametrize("token", ["", "secret"])
def test_schemathesis_finds_nothing(token, onnx_path, monkeypatch, tmp_path):
    """It is not part of the development extra: `.ci/tools` installs it."""
    pytest.importorskip("schemathesis")
    monkeypatch.setenv("SKLLKD_TOKEN", token)
    config = tmp_path / "schemathesis.toml"  # a body may be too large: 413
    config.write_text('[checks.negative_data_rejection]\nexpected-statuses = ["4xx"]')
    command = [sys.executable, "-m", "schemathesis.cli", f"--config-file={config}"]
    command += ["run", "--max-examples=100", "--no-color", "--seed=0"]
    command += [f"--header=Authorization: Bearer {token}"]
    with Server(onnx_path) as server:
        url = f"http://127.0.0.1:{server.port}/openapi.json"
        done = subprocess.run(
            [*command, url], capture_output=True, text=True, cwd=tmp_path
        )
    said = [line[:300] for line in (done.stdout + done.stderr).splitlines()]
    assert done.returncode == 0, "\n".join(said)


def test_other_machines_need_a_token(onnx_path, monkeypatch, capsys):
    monkeypatch.delenv("SKLLKD_TOKEN", raising=False)
    assert main(["serve", str(onnx_path), "--host", "0.0.0.0"]) == 1
    assert "SKLLKD_TOKEN" in capsys.readouterr().err


def test_a_port_that_is_none_is_named(onnx_path, capsys):
    assert main(["serve", str(onnx_path), "--port", "99999"]) == 1
    assert (
        "--port` must be an integer in [0, 65535]; got 99999" in capsys.readouterr().err
    )
