"""`skllkd demo` as a user runs it, on fewer stories: killed, resumed, repeated."""

import json
import re
import signal
import subprocess
import sys

import numpy as np
from skllkd import LLKDClassifier
from skllkd.cli.main import main
from skllkd.teachers import LabelStore

N_POOL, N_HELD_OUT = 40, 10
KILLED = """
import os, signal, sys
from skllkd.cli.main import main
from skllkd.teachers import LabelStore, TransformersTeacher

TransformersTeacher._chunk_size = 8  # of few stories it would make a single one
put = LabelStore.put
def put_and_die(self, *rest):
    put(self, *rest)
    os.kill(os.getpid(), signal.SIGKILL)
LabelStore.put = put_and_die
main(sys.argv[1:])
"""


def arguments(folder):
    sizes = ["--pool", str(N_POOL), "--held-out", str(N_HELD_OUT)]
    return ["demo", "--output", str(folder / "out"), *sizes]


def demo(folder, *program):
    """Run a program with the demonstration's arguments, and return how it ended."""
    command = [sys.executable, *program, *arguments(folder)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=280
    )


def n_stored(path):
    with LabelStore(path) as store:
        return len(store)


def test_the_demo_is_killed_resumed_and_repeated(
    tmp_path, own_store, monkeypatch, capsys
):
    killed = demo(tmp_path, "-c", KILLED)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    n_bought = n_stored(own_store)
    assert 0 < n_bought < N_POOL

    resumed = demo(tmp_path, "-m", "skllkd")
    out, error = resumed.stdout, resumed.stderr
    assert resumed.returncode == 0, error
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["teacher_calls"] == N_POOL + N_HELD_OUT - n_bought
    assert figures["teacher_calls_saved"] == n_bought
    assert n_stored(own_store) == N_POOL + N_HELD_OUT
    assert "teacher accuracy, calibrated" in out and "Verdict: " in out
    assert re.findall(r"^(\d)\. ", error, flags=re.MULTILINE) == list("1234")
    assert (tmp_path / "out" / "selection.png").stat().st_size > 10_000

    assert main(arguments(tmp_path)) == 0  # in this process, which knows the libraries
    out = capsys.readouterr().out
    assert "0 teacher calls" in out
    again = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert again["teacher_calls"] == 0
    for name, value in figures.items():
        if "second" not in name and "calls" not in name:
            assert again[name] == value

    lines = [line.strip() for line in out.splitlines() if line.startswith("    ")]
    assert len(lines) == 3  # how to load the model
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines), {})
    assert capsys.readouterr().out.startswith("['")
    classifier = LLKDClassifier.load(tmp_path / "out" / "model")
    assert np.isfinite(classifier.predict_proba(["Striker signs."])).all()
