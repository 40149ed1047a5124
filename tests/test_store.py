import multiprocessing
import os
import signal
import sqlite3
import time

import numpy as np
import pytest
from skllkd.exceptions import StoreError
from skllkd.teachers import CallableTeacher, LabelStore
from skllkd.teachers._base import specification_key


def put(store, texts, value=0.5, spec="spec"):
    rows = np.log(np.tile([value, 1 - value], (len(texts), 1)))
    store.put(spec, texts, rows, np.full(len(texts), 0.9))


def test_answers_come_back_exactly_and_only_for_their_specification(own_store):
    with LabelStore() as store:
        assert store.path == own_store
        put(store, ["x", "y"], 1 / 3)
        assert len(store) == 2
    with LabelStore() as store:
        found = store.get("spec", ["y", "z"])
        assert list(found) == ["y"]
        np.testing.assert_array_equal(found["y"].log_prob, np.log([1 / 3, 1 - 1 / 3]))
        assert found["y"].label_mass == 0.9
        assert store.get("other", ["y"]) == {}


def test_unknown_mass_stays_unknown():
    with LabelStore() as store:
        store.put("spec", ["x"], np.zeros((1, 2)), np.array([np.nan]))
        assert np.isnan(store.get("spec", ["x"])["x"].label_mass)


def test_the_first_answer_is_canonical():
    with LabelStore() as store:
        put(store, ["x"], 0.2)
        put(store, ["x"], 0.7)
        np.testing.assert_allclose(
            np.exp(store.get("spec", ["x"])["x"].log_prob[0]), 0.2
        )


def test_more_texts_than_a_query_takes():
    texts = [f"text {i}" for i in range(1203)]
    with LabelStore() as store:
        put(store, texts)
        assert list(store.get("spec", texts)) and len(store.get("spec", texts)) == 1203


def test_no_text_is_stored(own_store):
    secret = "the quick brown fox signed the contract"
    CallableTeacher(lambda texts: ["a"] * len(texts), cache_key="k").label(
        [secret, "\ud800 lone surrogate"], ["a", "b"]
    )
    for path in own_store.parent.iterdir():
        assert b"brown fox" not in path.read_bytes()


def test_a_file_that_is_no_store_is_named_and_left_alone(own_store):
    own_store.parent.mkdir()
    own_store.write_bytes(b"this is no database, but someone's notes" * 100)
    with pytest.raises(StoreError, match=r"labels\.sqlite.*Move the file away"):
        LabelStore()
    assert own_store.read_bytes().startswith(b"this is no database")


def test_a_later_version_is_refused(own_store):
    LabelStore().close()
    connection = sqlite3.connect(own_store)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="later version.*99"):
        LabelStore()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="SKLLKD_CACHE"):
        LabelStore(tmp_path / "file" / "labels.sqlite")


def test_the_digest_of_a_file_follows_its_content(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"one")
    with LabelStore() as store:
        first = store.file_digest(path)
        assert store.file_digest(path) == first
        path.write_bytes(b"other")
        assert store.file_digest(path) != first


def test_the_specification_key_depends_on_content_not_order():
    assert specification_key({"a": 1, "b": 2}) == specification_key({"b": 2, "a": 1})
    assert specification_key({"a": 1}) != specification_key({"a": 2})


def test_a_database_of_something_else_is_left_alone(own_store):
    own_store.parent.mkdir()
    connection = sqlite3.connect(own_store)
    connection.execute("CREATE TABLE customers (name)")
    connection.commit()
    connection.close()
    before = own_store.read_bytes()
    with pytest.raises(StoreError, match="something else"):
        LabelStore()
    assert own_store.read_bytes() == before


def _open_at_once(folder, barrier):
    for i in range(20):
        barrier.wait(60)
        LabelStore(folder / f"{i}.sqlite").close()


def test_several_processes_open_a_new_file_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    openers = [
        context.Process(target=_open_at_once, args=(tmp_path, barrier))
        for _ in range(3)
    ]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(100)
    assert [opener.exitcode for opener in openers] == [0, 0, 0]


def _write_many(path, start):
    with LabelStore(path) as store:
        for i in range(start, start + 100):
            put(store, [f"text {i}"])


def test_several_processes_write_at_once(own_store):
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write_many, args=(own_store, 50 * n)) for n in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(100)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    with LabelStore(own_store) as store:
        assert len(store) == 200


def _write_forever(path):
    with LabelStore(path) as store:
        for i in range(10**9):
            put(store, [f"text {i}"])


def test_a_killed_process_leaves_what_it_stored(own_store):
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_write_forever, args=(own_store,))
    writer.start()
    deadline = time.monotonic() + 60
    n_stored = 0
    while n_stored < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
        if own_store.exists():
            with LabelStore(own_store) as store:
                n_stored = len(store)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(60)
    with LabelStore(own_store) as store:
        n_left = len(store)
        assert n_left >= n_stored >= 20
        assert len(store.get("spec", [f"text {i}" for i in range(n_left)])) == n_left
