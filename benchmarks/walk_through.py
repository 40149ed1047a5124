"""The walk-through of the guide, done by a program that knows the topics of the stories.

    python -m benchmarks.walk_through folder

Runs the demonstration in a folder, reviews its classifier in Chromium with the known topics
as the answers, fits again, reviews new stories for a promise, makes a cascade, serves it,
and sends 1,000 other stories: once with nobody to ask, once with the language model. All by
the commands of docs/walk-through.md, whose figures and pictures it writes to the folder.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright
from skllkd import LLKDClassifier, datasets

from benchmarks.cells import about, benchmark_parser, write_figures

N_POOL, N_HELD_OUT, N_SENT = 800, 400, 1000
N_REVIEWED, N_PROMISE, TARGET, PRICE = 50, 150, 0.9, 0.8
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SKLLKD = [sys.executable, "-m", "skllkd"]


def texts_in(path: Path) -> list[str]:
    """Return the texts of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


@contextmanager
def process(folder: Path, *arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a command of skllkd, and end it with Ctrl+C; what it says goes to a file."""
    command = [*SKLLKD, *map(str, arguments)]
    pipes: dict[str, Any] = {"text": True, "stdout": subprocess.PIPE}
    with (
        (folder / f"{arguments[0]}.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stderr=log, **pipes) as run,
    ):
        try:
            yield run
        finally:
            run.send_signal(signal.SIGINT)


def review(
    page: Page, folder: Path, model: str, table: str, n: int, topic_of: dict[str, str]
) -> dict[str, Any]:
    """Answer n texts by keyboard, and return the results; take pictures in between."""
    with process(folder, "review", model, table, "--no-browser", "--random", n) as run:
        url = re.search(r"http\S+", run.stdout.readline())[0]
        page.set_viewport_size(WIDE)
        page.goto(url)
        start = time.perf_counter()
        progress = json.load(urllib.request.urlopen(f"{url}state"))["progress"]
        for i in range(progress["n_sample_asked"], n):
            page.wait_for_selector("#classes button:enabled")
            text, said = page.text_content("#text"), page.text_content("#status")
            names = page.locator("#classes button > span").all_text_contents()
            page.keyboard.press(str(names.index(topic_of[text]) + 1))
            page.wait_for_function(
                "said => document.getElementById('status').textContent !== said",
                arg=said,
            )
            if i == 29:
                pictures(page, folder, model)
        seconds = time.perf_counter() - start
        found = json.load(urllib.request.urlopen(f"{url}results"))
        del found["confused"]  # whole texts
        page.goto(f"{url}#results")
        page.wait_for_selector("#results-content table")
        page.screenshot(path=folder / f"{model}-results.png")
        return found | {"seconds": seconds}


def pictures(page: Page, folder: Path, model: str) -> None:
    """Take pictures of a wide and of a phone-sized window."""
    for name, size in (("phone", PHONE), ("wide", WIDE)):
        page.set_viewport_size(size)
        page.screenshot(path=folder / f"{model}-{name}.png")


def promise(folder: Path) -> list[str]:
    """Save a cascade whose promise of accuracy rests on the second review."""
    command = ["cascade", "reviewed", "reviewed-review.csv", "--gold-column", "gold"]
    command += ["--target", str(TARGET), "--teacher-price", str(PRICE), "-o", "cascade"]
    made = subprocess.run(
        [*SKLLKD, *command], cwd=folder, check=True, text=True, stdout=subprocess.PIPE
    )
    return made.stdout.splitlines()


def serve(folder: Path, texts: list[str], *options: str) -> dict[str, Any]:
    """Serve the cascade, send all texts, and return answers, metrics and the report."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = ["cascade", "--port", port, "--teacher-price", PRICE, *options]
    with process(folder, "serve", *command):
        for _ in range(600):
            try:
                json.load(urllib.request.urlopen(f"{url}/health"))
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        body = json.dumps({"texts": texts}).encode()
        request = urllib.request.Request(
            f"{url}/predict", body, {"Content-Type": "application/json"}
        )
        start = time.perf_counter()
        answered = json.load(urllib.request.urlopen(request))["predictions"]
        seconds = time.perf_counter() - start
        metrics = urllib.request.urlopen(f"{url}/metrics").read().decode()
    lines = [line for line in metrics.splitlines() if line.startswith("skllkd_texts")]
    said = (folder / "serve.log").read_text().splitlines()
    return {
        "predictions": answered,
        "metrics": lines,
        "seconds": seconds,
        "said": [line for line in said if not line.startswith("INFO")],
    }


def sent(
    folder: Path, texts: list[str], topic_of: dict[str, str], *options: str
) -> dict[str, Any]:
    """Serve and send; count who answered, and who was right."""
    served = serve(folder, texts, *options)
    counts: dict[str, dict[str, int]] = {}
    for text, answer in zip(texts, served.pop("predictions"), strict=True):
        of_source = counts.setdefault(answer["source"], {"n": 0, "n_right": 0})
        of_source["n"] += 1
        of_source["n_right"] += topic_of[text] == answer["label"]
    return served | {"answers": counts}


def share_right(clf: Any, texts: list[str], topic_of: dict[str, str]) -> float:
    """Return the true accuracy of a classifier."""
    predicted = clf.predict(texts).tolist()
    return float(
        np.mean([topic_of[t] == p for t, p in zip(texts, predicted, strict=True)])
    )


def walk(root: Path) -> dict[str, Any]:
    """Go the whole way, and return the figures; steps that are done are not repeated."""
    topic_of = dict(zip(*datasets.load_bbc_news(), strict=True))
    folder = root / "skllkd-demo"
    if not folder.exists():
        options = ["--pool", str(N_POOL), "--held-out", str(N_HELD_OUT)]
        subprocess.run([*SKLLKD, "demo", *options], cwd=root, check=True)
    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page()
        asked = (topic_of,)
        first = review(page, folder, "model", "stories.csv", N_REVIEWED, *asked)
        fit_again(folder)
        new = "new-stories.csv"
        second = review(page, folder, "reviewed", new, N_PROMISE, *asked)
    report = promise(folder)
    reviewed = set(texts_in(folder / "reviewed-review.csv"))
    others = [text for text in texts_in(folder / new) if text not in reviewed]
    texts = others[:N_SENT]
    return {
        "demo": json.loads((folder / "figures.json").read_text()),
        "first_review": first,
        "second_review": second,
        "promise": report,
        "n_sent": len(texts),
        "alone": sent(folder, texts, topic_of),
        "with_language_model": sent(
            folder, texts, topic_of, "--config", "language-model.toml"
        ),
        "accuracy_on_sent": {
            name: share_right(LLKDClassifier.load(folder / name), texts, topic_of)
            for name in ("model", "reviewed")
        },
    }


def fit_again(folder: Path) -> None:
    """Fit with the answers, and keep the report."""
    if (folder / "reviewed").exists():
        return
    fit = ["fit", "--gold", "model-review.csv", "--model", "reviewed"]
    with (folder / "report.txt").open("w") as report:
        subprocess.run([*SKLLKD, *fit], cwd=folder, check=True, stdout=report)


def main() -> None:
    """Go the whole way."""
    parser: argparse.ArgumentParser = benchmark_parser(__doc__, "walk_through")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    root = options.folder.resolve()
    root.mkdir(parents=True, exist_ok=True)
    head = about("walk_through folder", "playwright", "fastapi", "uvicorn")
    write_figures(options.output, head | walk(root))


if __name__ == "__main__":
    main()
