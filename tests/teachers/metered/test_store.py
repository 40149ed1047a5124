import multiprocessing
import os
import signal
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
from skllkd._core.classes import as_classes
from skllkd.exceptions import InvalidParameterError, SkllkdWarning, StoreError
from skllkd.teachers import CallableTeacher, LabelStore, Scores
from skllkd.teachers.labels import DECLINED, Usage
from skllkd.teachers.metered import cache as cache_module
from skllkd.teachers.metered.cache import StoreCache
from skllkd.teachers.metered.identity import Identity
from skllkd.teachers.metered.scores import unknown_scores
from skllkd.teachers.metered.store import fingerprint_key, text_key

# Forked from one process that has the imports behind it: a second each is saved.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def claim(store, key):
    """Hold the right to ask for the answers of a fingerprint."""
    classes = as_classes(["a", "b"])
    return StoreCache(store, Identity(key, classes, {}), classes).asking()


def put(store, texts, value=0.5, spec="spec"):
    rows = np.log(np.tile([value, 1 - value], (len(texts), 1)))
    store.put(spec, texts, Scores(rows, np.full(len(texts), 0.9)))


def test_answers_come_back_exactly_and_only_for_their_fingerprint(own_store):
    with LabelStore() as store:
        assert store.path == own_store
        put(store, ["x", "y"], 1 / 3)
        assert len(store) == 2
    with LabelStore() as store:
        found = store.get("spec", ["y", "z", "y"], 2)
        assert found.answered.tolist() == [True, False, True]
        np.testing.assert_array_equal(found.log_prob[0], np.log([1 / 3, 1 - 1 / 3]))
        assert found.label_mass[2] == 0.9 and not found.is_final.any()
        assert not store.get("other", ["y"], 2).answered.any()


def test_unknown_mass_stays_unknown():
    with LabelStore() as store:
        store.put("spec", ["x"], Scores(np.zeros((1, 2))))
        assert np.isnan(store.get("spec", ["x"], 2).label_mass[0])


def test_the_first_answer_is_canonical():
    with LabelStore() as store:
        put(store, ["x"], 0.2)
        put(store, ["x"], 0.7)
        found = store.get("spec", ["x"], 2)
        np.testing.assert_allclose(np.exp(found.log_prob[0, 0]), 0.2)


def test_more_texts_than_a_query_takes():
    texts = [f"text {i}" for i in range(1203)]
    with LabelStore() as store:
        put(store, texts)
        assert store.get("spec", texts, 2).answered.all()


@pytest.mark.filterwarnings("ignore:.*half a surrogate pair")
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
    with pytest.raises(
        StoreError, match=r"labels\.sqlite.*copy of before.*move the file"
    ):
        LabelStore()
    assert own_store.read_bytes().startswith(b"this is no database")


@pytest.mark.parametrize("version", [1, 99])
def test_another_version_is_refused(own_store, version):
    LabelStore().close()
    connection = sqlite3.connect(own_store)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=f"another version.*{version}") as refused:
        LabelStore()
    # While the error is at hand, nothing is closed by being forgotten.
    opened = {os.path.realpath(entry) for entry in Path("/proc/self/fd").glob("*")}
    assert str(own_store) not in opened, refused


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="SKLLKD_CACHE"):
        LabelStore(tmp_path / "file" / "labels.sqlite")


def test_commits_are_synced():
    """The next text is paid for when the last answers are safe from a power cut."""
    with LabelStore() as store:
        (level,) = store._connection.execute("PRAGMA synchronous").fetchone()
    assert level == 2  # FULL; in write-ahead mode NORMAL syncs at checkpoints only


