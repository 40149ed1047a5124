"""Importing the package loads little beside scikit-learn, and nothing heavy."""

import json
import subprocess
import sys

import pytest
import skllkd

HEAVY = ["torch", "transformers", "sentence_transformers", "llama_cpp", "httpx2"]
HEAVY += ["matplotlib", "pandas", "onnxruntime"]
# Packages of others that may be loaded beside what `import sklearn` loads, the standard
# library's included: each costs time at every start.
LIGHT = {"skllkd", "sklearn", "sqlite3", "_sqlite3", "filelock", "typing_extensions"}
LOADED_ALREADY = {"numpy", "concurrent", "email", "quopri"}  # by some versions

STAGES = """
import json, sys, sklearn

loaded = [set(sys.modules)]
from skllkd import *
loaded.append(set(sys.modules))
import skllkd
skllkd.teachers.CallableTeacher, skllkd.metrics, skllkd.selection  # not imported by name
import skllkd.students, skllkd.datasets
loaded.append(set(sys.modules))
from skllkd import LLKDClassifier
from skllkd.students import SklearnStudent

LLKDClassifier(lambda ts: [t[0] for t in ts], ["a", "b"], student=SklearnStudent()).fit(
    ["a word", "b word"] * 3
).predict(["a word"])
loaded.append(set(sys.modules))
print(json.dumps([sorted(names - loaded[0]) for names in loaded]))
"""


def last_line(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def loaded():
    """Return the modules loaded after each stage, without those of scikit-learn."""
    return json.loads(last_line(STAGES))


def test_importing_the_package_loads_nothing_heavy(loaded):
    assert not set(HEAVY) & set(loaded[2])


def test_importing_the_package_loads_little_beside_scikit_learn(loaded):
    packages = [name.split(".")[0] for name in loaded[1]]
    packages = [name for name in packages if name not in LOADED_ALREADY]
    assert set(packages) <= LIGHT
    assert len(packages) <= 160


def test_fitting_a_scikit_learn_student_loads_no_torch(loaded):
    assert "torch" not in loaded[3]


def test_names_that_are_loaded_when_they_are_used_are_listed():
    assert set(skllkd.__all__) <= set(dir(skllkd))
    assert not hasattr(skllkd, "nothing")
