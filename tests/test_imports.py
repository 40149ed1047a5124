"""Importing the package loads little beside scikit-learn, and nothing heavy."""

import json
import subprocess
import sys

import pytest

HEAVY = ["torch", "transformers", "sentence_transformers", "llama_cpp", "openai"]
HEAVY += ["matplotlib", "pandas", "onnxruntime"]
# Modules of others that may be loaded beside those of scikit-learn, the standard library's
# included. Each costs time at every start; sqlite3 is the label store's.
FOREIGN = {"_sqlite3", "sqlite3", "sqlite3.dbapi2", "typing_extensions"}

STAGES = """
import json, sys, sklearn

loaded = [set(sys.modules)]
import skllkd
loaded.append(set(sys.modules))
import skllkd.teachers, skllkd.selection, skllkd.students, skllkd.datasets
loaded.append(set(sys.modules))
from skllkd import LLKDClassifier
from skllkd.students import SklearnStudent

LLKDClassifier(lambda ts: [t[0] for t in ts], ["a", "b"], student=SklearnStudent()).fit(
    ["a word", "b word"] * 3
).predict(["a word"])
loaded.append(set(sys.modules))
print(json.dumps([sorted(names - loaded[0]) for names in loaded]))
"""


@pytest.fixture(scope="module")
def loaded():
    """Return the modules loaded after each stage, without those of scikit-learn."""
    done = subprocess.run(
        [sys.executable, "-c", STAGES], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_package_loads_nothing_heavy(loaded):
    assert not set(HEAVY) & set(loaded[2])


def test_importing_the_package_loads_little_beside_scikit_learn(loaded):
    foreign = {name for name in loaded[1] if name.split(".")[0] != "skllkd"}
    assert foreign <= FOREIGN
    assert len(loaded[1]) <= 150


def test_fitting_a_scikit_learn_student_loads_no_torch(loaded):
    assert "torch" not in loaded[3]
