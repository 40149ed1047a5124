"""A search with a teacher that is asked, in every backend joblib has."""

import importlib.util
import os
from collections import Counter
from contextlib import contextmanager

import joblib
import pytest
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV
from skllkd import LLKDClassifier
from skllkd.students import SklearnStudent
from skllkd.teachers import CallableTeacher

TEXTS = [f"{a} number {i}" for i in range(40) for a in ("card refund", "server down")]


class Teach:
    """Label by a word, and note each text asked about in a file."""

    def __init__(self, path):
        self.path = path

    def __call__(self, texts):
        with open(self.path, "a", encoding="utf-8") as file:
            file.writelines(f"{text}\n" for text in texts)
        return [[0.9, 0.1] if "server" in text else [0.2, 0.8] for text in texts]


@contextmanager
def backend(name):
    """Let joblib use two workers of a backend."""
    if name == "dask":
        distributed = pytest.importorskip("distributed")
        cluster = distributed.Client(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        )
        with cluster, joblib.parallel_config("dask", wait_for_workers_timeout=60):
            yield
        return
    if name == "ray":
        ray = pytest.importorskip("ray")
        from ray.util.joblib import register_ray

        ray.init(num_cpus=2, include_dashboard=False)
        register_ray()
        try:
            with joblib.parallel_config("ray", n_jobs=2):
                yield
        finally:
            ray.shutdown()
        return
    with joblib.parallel_config(name, n_jobs=2):
        yield


def search(path, store):
    """Search over the number of epochs, and return the mean scores."""
    teacher = CallableTeacher(Teach(path), cache_key="words", store=store)
    classifier = LLKDClassifier(
        teacher,
        ["outage", "billing"],
        student=SklearnStudent(),
        random_state=0,
        verbose=0,
    )
    grid = GridSearchCV(classifier, {"n_epochs": [1, 2]}, cv=2).fit(TEXTS)
    return grid.cv_results_["mean_test_score"].tolist()


NAMES = ["threading", "loky", "multiprocessing", "dask"]
NAMES += ["ray"] if importlib.util.find_spec("ray") else []


@pytest.mark.enable_socket
@pytest.mark.filterwarnings("default")  # of the clusters, as they start and stop
@pytest.mark.parametrize("name", NAMES)
def test_it_ends_asks_once_and_finds_the_same_scores(name, tmp_path):
    alone = search(tmp_path / "alone", tmp_path / "alone.sqlite")
    with backend(name):
        found = search(tmp_path / "asked", tmp_path / "store.sqlite")
        # spread over the workers, while this process holds the right to ask
        spread = CallableTeacher(
            Teach(tmp_path / "spread"), cache_key="other", store=tmp_path / "s.sqlite"
        ).label(TEXTS, ["outage", "billing"])
    assert found == alone
    answers = spread.proba.argmax(axis=1)
    assert answers.tolist() == [int("server" not in text) for text in TEXTS]
    for path in (tmp_path / "asked", tmp_path / "spread"):
        assert Counter(path.read_text().splitlines()) == dict.fromkeys(TEXTS, 1)
    assert spread.n_asked == len(TEXTS)


@pytest.mark.parametrize("name", ["threading", "loky"])
def test_searches_in_searches_end(name, tmp_path):
    """Each worker has a search of its own, and all have one store."""
    asked, store = tmp_path / "asked", tmp_path / "store.sqlite"
    with backend(name):
        found = Parallel()(delayed(search)(asked, store) for _ in range(3))
    assert found[0] == found[1] == found[2]
    assert Counter(asked.read_text().splitlines()) == dict.fromkeys(TEXTS, 1)
    assert os.listdir(tmp_path)
