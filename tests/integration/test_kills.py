"""Processes killed at random moments: no answer is asked for twice, no model is half.

SKLLKD_KILLS sets the number of moments for each kind of work.
"""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest
from skllkd import LLKDClassifier
from skllkd.students import FrozenEncoderStudent, SklearnStudent
from skllkd.teachers import CallableTeacher, LabelStore

N_KILLS = int(os.environ.get("SKLLKD_KILLS", "3"))
CHUNK = CallableTeacher(len)._chunk_size  # texts asked about at once
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
TEXTS = [f"{a} {i}" for i in range(400) for a in ("card refund", "server down")]
NAMES = ["billing", "outage"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no signals")


class Ask:
    """A teacher that notes each text on the disk before it answers, slowly."""

    def __init__(self, path):
        self.path = path

    def __call__(self, texts):
        with open(self.path, "ab", buffering=0) as file:
            file.write("".join(f"{text}\n" for text in texts).encode())
        time.sleep(0.002)
        return [NAMES["server" in text] for text in texts]


def teacher(folder):
    return CallableTeacher(
        Ask(folder / "asked"), cache_key="words", store=folder / "store.sqlite"
    )


def label(folder):
    teacher(folder).label(TEXTS, NAMES)


def fit(folder):
    classifier = LLKDClassifier(
        teacher(folder), NAMES, student=SklearnStudent(), random_state=0, verbose=0
    )
    classifier.fit(TEXTS)


def merge(folder):
    for _ in range(100):
        with LabelStore(folder / "merged.sqlite") as store:
            store.merge(folder / "whole.sqlite")
            store.prune(older_than_days=0)


def export(folder):
    with LabelStore(folder / "whole.sqlite") as store:
        for _ in range(200):
            store.export(folder / "export.jsonl")


def save(folder):
    first = LLKDClassifier.load(folder / "first")
    second = LLKDClassifier.load(folder / "second")
    for _ in range(200):
        second.save(folder / "model")
        first.save(folder / "model")


def killed(work, folder, rng, at_most_s):
    """Run some work in a process, and kill it at a random moment."""
    process = PROCESSES.Process(target=work, args=(folder,))
    process.start()
    process.join(0.05 + rng.random() * at_most_s)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()


@pytest.mark.parametrize("work", [label, fit])
def test_only_the_chunk_in_flight_is_asked_about_again(work, tmp_path):
    rng = random.Random(0)
    for i in range(N_KILLS):
        killed(work, tmp_path, rng, 0.3)
        with LabelStore(tmp_path / "store.sqlite") as store:
            store.check()
            n_stored = len(store)
        asked = tmp_path / "asked"
        lines = asked.read_text().splitlines() if asked.exists() else []
        assert len({*lines}) - n_stored <= CHUNK, i
        assert sum(n - 1 for n in Counter(lines).values()) <= CHUNK * (i + 1)
        if n_stored == len(TEXTS):
            (tmp_path / "store.sqlite").unlink()
            asked.unlink()
    label(tmp_path)
    with LabelStore(tmp_path / "store.sqlite") as store:
        assert len(store) == len(TEXTS)


@pytest.mark.parametrize("work", [merge, export])
def test_a_merge_and_an_export_are_whole_or_not_there(work, tmp_path):
    source = CallableTeacher(Ask(tmp_path / "asked"), cache_key="words")
    source.set_params(store=tmp_path / "whole.sqlite").label(TEXTS, NAMES)
    rng = random.Random(1)
    for _ in range(N_KILLS):
        killed(work, tmp_path, rng, 1.0)
        if work is merge:
            with LabelStore(tmp_path / "merged.sqlite") as store:
                store.check()
                assert len(store) in (0, len(TEXTS))
        elif (tmp_path / "export.jsonl").exists():
            n_lines = len((tmp_path / "export.jsonl").read_text().splitlines())
            assert n_lines == 1 + len(TEXTS)


def test_a_killed_save_leaves_a_whole_model(tmp_path, tiny_path):
    labels = [NAMES["server" in text] for text in TEXTS[:40]]
    for name, head in (("first", "linear"), ("second", "hidden")):
        student = FrozenEncoderStudent(tiny_path, head=head, device="cpu")
        fitted = LLKDClassifier(student=student, n_epochs=1, verbose=0)
        fitted.fit(TEXTS[:40], labels).save(tmp_path / name)
    LLKDClassifier.load(tmp_path / "first").save(tmp_path / "model")
    rng, heads = random.Random(2), set()
    for _ in range(N_KILLS):
        killed(save, tmp_path, rng, 4.0)
        loaded = LLKDClassifier.load(tmp_path / "model")
        heads.add(loaded.student.head)
    assert heads <= {"linear", "hidden"}


def test_an_interrupted_program_waits_for_no_thread():
    code = textwrap.dedent("""
        import os, signal, threading, time
        import numpy as np
        from skllkd.teachers import MeteredTeacher, Scores
        signal.signal(signal.SIGINT, signal.default_int_handler)

        class SlowTeacher(MeteredTeacher):
            calibration = None
            store = False
            _n_concurrent, _chunk_size = 4, 1

            def fingerprint(self, classes):
                return None

            def score_batch(self, texts, classes):
                if texts == ["slow"]:
                    os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01 if len(texts[0]) < 2 else 600)
                return Scores(np.zeros((len(texts), 2)))

        SlowTeacher().label([str(i) for i in range(40, -1, -1)][35:] + ["slow"] * 1
                            + [f"slow {i}" for i in range(9)], ["a", "b"])
    """)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "KeyboardInterrupt" in done.stderr
