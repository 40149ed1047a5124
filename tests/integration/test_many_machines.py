"""Recipes of the pages for other systems, run as they are printed there."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from skllkd import LLKDClassifier, ONNXClassifier
from skllkd.students import FrozenEncoderStudent

from tests.recipes import recipe

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.enable_socket, pytest.mark.filterwarnings("default")]
PAGE = "put-to-work.md"
#: Stands in a recipe for `ONNXClassifier(path`, and notes where it is opened.
COUNTED = """
import os
from skllkd import ONNXClassifier

class Counted(ONNXClassifier):
    def __init__(self, path, n_threads=None):
        super().__init__(path, n_threads=n_threads)
        with open({opened!r}, "a") as file:
            file.write(f"{{os.getpid()}}\\n")
"""


@pytest.fixture(scope="module")
def student(news, tiny_path, tmp_path_factory):
    """Return the reader of an exported student."""
    texts, gold = news
    path = tmp_path_factory.mktemp("exported") / "student.onnx"
    student = FrozenEncoderStudent(tiny_path, device="cpu")
    clf = LLKDClassifier(student=student, random_state=0, verbose=0).fit(texts, gold)
    clf.export_onnx(path, texts[:20])
    return ONNXClassifier(path, n_threads=1)


def test_dask(student, news):
    distributed = pytest.importorskip("distributed")
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=2, processes=True, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        code = recipe(
            PAGE, "client.scatter", **{"/shared/student.onnx": student.path, "4096": 50}
        )
        names = {"client": client, "texts": news[0]}
        exec(code, names)
        has_read = client.run(
            lambda key, dask_worker: "_model" in vars(dask_worker.data[key]),
            names["clf"].key,
        )
    assert names["predicted"].tolist() == student.predict(news[0]).tolist()
    assert len(has_read) == 2  # it is on both workers; one may do all the work
    assert any(has_read.values())


def test_ray_data(student, news, tmp_path):
    pytest.importorskip("ray.data")
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa
    import ray

    texts = tmp_path / "texts"
    texts.mkdir()
    for i in range(8):  # blocks for both actors
        table = pa.table({"text": news[0][i::8], "id": list(range(400))[i::8]})
        parquet.write_table(table, texts / f"{i}.parquet")
    opened = tmp_path / "opened"
    code = recipe(
        PAGE,
        "map_batches",
        **{
            "ONNXClassifier(": "Counted(",
            "/shared/student.onnx": student.path,
            '/shared/texts"': f'{texts}", override_num_blocks=4',
            "/shared/labels": tmp_path / "labels",
            "4096": 20,
            "concurrency=16": "concurrency=2",
        },
    )
    ray.init(num_cpus=3, include_dashboard=False)
    try:
        exec(COUNTED.format(opened=str(opened)) + code, {"__name__": "__main__"})
    finally:
        ray.shutdown()
    found = parquet.read_table(tmp_path / "labels").to_pydict()
    by_id = dict(zip(found["id"], found["label"], strict=True))
    expected = student.predict(news[0]).tolist()
    assert [by_id[i] for i in range(400)] == expected
    workers = opened.read_text().split()
    assert 1 <= len(workers) == len(set(workers)) <= 2


def test_mlflow_serves(student, news, tmp_path, monkeypatch):
    pytest.importorskip("mlflow.pyfunc")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.sqlite'}")
    exec(recipe(PAGE, "pyfunc", **{'"student.onnx"': repr(str(student.path))}), {})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = recipe(PAGE, "mlflow models serve", **{"5000": port})
    words = shlex.split(command)
    curl = words.index("curl")
    url, body = f"http://{words[curl + 1]}", json.loads(words[-1])
    rows = [{"text": text} for text in news[0][:50]]
    body["dataframe_records"] += rows
    with subprocess.Popen(
        [sys.executable, "-m", *words[:curl]],
        env=os.environ | {"PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"},
        start_new_session=True,
    ) as server:
        try:
            _wait_for(server, f"http://127.0.0.1:{port}/ping")
            request = urllib.request.Request(
                url.replace("localhost", "127.0.0.1"),
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = json.load(answer)["predictions"]
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
    texts = [row["text"] for row in body["dataframe_records"]]
    assert found == student.predict(texts).tolist()


def _wait_for(process, url):
    """Wait until a server answers."""
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server did not start")
