"""Chunks of texts scored in threads, in order of length, and by joblib's workers."""

import random
import threading
import time
from collections import Counter

import joblib
import numpy as np
import pytest
from skllkd.exceptions import BudgetReachedWarning, MissingLabelWarning
from skllkd.teachers import LabelStore, MeteredTeacher, Scores

AB = ["a", "b"]
TEXTS = [f"{'ab'[i % 2]} text {i}" for i in range(60)]
SHARED = {"chunks": [], "under way": Counter(), "most": 0}
LOCK = threading.Lock()
FAILED = threading.Event()


class ThreadedTeacher(MeteredTeacher):
    """A teacher that records how it is asked."""

    def __init__(
        self,
        n_threads=3,
        chunk=1,
        window=1,
        fails=None,
        meeting=None,
        max_calls=None,
        max_cost=None,
        price_per_million=None,
        calibration=None,
        store=None,
    ):
        self.n_threads = n_threads
        self.chunk = chunk
        self.window = window
        self.fails = fails
        self.meeting = meeting
        self.max_calls = max_calls
        self.max_cost = max_cost
        self.price_per_million = price_per_million
        self.calibration = calibration
        self.store = store

    _n_concurrent = property(lambda self: self.n_threads)
    _chunk_size = property(lambda self: self.chunk)
    _sort_window = property(lambda self: self.window)

    def fingerprint(self, classes):
        return {"teacher": "threaded"}

    def score_batch(self, texts, classes):
        with LOCK:
            SHARED["chunks"].append(texts)
            SHARED["under way"]["now"] += 1
            SHARED["most"] = max(SHARED["most"], SHARED["under way"]["now"])
        if self.meeting is not None and texts[0] in TEXTS[1:4]:
            self.meeting.wait(60)  # for those that should be under way
        time.sleep(random.Random(texts[0]).random() / 200 + FAILED.is_set() / 20)
        with LOCK:
            SHARED["under way"]["now"] -= 1
        if self.fails in texts:
            FAILED.set()
            raise KeyError(self.fails)
        proba = [[0.9, 0.1] if text[0] == "a" else [0.2, 0.8] for text in texts]
        return Scores(np.log(proba), n_tokens=np.tile([10, 0], (len(texts), 1)))


@pytest.fixture(autouse=True)
def nothing_asked():
    SHARED.update({"chunks": [], "under way": Counter(), "most": 0})
    FAILED.clear()


def test_no_more_than_n_concurrent_are_under_way_and_answers_find_their_texts():
    labels = ThreadedTeacher(meeting=threading.Barrier(3)).label(TEXTS, AB)
    assert labels.proba.argmax(axis=1).tolist() == [i % 2 for i in range(60)]
    assert SHARED["most"] == 3 and len(SHARED["chunks"]) == 60
    assert labels.usage[:2] == (60, 600)
    assert ThreadedTeacher().label(TEXTS, AB).n_asked == 0


def test_an_error_in_a_thread_is_raised_ends_the_asking_and_keeps_the_rest():
    with pytest.raises(KeyError, match="text 20"):
        ThreadedTeacher(fails=TEXTS[20]).label(TEXTS, AB)
    assert len(SHARED["chunks"]) < len(TEXTS)  # the others take long from then on
    with LabelStore() as store:
        assert len(store) == len(SHARED["chunks"]) - 1


@pytest.mark.parametrize("n_threads", [1, 4])
def test_budgets_hold_in_threads(n_threads):
    with pytest.warns(BudgetReachedWarning), pytest.warns(MissingLabelWarning):
        labels = ThreadedTeacher(n_threads, 4, max_calls=13).label(TEXTS, AB)
    assert (~labels.missing).sum() == 13 == labels.usage.n_calls
    dear = ThreadedTeacher(n_threads, max_cost=3e-4, price_per_million=(1, 1))
    with pytest.warns(BudgetReachedWarning), pytest.warns(MissingLabelWarning):
        labels = dear.label(TEXTS, AB)
    assert 30 <= (~labels.missing).sum() < 30 + n_threads  # those under way


def test_texts_are_put_in_order_of_length_within_a_window():
    texts = ["a" * n for n in np.random.RandomState(0).permutation(np.arange(1, 41))]
    labels = ThreadedTeacher(1, chunk=5, window=20).label(texts, AB)
    assert not labels.missing.any()
    lengths = [[len(text) for text in chunk] for chunk in SHARED["chunks"]]
    assert [len(chunk) for chunk in lengths] == [5] * 8
    assert np.ravel(lengths[:4]).tolist() == sorted(map(len, texts[:20]))


def test_threads_work_within_joblibs_workers():
    teacher = ThreadedTeacher(store=False)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        labels = teacher.label(TEXTS, AB)
    assert not labels.missing.any() and labels.usage.n_calls == 60
