"""The same seed gives the same weights, whatever runs beside or before."""

import hashlib
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from skllkd import LLKDClassifier
from skllkd.exceptions import DivergedError
from skllkd.students import FrozenEncoderStudent, SklearnStudent, TransformerStudent

TEXTS = [f"{a} number {i}" for i in range(24) for a in ("card refund", "server down")]
LABELS = ["billing", "outage"] * 24


CLASSIFIERS = {
    "sklearn": lambda path: SklearnStudent(),
    "frozen": lambda path: FrozenEncoderStudent(path, head="hidden"),
    "transformer": lambda path: TransformerStudent(
        path, n_threads=1, linear_probe_epochs=1
    ),
}


def new_classifier(kind, path):
    return LLKDClassifier(student=CLASSIFIERS[kind](path), n_epochs=3, random_state=0)


@pytest.fixture(scope="module", params=CLASSIFIERS)
def classifier(request, tiny_path):
    return new_classifier(request.param, tiny_path)


def weights(classifier):
    """Fit, and digest all that was learned."""
    fitted = clone(classifier).fit(TEXTS, LABELS)
    student = fitted.student_
    learned = getattr(student, "weights_", None)
    if learned is None:
        learned = {"coef": student.classifier_.coef_}
    digest = hashlib.sha256()
    for name, array in sorted(learned.items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def test_in_any_order_and_after_a_fit_that_failed(classifier):
    alone = weights(classifier)
    weights(clone(classifier).set_params(random_state=1))
    torch.manual_seed(7)
    np.random.seed(7)
    assert weights(classifier) == alone
    if not isinstance(classifier.student, SklearnStudent):
        diverging = clone(classifier).set_params(student__learning_rate=1e30)
        with pytest.raises(DivergedError):
            diverging.fit(TEXTS, LABELS)
    else:
        with pytest.raises(ValueError):
            clone(classifier).fit(TEXTS, LABELS[:-1])
    assert weights(classifier) == alone


@pytest.mark.usefixtures("new_workers")
@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_in_threads_and_processes(classifier, backend):
    if backend == "loky" and not isinstance(classifier.student, FrozenEncoderStudent):
        pytest.skip("starting its workers takes seconds: once is enough")
    alone = weights(classifier)
    n_jobs = 3 if backend == "threading" else 2
    with parallel_config(backend, n_jobs=n_jobs):
        many = Parallel()(delayed(weights)(classifier) for _ in range(2 * n_jobs))
    assert {*many} == {alone}


def test_global_generators_are_left_alone(classifier):
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), pickle.dumps(np.random.get_state())
    weights(classifier)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert pickle.dumps(np.random.get_state()) == before[1]


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork"
)
def test_a_fork_after_a_prediction_predicts_and_fits(tiny_path):
    """In a program of its own: the process of the tests holds threads of many libraries."""
    program = f"from {__name__} import forks_after_predictions as run; run("
    subprocess.run(
        [sys.executable, "-c", f"{program}{str(tiny_path)!r})"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TOKENIZERS_PARALLELISM": "false"},
        timeout=240,
        check=True,
    )


def forks_after_predictions(path):
    """Try each kind, the one that starts no threads of its own first."""
    torch.set_num_threads(2)
    for kind in CLASSIFIERS:
        fork_after_a_prediction(new_classifier(kind, path))


def fork_after_a_prediction(classifier):
    """Predict and fit in a child, which lacks the threads torch computed with."""
    fitted = clone(classifier)
    if isinstance(fitted.student, TransformerStudent):
        fitted.set_params(student__n_threads=2)
    right = fitted.fit(TEXTS, LABELS).predict_proba(TEXTS)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply_async(fitted.predict_proba, (TEXTS,)).get(timeout=120)
        learned = pool.apply_async(weights, (classifier,)).get(timeout=120)
    np.testing.assert_allclose(found, right, atol=1e-5)
    assert learned