def label_on_a_full_disk(path, texts, queue):
    """Label until 100 kB are written."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        CallableTeacher(paid, cache_key="k", store=path).label(texts, ["a", "b"])
    except StoreError as error:
        queue.put(str(error))


def paid(texts):
    return [[0.9, 0.1]] * len(texts)


@pytest.mark.skipif(os.name != "posix", reason="no limits of files")
def test_a_full_disk_costs_no_answer_and_no_advice_to_pay_again(tmp_path):
    path, texts = tmp_path / "store.sqlite", [f"text {i}" for i in range(1_200)]
    queue = PROCESSES.Queue()
    process = PROCESSES.Process(target=label_on_a_full_disk, args=(path, texts, queue))
    process.start()
    said = queue.get(timeout=60)
    process.join()
    assert "Free space" in said and "labelled again" not in said
    with LabelStore(path) as store:
        store.check()
        n_stored = len(store)
    assert n_stored > 50
    labels = CallableTeacher(paid, cache_key="k", store=path).label(texts, ["a", "b"])
    assert (labels.n_reused, labels.n_asked) == (n_stored, 1_200 - n_stored)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (sqlite3.SQLITE_FULL, "Free space"),
        (sqlite3.SQLITE_IOERR_WRITE, "Free space"),
        (sqlite3.SQLITE_BUSY, "Another program"),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, "Another program"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "writable"),
        (sqlite3.SQLITE_CANTOPEN, "writable"),
        (sqlite3.SQLITE_CORRUPT, "copy of before"),
        (sqlite3.SQLITE_NOTADB, "copy of before"),
    ],
)
def test_the_advice_is_that_for_the_kind_of_failure(code, advice):
    error = sqlite3.DatabaseError("as SQLite says it")
    error.sqlite_errorcode = code
    with LabelStore() as store:
        said = str(store._unusable(error))
    assert advice in said
    is_about_damage = advice == "copy of before"
    assert ("labelled again" in said) is is_about_damage


def test_the_fingerprint_key_depends_on_content_not_order():
    assert fingerprint_key({"a": 1, "b": 2}) == fingerprint_key({"b": 2, "a": 1})
    assert fingerprint_key({"a": 1}) != fingerprint_key({"a": 2})


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
    barrier = PROCESSES.Barrier(3)
    openers = [
        PROCESSES.Process(target=_open_at_once, args=(tmp_path, barrier))
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
    writers = [
        PROCESSES.Process(target=_write_many, args=(own_store, 50 * n))
        for n in range(3)
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
    writer = PROCESSES.Process(target=_write_forever, args=(own_store,))
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
        texts = [f"text {i}" for i in range(n_left)]
        assert store.get("spec", texts, 2).answered.all()


# --- Damage ---------------------------------------------------------------------------


def test_an_answer_that_was_changed_on_disk_is_found(own_store):
    with LabelStore() as store:
        put(store, ["a", "b"])
        store.check()
    with sqlite3.connect(own_store) as file:
        blob = np.log([0.9, 0.1]).astype("<f8").tobytes()
        file.execute(
            "UPDATE answers SET log_prob = ? WHERE text = ?", [blob, text_key("a")]
        )
    file.close()
    with LabelStore() as store:
        assert store.get("spec", ["b"], 2).answered.all()
        with pytest.raises(StoreError, match="damaged"):
            store.get("spec", ["a"], 2)
        with pytest.raises(StoreError, match="1 answers are damaged"):
            store.check()
        with pytest.raises(StoreError, match="damaged"):
            store.export(own_store.parent / "out.jsonl")
    assert not (own_store.parent / "out.jsonl").exists()


def test_a_page_that_was_overwritten_is_found(own_store):
    with LabelStore() as store:
        put(store, [f"text {i}" for i in range(5000)])
    data = bytearray(own_store.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = b"\xff" * 4096
    own_store.write_bytes(bytes(data))
    with LabelStore() as store, pytest.raises(StoreError, match="cannot be used"):
        store.check()


# --- Usage, unanswered texts ----------------------------------------------------------


def test_usage_adds_up_and_is_kept():
    with LabelStore() as store:
        nothing = unknown_scores(0, 2)
        store.put("spec", [], nothing, Usage(2, 100, 4, 0.5), {"model": "m"})
        store.put("spec", [], nothing, Usage(1, 10, 1, 0.25))
    with LabelStore() as store:
        assert store.usage("spec") == Usage(3, 110, 5, 0.75)
        assert store.usage("other") == Usage()
        assert store.contents()[0].description == {"model": "m"}


def unanswered(reason):
    """Return the row of a text that the model itself has no answer for."""
    return Scores(
        [[np.nan] * 2], error=np.array([reason], object), is_final=np.ones(1, bool)
    )


def test_unanswered_texts_are_kept_apart_from_answers_and_can_be_forgotten():
    with LabelStore() as store:
        put(store, ["a"])
        store.put("spec", ["b"], unanswered(f"{DECLINED}: 'no'"))
        store.put("spec", ["c"], Scores([[np.nan] * 2]))  # a failure on the way
        found = store.get("spec", ["a", "b", "c"], 2)
        assert found.is_final.tolist() == [False, True, False]
        assert found.answered.tolist() == [True, False, False]
        assert found.error.tolist() == ["", DECLINED, "without a usable answer"]
        assert not store.get("other", ["b"], 2).is_final.any()
        assert (store.contents()[0].n_answers, store.contents()[0].n_unanswered) == (
            1,
            1,
        )
        assert store.prune(unanswered_only=True) == 1
        assert not store.get("spec", ["b"], 2).is_final.any() and len(store) == 1


def test_an_answer_replaces_the_record_of_having_none_and_not_the_reverse():
    with LabelStore() as store:
        store.put("spec", ["a"], unanswered(f"{DECLINED}: 'no'"))
        put(store, ["a"], value=0.25)
        store.put("spec", ["a"], unanswered("said 'no' again"))
        put(store, ["a"], value=0.75)
        found = store.get("spec", ["a"], 2)
        assert np.exp(found.log_prob)[0, 0] == pytest.approx(0.25)
        assert not found.is_final.any() and found.error.tolist() == [""]
        store.check()


# --- List, export, merge, prune -------------------------------------------------------


def filled(path):
    store = LabelStore(path)
    put(store, ["a", "b"], spec="one")
    put(store, ["c"], spec="two")
    store.put("two", ["d"], Scores([[-np.inf, 0.0]]))
    usage, description = Usage(3, 30, 3, 1.0), {"model": "m", "classes": ["x", "y"]}
    store.put("two", ["e"], unanswered(DECLINED), usage, description)
    return store


@pytest.mark.parametrize("through", ["store", "export"])
def test_merging_takes_in_what_is_new_exactly(tmp_path, through):
    with filled(tmp_path / "theirs.sqlite") as theirs:
        theirs.export(tmp_path / "out.jsonl")
    source = tmp_path / ("theirs.sqlite" if through == "store" else "out.jsonl")
    with LabelStore() as store:
        put(store, ["a"], value=0.125, spec="one")
        assert store.merge(source) == 3
        assert store.merge(source) == 0
        first = store.get("one", ["a"], 2)
        assert np.exp(first.log_prob)[0, 0] == pytest.approx(0.125)
        last = store.get("two", ["d", "e"], 2)
        assert last.log_prob[0].tolist() == [-np.inf, 0.0]
        assert np.isnan(last.label_mass[0])
        assert last.is_final.tolist() == [False, True] and last.error[1] == DECLINED
        assert store.usage("two") == Usage(3, 30, 3, 1.0)
        store.check()


def test_an_export_holds_no_text_and_can_be_of_one_fingerprint(tmp_path):
    with filled(tmp_path / "theirs.sqlite") as store:
        store.put("one", ["a very secret text"], Scores(np.log([[0.5, 0.5]])))
        for reason in (f"{DECLINED}: a very secret text", "a back end: secret text"):
            store.put("one", [reason], unanswered(reason))
        assert store.export(tmp_path / "all.jsonl") == 5
        assert store.export(tmp_path / "two.jsonl", "two") == 2
        in_files = b"".join(p.read_bytes() for p in tmp_path.glob("theirs.sqlite*"))
    assert b"secret" not in in_files
    assert "secret" not in (tmp_path / "all.jsonl").read_text()
    assert '"one"' not in (tmp_path / "two.jsonl").read_text()


@pytest.mark.parametrize(
    "content",
    [
        "what is this?",
        '{"text": "00", "log_prob": [0], "label_mass": 1}',
        '{"fingerprint": "s", "description": {}, "n_calls": 1, "input_tokens": 0, '
        '"output_tokens": 0, "seconds": 0}\n{"text": "zz", "log_prob": [0]}',
        '{"fingerprint": "s", "description": {}, "n_calls": 1, "input_tokens": 0, '
        '"output_tokens": 0, "seconds": 0}\n{"text": "00", "log_prob": [0], '
        '"label_mass": 1}\n{"text": "01", "log',
    ],
)
def test_what_is_no_export_is_refused_and_nothing_of_it_taken_in(tmp_path, content):
    (tmp_path / "file.jsonl").write_text(content)
    with LabelStore() as store:
        put(store, ["a"])
        with pytest.raises(StoreError, match="no file written by `export`"):
            store.merge(tmp_path / "file.jsonl")
        assert len(store) == 1 and len(store.contents()) == 1
        with pytest.raises(StoreError, match="there is no file"):
            store.merge(tmp_path / "missing.jsonl")


def test_pruning_forgets_what_it_is_told_to_and_shrinks_the_file(tmp_path):
    path = tmp_path / "labels.sqlite"
    with filled(path) as store:
        put(store, [f"text {i}" for i in range(20_000)], spec="large")
        assert store.prune("one") == 2
        assert {entry.fingerprint for entry in store.contents()} == {"two", "large"}
        assert store.prune(older_than_days=1) == 0
        size = path.stat().st_size
        assert store.prune("large") == 20_000
        store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size < size / 2
        assert store.prune(older_than_days=0, dry_run=True) == 3
        assert store.prune(older_than_days=0) == 3 and store.contents() == []


@pytest.mark.parametrize("key", [{}, {"fingerprint": ""}, {"dry_run": True}])
def test_pruning_without_a_criterion_forgets_nothing(tmp_path, key):
    with filled(tmp_path / "labels.sqlite") as store:
        before = len(store)
        if "fingerprint" in key:  # a key nobody has
            assert store.prune(**key) == 0
        else:
            with pytest.raises(InvalidParameterError, match="needs a criterion"):
                store.prune(**key)
        with pytest.raises(InvalidParameterError, match="older_than_days"):
            store.prune(older_than_days=float("nan"))
        assert len(store) == before


# --- One process asks -----------------------------------------------------------------


def _hold(path, barrier, seconds):
    with LabelStore(path) as store, claim(store, "spec"):
        barrier.wait()
        time.sleep(seconds)


def test_a_claim_without_progress_is_waited_for_no_longer(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_SILENT_WAIT_S", 0.05)
    monkeypatch.setattr(cache_module, "_POLL_S", 0.05)
    monkeypatch.setattr(cache_module, "_CLAIM_S", 0.3)
    barrier = PROCESSES.Barrier(2)
    holder = PROCESSES.Process(target=_hold, args=(tmp_path / "s.sqlite", barrier, 60))
    holder.start()
    try:
        barrier.wait()
        with LabelStore(tmp_path / "s.sqlite") as store:
            start = time.monotonic()
            with (
                pytest.warns(SkllkdWarning, match="stored no answer"),
                claim(store, "spec"),
            ):
                assert 0.3 <= time.monotonic() - start < 30
            with claim(store, "another"):
                pass
    finally:
        holder.kill()
        holder.join()


def test_a_claim_ends_with_its_process(tmp_path):
    barrier = PROCESSES.Barrier(2)
    holder = PROCESSES.Process(target=_hold, args=(tmp_path / "s.sqlite", barrier, 60))
    holder.start()
    barrier.wait()
    holder.kill()
    holder.join()
    store = LabelStore(tmp_path / "s.sqlite")
    with store, claim(store, "spec"):
        pass
