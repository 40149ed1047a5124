"""The walk-through of the guide, done by a program that knows the topics of the stories.

    python -m benchmarks.walk_through folder

Runs the demonstration in a folder, reviews its classifier in Chromium with the known topics
as the answers, fits again, reviews new stories for a promise, serves, and sends the other
1,000 stories. Writes the figures and the pictures of docs/walk-through.md to the folder.
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
from skllkd import CascadeClassifier, LLKDClassifier, datasets

from benchmarks.cells import about, benchmark_parser, write_figures

N_POOL, N_HELD_OUT, N_SENT = 800, 400, 1000
N_REVIEWED, N_PROMISE, TARGET = 50, 150, 0.9
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SKLLKD = [sys.executable, "-m", "skllkd"]


def parts() -> tuple[dict[str, str], list[str], list[str]]:
    """Return the topic of each story, those held out by the demonstration, and the rest."""
    texts, topics = datasets.load_bbc_news()
    order = np.random.RandomState(0).permutation(
        len(texts)
    )  # as the demonstration does
    held_out = [texts[row] for row in order[:N_HELD_OUT]]
    rest = [texts[row] for row in order[N_HELD_OUT + N_POOL :]]
    return dict(zip(texts, topics, strict=True)), held_out, rest


@contextmanager
def process(folder: Path, *arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a command of skllkd, and end it with Ctrl+C."""
    command = [*SKLLKD, *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE
    ) as run:
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


def write_table(path: Path, texts: list[str]) -> None:
    """Write a table of texts."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])


def answers_in(path: Path) -> list[tuple[str, str]]:
    """Return the texts and gold labels of a file of answers."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["gold"]) for row in csv.DictReader(file)]


def promise(folder: Path, answers: list[tuple[str, str]]) -> CascadeClassifier:
    """Save a cascade whose promise of accuracy rests on the second review."""
    clf = LLKDClassifier.load(folder / "reviewed")
    cascade = CascadeClassifier(
        clf, teacher=False, target=TARGET, metric="accuracy", held_out="prefit"
    )
    cascade.fit(*zip(*answers, strict=True)).save(folder / "cascade")
    return cascade


def serve(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Serve the cascade, send all texts, and return the answers and the metrics."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with process(folder, "serve", "cascade", "--port", port):
        for _ in range(600):
            try:
                health = json.load(urllib.request.urlopen(f"{url}/health"))
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
    return {
        "health": health,
        "predictions": answered,
        "metrics": lines,
        "seconds": seconds,
    }


def share_right(clf: Any, texts: list[str], topic_of: dict[str, str]) -> float:
    """Return the true accuracy of a classifier."""
    predicted = clf.predict(texts).tolist()
    return float(
        np.mean([topic_of[t] == p for t, p in zip(texts, predicted, strict=True)])
    )


def walk(root: Path) -> dict[str, Any]:
    """Go the whole way, and return the figures; steps that are done are not repeated."""
    topic_of, held_out, rest = parts()
    folder = root / "skllkd-demo"
    if not folder.exists():
        options = ["--pool", str(N_POOL), "--held-out", str(N_HELD_OUT)]
        subprocess.run([*SKLLKD, "demo", *options], cwd=root, check=True)
    write_table(folder / "new-stories.csv", held_out)
    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page()
        first = review(page, folder, "model", "stories.csv", N_REVIEWED, topic_of)
        fit_again(folder)
        second = review(
            page, folder, "reviewed", "new-stories.csv", N_PROMISE, topic_of
        )
    answers = answers_in(folder / "reviewed-review.csv")
    cascade = promise(folder, answers)
    reviewed = {text for text, _ in answers}
    sent = [text for text in held_out + rest if text not in reviewed][:N_SENT]
    served = serve(folder, sent)
    both = zip(sent, served.pop("predictions"), strict=True)
    own = [(text, answer) for text, answer in both if answer["source"] == "student"]
    return {
        "first_review": first,
        "second_review": second,
        "promise": str(cascade.report()).partition("\nOf ")[0],
        "served": served,
        "n_sent": len(sent),
        "n_answered": len(own),
        "n_answered_right": sum(topic_of[text] == a["label"] for text, a in own),
        "accuracy_on_sent": {
            name: share_right(LLKDClassifier.load(folder / name), sent, topic_of)
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
