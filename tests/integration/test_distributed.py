"""Two real processes that train one student."""

import json
import os
import runpy
import shutil
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest
from skllkd.students._torch.distributed import ProcessGroup

from tests.conftest import TOPICS

SCRIPT = """
import sys
import joblib
import torch
from skllkd import LLKDClassifier
from skllkd.students import TransformerStudent

def learn(folder):
    job = joblib.load(f"{folder}/job.joblib")
    student = TransformerStudent(job["model"], **job["parameters"])
    classifier = LLKDClassifier(
        classes=job["classes"], refine=None, student=student, random_state=0, verbose=0,
        n_epochs=2,
    ).fit(job["texts"], teacher_proba=job["proba"])
    return classifier.student_.weights_, classifier.history_["n_selected"]

if __name__ == "__main__":
    learned = learn(sys.argv[1])
    joblib.dump(learned, f"{sys.argv[1]}/{torch.distributed.get_rank()}.joblib")
"""


@pytest.fixture(scope="module")
def job(news, minilm_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    model = folder / "model"
    shutil.copytree(minilm_path, model)
    config = json.loads((model / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (model / "config.json").write_text(json.dumps(config))
    rng = np.random.RandomState(0)
    proba = rng.dirichlet(np.full(len(TOPICS), 0.3), 49)
    content = {
        "model": str(model),
        # Without dropout, whose draws differ between processes, they can be compared.
        "parameters": {"dropout": 0.0, "precision": "float32", "device": "cpu"},
        "classes": TOPICS,
        "texts": [text[:200] for text in news[0][:49]],  # an odd number
        "proba": proba,
    }
    joblib.dump(content, folder / "job.joblib")
    (folder / "script.py").write_text(SCRIPT)
    return folder


@pytest.fixture(scope="module")
def learned(job):
    """Return the weights of each of two processes, and how many texts it selected."""
    # What `accelerate launch` runs for GPUs; for CPUs it wants MPI.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", str(job / "script.py"), str(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return [joblib.load(job / f"{rank}.joblib") for rank in (0, 1)]


def test_two_processes_learn_the_same(learned):
    first, second = learned
    for name, array in first[0].items():
        np.testing.assert_array_equal(array, second[0][name], err_msg=name)
    np.testing.assert_array_equal(first[1], second[1])
    assert first[1].sum() > 32


def test_two_processes_learn_what_one_does(job, learned):
    weights, selected = runpy.run_path(str(job / "script.py"))["learn"](job)
    shared_weights, shared_selected = learned[0]
    np.testing.assert_array_equal(shared_selected, selected)
    for name, array in weights.items():
        np.testing.assert_allclose(shared_weights[name], array, atol=2e-4, err_msg=name)


def test_only_several_processes_need_accelerate(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert ProcessGroup().size == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ImportError, match="distributed"):
        ProcessGroup()


def threads_of_a_worker(folder, i):
    import torch

    (folder / str(i)).touch()
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2:  # so that no worker takes both
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return os.getpid(), torch.get_num_threads()


@pytest.mark.usefixtures("new_workers")
def test_joblib_s_workers_share_the_cores(tmp_path):
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    found = joblib.Parallel(n_jobs=2)(
        joblib.delayed(threads_of_a_worker)(meeting, i) for i in range(2)
    )
    assert len({process for process, _ in found}) == 2
    assert sum(n for _, n in found) <= max(2, joblib.cpu_count())
