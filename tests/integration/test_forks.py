"""Forks after a local model has answered; of students in test_same_weights."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skllkd.teachers import LlamaCppTeacher

TEXTS = ["my card was charged twice", "the server is down"]
CLASSES = ["billing", "outage"]

pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork"
)


def test_a_fork_after_llama_cpp_has_answered(short_path):
    """In a program of its own: the process of the tests holds threads of many libraries."""
    pytest.importorskip("llama_cpp")
    program = f"from {__name__} import fork_after_labels as run; run("
    subprocess.run(
        [sys.executable, "-c", f"{program}{str(short_path)!r})"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        timeout=120,
        check=True,
    )


def labels_of(teacher):
    return teacher.label(TEXTS, CLASSES).log_prob


def fork_after_labels(path):
    """Label in children that have the model open, and in the parent after them."""
    teacher = LlamaCppTeacher(path, n_threads=2, calibration=None, store=False)
    right = labels_of(teacher)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        answers = [pool.apply_async(labels_of, (teacher,)) for _ in range(2)]
        found = [answer.get(timeout=60) for answer in answers]
    for labels in (*found, labels_of(teacher)):
        np.testing.assert_allclose(labels, right, atol=0.5)  # weights of four bits
        assert (labels.argmax(axis=1) == right.argmax(axis=1)).all()
