"""Load on `skllkd serve` and on a bare FastAPI loop around `transformers.pipeline`.

    python -m benchmarks.serving train folder
    python -m benchmarks.serving speed folder --server onnx-int8
    python -m benchmarks.serving speed folder --server pipeline
    python -m benchmarks.serving answers folder

`train` fits a MiniLM student on news stories and saves it as a folder and as ONNX files.
`speed` drives a server with wrk (which must be installed) on the loopback, a story cut to
400 characters in each request. `answers` keeps 200 connections busy for a minute and
compares every answer with the student's own; meanwhile the server reads its model anew
(SIGHUP) and another client with 50 connections is killed half-way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
from skllkd import LLKDClassifier, ONNXClassifier, datasets
from skllkd.students import TransformerStudent

from benchmarks.cells import Cells, about, benchmark_parser

N_LEARNED, N_SENT, MAX_CHARACTERS = 300, 500, 400
SERVERS = ("onnx-int8", "onnx", "folder", "pipeline")
PIPELINE = """
import sys
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline
import uvicorn

app, classify = FastAPI(), pipeline("text-classification", sys.argv[1], device="cpu")

class Query(BaseModel):
    texts: str

@app.get("/health")
def health():
    return {}

@app.post("/predict")
def predict(query: Query):
    return classify(query.texts)

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
"""
POST = """
local texts = {{ {texts} }}
local n = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  n = n % #texts + 1
  return wrk.format(nil, "/predict", nil, texts[n])
end
"""


def stories() -> tuple[list[str], list[str]]:
    """Return shuffled stories, cut, with their topics."""
    texts, topics = datasets.load_bbc_news()
    order = np.random.RandomState(0).permutation(len(texts))
    return [texts[i][:MAX_CHARACTERS] for i in order], [topics[i] for i in order]


def train(folder: Path) -> None:
    """Fit the student and save it in each form."""
    texts, topics = stories()
    student = TransformerStudent(datasets.minilm_path(), device="cpu")
    clf = LLKDClassifier(student=student, random_state=0, n_epochs=2)
    clf.fit(texts[:N_LEARNED], topics[:N_LEARNED]).save(folder / "folder")
    baseline(folder / "pipeline")
    some = texts[N_LEARNED : N_LEARNED + 100]
    clf.export_onnx(folder / "onnx.onnx", some)
    clf.export_onnx(
        folder / "onnx-int8.onnx", some, quantize="int8", max_disagreement=0.05
    )


def baseline(folder: Path) -> None:
    """Save the same encoder with an untrained head as transformers does: as much work."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    path = datasets.minilm_path()
    model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=5)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(path).save_pretrained(folder)


@contextmanager
def served(folder: Path, server: str):
    """Serve a model, and yield the process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    if server == "pipeline":
        command = ["-c", PIPELINE, str(folder / "pipeline"), port]
    else:
        path = folder / ("folder" if server == "folder" else f"{server}.onnx")
        command = ["-m", "skllkd", "serve", str(path), "--port", port]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, *command], **quiet)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield process, address
    finally:
        process.terminate()
        process.wait(60)


def wrk(folder: Path, address: str, n_connections: int, seconds: int) -> list[str]:
    """Return the command that drives a server with stories."""
    texts = stories()[0][N_LEARNED : N_LEARNED + N_SENT]
    bodies = ", ".join(f"[==[{json.dumps({'texts': text})}]==]" for text in texts)
    script = folder / "post.lua"
    script.write_text(POST.format(texts=bodies), encoding="utf-8")
    options = [
        f"-c{n_connections}",
        "-t1",
        f"-d{seconds}s",
        "--latency",
        "--timeout",
        "60",
    ]
    return [str(shutil.which("wrk")), *options, "-s", str(script), address]


def speed(folder: Path, server: str, n_connections: int, seconds: int) -> dict:
    """Return requests a second, latency and errors of a server under load."""
    with served(folder, server) as (_, address):
        subprocess.run(wrk(folder, address, 4, 2), capture_output=True)  # warm
        command = wrk(folder, address, n_connections, seconds)
        out = subprocess.run(command, capture_output=True, text=True).stdout
    at = {p: milliseconds(re.search(rf"{p}%\s+(\S+)", out)[1]) for p in (50, 99)}
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {
        "requests_per_s": float(re.search(r"Requests/sec:\s+(\S+)", out)[1]),
        "median_ms": at[50],
        "p99_ms": at[99],
        "failed": int(failed[1]) if failed else 0,
    }


def milliseconds(written: str) -> float:
    """Return a duration of wrk's in milliseconds."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", written).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def answers(folder: Path, server: str, n_connections: int, seconds: int) -> dict:
    """Return the number of right, wrong and lost answers, with a reload meanwhile."""
    texts = stories()[0][N_LEARNED : N_LEARNED + N_SENT]
    expected = ONNXClassifier(folder / f"{server}.onnx").predict(texts).tolist()
    counts = {"right": 0, "wrong": 0, "lost": 0, "busy": 0}

    async def client(session: httpx2.AsyncClient, url: str, end: float, at: int):
        while time.monotonic() < end:
            at = (at + 1) % len(texts)
            try:
                answer = await session.post(url, json={"texts": texts[at]})
            except httpx2.HTTPError:
                counts["lost"] += 1
                continue
            if answer.status_code == 503:
                counts["busy"] += 1
                await asyncio.sleep(1)
                continue
            label = answer.json()["predictions"][0]["label"]
            counts["right" if label == expected[at] else "wrong"] += 1

    async def run(process: subprocess.Popen, address: str):
        end = time.monotonic() + seconds
        limits = httpx2.Limits(max_connections=n_connections)
        async with httpx2.AsyncClient(limits=limits, timeout=60) as session:
            clients = [
                asyncio.create_task(client(session, f"{address}/predict", end, 7 * i))
                for i in range(n_connections)
            ]
            await asyncio.sleep(seconds / 4)
            other = subprocess.Popen(
                wrk(folder, address, 50, seconds), stdout=subprocess.DEVNULL
            )
            process.send_signal(signal.SIGHUP)
            await asyncio.sleep(seconds / 4)
            other.kill()
            other.wait()
            await asyncio.gather(*clients)

    with served(folder, server) as (process, address):
        asyncio.run(run(process, address))
        is_alive = process.poll() is None
    return counts | {"alive": is_alive}


def main() -> None:
    """Run one of the steps."""
    parser: argparse.ArgumentParser = benchmark_parser(__doc__, "serving")
    parser.add_argument("step", choices=["train", "speed", "answers"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--server", choices=SERVERS, default="onnx-int8")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    if options.step == "train":
        options.folder.mkdir(parents=True, exist_ok=True)
        train(options.folder)
        return
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    head = about("serving", "fastapi", "uvicorn", "onnxruntime", n_threads=threads)
    measure = {"speed": speed, "answers": answers}[options.step]
    given = (options.folder, options.server, options.connections, options.seconds)
    key = f"{options.step}/{options.server}/{options.connections}/{options.seconds}"
    with Cells(options.output, head) as cells:
        cells.run(key, measure, *given)


if __name__ == "__main__":
    main()
