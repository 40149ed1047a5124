"""The page of `skllkd review` in Chromium: by keyboard alone, after kills, on a phone.

A test of what a process does runs the command; the others have the page in this process,
which knows the libraries already.
"""

import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from skllkd import LLKDClassifier, Multilabel
from skllkd.students import FrozenEncoderStudent
from skllkd.teachers import PrecomputedTeacher

from tests.conftest import TOPICS

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import uvicorn
from skllkd.serving.review.answers import AnswerFile
from skllkd.serving.review.app import Reviewed, make_review_app
from skllkd.serving.review.pool import load_reviewed, read_pool
from skllkd.serving.review.session import ReviewSession

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(os.name != "posix", reason="signals"),
]
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}
OF_TWO_DIRECTIONS = " <i>ספורט</i>"
HOSTILE = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"


def write_reviewed(folder, texts, gold, tiny_path):
    """Save a classifier, and the table of its texts, some of them hostile."""
    texts = [f"{text} {HOSTILE} {'long' * 60}" + "\n" * 40 + "end" for text in texts]
    LLKDClassifier(
        PrecomputedTeacher(texts, gold),
        sorted(set(gold)),
        refine=None,
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        random_state=0,
        verbose=0,
    ).fit(texts).save(folder / "model")
    with (folder / "texts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    return folder


@pytest.fixture(scope="module")
def reviewed(news, tiny_path, tmp_path_factory):
    texts, gold = (part[:60] for part in news)
    folder = tmp_path_factory.mktemp("reviewed")
    return write_reviewed(folder, texts, gold, tiny_path)


@contextmanager
def review(folder, *options):
    """Run the command, and yield its process and the address it prints."""
    command = [sys.executable, "-m", "skllkd", "review", "model", "texts.csv"]
    command += ["--no-browser", "--random", "10", *options]
    process = subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        said = process.stdout.readline()
        assert "http" in said, process.stderr.read()
        yield process, re.search(r"http\S+", said)[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@contextmanager
def page_of(folder, answers="model-review.csv"):
    """Serve the page of a review in a thread, and yield its address."""
    with (folder / "texts.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    classifier, threshold = load_reviewed(folder / "model")
    pool = read_pool(classifier, texts)
    reviewed = Reviewed("model", classifier, threshold, "skllkd fit")
    with (
        AnswerFile(folder / answers, pool.classes, multilabel=pool.multilabel) as file,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        app = make_review_app(ReviewSession(pool, file, 10), reviewed, "secret")
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret/"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(20_000)
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.said.append(request.url))
    yield page
    page.close()


@contextmanager
def answered(page):
    """Wait until the page says that it has taken in the step made within."""
    before = page.text_content("#status")
    yield
    page.wait_for_function(
        "before => document.getElementById('status').textContent !== before",
        arg=before,
    )


def press(page, *keys):
    """Press keys, each once the page has taken the one before in."""
    for key in keys:
        with answered(page):
            page.keyboard.press(key)


def answers_in(folder):
    with (folder / "model-review.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["gold"], row["note"]) for row in csv.DictReader(file)]


def shown(page):
    page.wait_for_selector("#classes button:enabled")
    return page.text_content("#text")


def test_labels_by_keyboard_alone_survive_reload_and_kill(reviewed, page):
    with review(reviewed) as (process, url):
        page.goto(url)
        asked = [shown(page)]
        for keys in ("1", "u", "n", "5"):
            if keys == "n":
                page.keyboard.press("n")
                page.keyboard.type("3 of them, unsure")
                page.keyboard.press("Enter")
                continue
            press(page, keys)
            asked.append(shown(page))
        press(page, "s", "2")
        asked.append(shown(page))
        press(page, "z")  # 2 is taken back,
        press(page, "z")  # and the text that was skipped comes again
        assert shown(page) == asked[3]
        press(page, "3", "4")
        page.reload()
        next_text = shown(page)
        assert "5 of 10" in page.text_content("#count")
        golds = ["business", "", "tech", "politics", "sports"]
        assert [gold for _, gold, _ in answers_in(reviewed)] == golds
        assert [text for text, *_ in answers_in(reviewed)][:4] == asked[:4]
        assert answers_in(reviewed)[2][2] == "3 of them, unsure"
        assert page.is_hidden("#problem")
        process.kill()
        process.wait()
        page.keyboard.press("1")
        page.wait_for_selector("#problem:visible")
        assert "start" in page.text_content("#problem")
    with review(reviewed) as (_, url):
        page.goto(url)
        assert shown(page) == next_text
        assert len(answers_in(reviewed)) == 5
        page.goto(f"{url}#results")
        page.wait_for_selector("#results-content table")
        assert "4 answers, 1 unsure" in page.text_content("#results-content")
        assert "--gold model-review.csv" in page.text_content("#results-content pre")


def test_hostile_texts_on_a_phone_are_shown_and_not_run(reviewed, page):
    page.set_viewport_size({"width": 390, "height": 844})
    with page_of(reviewed, "hostile.csv") as url:
        page.goto(url)
        assert HOSTILE in shown(page)
        before = page.evaluate("document.getElementById('text').scrollTop")
        page.keyboard.press("PageDown")
        page.wait_for_function("document.getElementById('text').scrollTop > 0")
        assert before == 0
        with answered(page):
            page.click("#classes button >> nth=1")
        assert page.is_visible("#last-answer")
        widths = [page.evaluate("document.documentElement.scrollWidth")]
        page.goto(f"{url}#results")
        page.wait_for_selector("#results-content table")
        widths.append(page.evaluate("document.documentElement.scrollWidth"))
        page.goto(f"{url}#try")
        page.fill("#try-text", HOSTILE)
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#try-result blockquote")
        assert HOSTILE in page.text_content("#try-result")
        widths.append(page.evaluate("document.documentElement.scrollWidth"))
        assert widths == [390] * 3  # nothing scrolls sideways
        assert page.evaluate("window.ran") is None
        assert page.query_selector("main img, main script") is None
        assert all(said.startswith(url) for said in page.said), page.said


def test_many_classes_are_filtered_as_one_types(
    news, tiny_path, tmp_path, browser, page
):
    texts, gold = (part[:60] for part in news)
    gold = [f"{name} {row % 4}{OF_TWO_DIRECTIONS}" for row, name in enumerate(gold)]
    write_reviewed(tmp_path, texts, gold, tiny_path)
    with page_of(tmp_path) as url:
        page.goto(url)
        shown(page)
        page.keyboard.type("rts 1")  # the filter has the focus
        assert page.locator("#classes button").count() == 1
        press(page, "Enter")
        page.keyboard.type("tech ")
        press(page, "Alt+u")
        page.keyboard.type("pol")
        press(page, "2")  # the second that is shown
        page.keyboard.press("Escape")
        press(page, "z", "Alt+s")
        page.goto(f"{url}#results")
        page.wait_for_selector("#results-content table")
        assert page.text_content("#model") == "model"
        assert page.query_selector("main i") is None  # a class is shown and not run
        phone = browser.new_page(**PHONE)
        phone.goto(url)
        shown(phone)  # and no field has the focus, which would open the keyboard
        assert phone.evaluate("document.activeElement.tagName") == "BODY"
        with answered(phone):  # its last answer is that of the other page until then
            phone.tap("#classes button >> nth=3")
        name = phone.text_content("#last-said bdi >> nth=0")
        phone.close()
    found = [gold for _, gold, _ in answers_in(tmp_path)]
    assert found == [f"sports 1{OF_TWO_DIRECTIONS}", "", name]
    assert name in gold
    assert set(TOPICS) > {"politics", "sports", "tech"}


def test_tags_are_toggled_by_keys_and_answered_with_enter(tiny_path, tmp_path, page):
    words = ["goal", "bank", "court"]
    texts = [f"{a} {b} story {i}" for i in range(8) for a in words for b in words]
    LLKDClassifier(
        lambda texts: [[0.9 if w in t else 0.1 for w in words] for t in texts],
        Multilabel({"goal": "sports", "bank": "money", "court": ""}),
        student=FrozenEncoderStudent(tiny_path, device="cpu"),
        n_epochs=1,
        random_state=0,
        verbose=0,
    ).fit(texts).save(tmp_path / "model")
    with (tmp_path / "texts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    with page_of(tmp_path) as url:
        page.goto(url)
        asked = [shown(page)]

        def pressed():
            on = page.locator("#classes button[aria-pressed=true] > span")
            return [text.split()[0] for text in on.all_inner_texts()]

        press(page, "2", "1", "3", "2")  # chosen, and taken back; nothing is saved
        assert pressed() == ["bank", "goal"]
        assert page.text_content("#text") == asked[0]
        assert page.text_content("#save-label") == "Answer: bank, goal"
        press(page, "Enter")
        asked.append(shown(page))
        assert pressed() == []
        assert "bank, goal" in page.text_content("#last-said")
        press(page, "Enter")  # none of them
        shown(page)
        press(page, "u")
        shown(page)
        with answered(page):
            page.click("#classes button >> nth=0")
        with answered(page):
            page.click("#save")
        assert page.text_content("#count").startswith("4 of")
        golds = ['["bank", "goal"]', "[]", "", '["bank"]']
        assert [gold for _, gold, _ in answers_in(tmp_path)] == golds
        assert [text for text, *_ in answers_in(tmp_path)][:2] == asked
        press(page, "z", "1", "Enter")
        shown(page)
        page.goto(f"{url}#results")
        page.wait_for_selector("#results-content table")
        content = page.text_content("#results-content")
        assert "micro-F1" in content
        assert "Confusion" not in content
        page.goto(f"{url}#try")
        page.fill("#try-text", "goal bank")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#try-result blockquote")
        assert page.is_hidden("#problem")
        assert all(said.startswith(url) for said in page.said), page.said
