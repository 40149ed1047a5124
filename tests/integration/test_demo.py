"""`skllkd demo` as a user runs it, on fewer stories: killed, resumed, repeated."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
from skllkd import LLKDClassifier
from skllkd.teachers import LabelStore

N_POOL, N_HELD_OUT = 64, 10


def demo(folder):
    command = [sys.executable, "-m", "skllkd", "demo", "--output", str(folder / "out")]
    command += ["--pool", str(N_POOL), "--held-out", str(N_HELD_OUT)]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def n_stored(path):
    if not path.exists():
        return 0
    with LabelStore(path) as store:
        return len(store)


def test_the_demo_is_killed_resumed_and_repeated(
    tmp_path, own_store, monkeypatch, capsys
):
    process = demo(tmp_path)
    deadline = time.monotonic() + 120
    while n_stored(own_store) < 30 and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    n_bought = n_stored(own_store)
    assert 30 <= n_bought < N_POOL

    resumed = demo(tmp_path)
    out, error = resumed.communicate(timeout=400)
    assert resumed.returncode == 0, error
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["teacher_calls"] == N_POOL + N_HELD_OUT - n_bought
    assert figures["teacher_calls_saved"] == n_bought
    assert n_stored(own_store) == N_POOL + N_HELD_OUT
    assert "teacher accuracy, calibrated" in out and "Verdict: " in out
    assert re.findall(r"^(\d)\. ", error, flags=re.MULTILINE) == list("1234")
    assert (tmp_path / "out" / "selection.png").stat().st_size > 10_000

    repeated = demo(tmp_path)
    out, error = repeated.communicate(timeout=400)
    assert repeated.returncode == 0, error
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
