"""The student on a frozen encoder, and the features it keeps."""

import os
import pickle
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
import skllkd.students._torch.pretrained
from sklearn.model_selection import GridSearchCV
from skllkd import LLKDClassifier
from skllkd.exceptions import (
    DivergedError,
    InvalidParameterError,
    SkllkdWarning,
    TruncationWarning,
)
from skllkd.selection import LLKDSelection, SelectAll
from skllkd.students import FrozenEncoderStudent, feature_cache
from skllkd.students.text_encoder import TextEncoder

from tests.conftest import TOPICS, GoldTeacher


def forget_features():
    feature_cache.memory = feature_cache._Memory()


@pytest.fixture(autouse=True)
def nothing_remembered():
    forget_features()
    skllkd.students._torch.pretrained._known.clear()


@pytest.fixture
def encoded(monkeypatch):
    """Return the list of texts the encoder is given, as it grows."""
    seen = []
    encode = TextEncoder._encode

    def counting(self, texts):
        seen.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(TextEncoder, "_encode", counting)
    return seen


def new(news, tiny_path, *, n_epochs=4, **student):
    texts, gold = news
    return LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        refine=None,
        selection=SelectAll(),
        student=FrozenEncoderStudent(tiny_path, **{"device": "cpu"} | student),
        n_epochs=n_epochs,
        random_state=0,
    )


def weights(classifier):
    return classifier.student_.weights_


@pytest.mark.parametrize("head", ["linear", "hidden"])
def test_the_head_learns_and_the_encoder_does_not(head, news, tiny_path):
    from safetensors.numpy import load_file

    texts, gold = news
    classifier = new(news, tiny_path, head=head, n_epochs=30).fit(texts[:200])
    assert classifier.score(texts[:200], gold[:200]) > 0.4  # chance is 0.2
    for name, array in load_file(tiny_path / "model.safetensors").items():
        np.testing.assert_array_equal(weights(classifier)[f"encoder.{name}"], array)
    assert ("hidden.weight" in weights(classifier)) == (head == "hidden")


@pytest.mark.parametrize("head", ["linear", "hidden"])
def test_what_it_believed_in_training_is_what_it_predicts(head, news, tiny_path):
    """The head learns on standardised features and predicts from those as they are."""
    student = FrozenEncoderStudent(tiny_path, device="cpu", head=head)
    rows = np.arange(64)
    target = np.eye(5)[rows % 5]
    student.begin_fit(news[0][:64], 5, seed=0)
    first = student.snapshot()
    for step in range(30):
        student.train_step(rows, target, np.ones(64), (step + 0.5) / 30)
    believed = student.predict_rows(rows)
    learned = student.snapshot()
    student.restore(first)
    assert np.abs(student.predict_rows(rows) - believed).max() > 0.01
    student.restore(learned)
    np.testing.assert_allclose(student.predict_rows(rows), believed, atol=1e-5)
    student.end_fit()
    np.testing.assert_allclose(student.predict_proba(news[0][:64]), believed, atol=1e-5)
    student.begin_fit(
        news[0][64:96], 5, seed=0, resume=True
    )  # features scaled otherwise
    np.testing.assert_allclose(
        student.predict_rows(np.arange(32)),
        student.predict_proba(news[0][64:96]),
        atol=1e-5,
    )


def test_a_fine_tuned_student_with_its_weights_predicts_the_same(news, tiny_path):
    from skllkd.students import TransformerStudent

    texts = news[0][:20]
    frozen = new(news, tiny_path, head="hidden").fit(news[0][:96]).student_
    other = TransformerStudent(tiny_path, device="cpu")
    vars(other).update({n: v for n, v in vars(frozen).items() if n.endswith("_")})
    np.testing.assert_allclose(
        other.predict_proba(texts), frozen.predict_proba(texts), atol=1e-5
    )


def test_same_seed_same_weights_whatever_is_remembered(news, tiny_path):
    first = new(news, tiny_path).fit(news[0][:96])
    again = new(news, tiny_path).fit(news[0][:96])
    forget_features()
    anew = new(news, tiny_path, cache=None).fit(news[0][:96])
    other = new(news, tiny_path).set_params(random_state=1).fit(news[0][:96])
    for name, array in weights(first).items():
        np.testing.assert_array_equal(array, weights(again)[name])
        np.testing.assert_array_equal(array, weights(anew)[name])
    name = "head.weight"
    assert np.abs(weights(first)[name] - weights(other)[name]).max() > 1e-3


@pytest.mark.filterwarnings("ignore:LLKDSelection kept none")
def test_a_search_encodes_every_distinct_text_once(news, tiny_path, encoded):
    texts, gold = news[0][:90] + news[0][:10], news[1][:90] + news[1][:10]
    classifier = new(news, tiny_path, n_epochs=1)
    classifier.set_params(selection=LLKDSelection())
    grid = {
        "student__learning_rate": [1e-3, 1e-2],
        "student__head": ["linear", "hidden"],
        "selection__momentum": [0.5, 0.9],
    }
    search = GridSearchCV(classifier, grid, cv=3, error_score="raise")
    search.fit(texts, gold)
    search.predict(texts)
    assert sorted(encoded) == sorted(set(texts))


@pytest.mark.parametrize(("what", "value"), [("pooling", "cls"), ("max_length", 16)])
@pytest.mark.filterwarnings("ignore:.*longer than the student")
def test_features_of_other_settings_are_others(what, value, news, tiny_path, encoded):
    plain = new(news, tiny_path).fit(news[0][:64])
    other = new(news, tiny_path, **{what: value}).fit(news[0][:64])
    assert len(encoded) == 128
    assert np.abs(weights(plain)["head.weight"] - weights(other)["head.weight"]).any()


def test_a_folder_with_another_encoder_is_read_again(
    news, tiny_path, tmp_path, encoded
):
    from tests.tiny_encoder import write_tiny_encoder

    folder = tmp_path / "encoder"
    shutil.copytree(tiny_path, folder)
    student = new(news, folder).fit(news[0][:64]).student_
    write_tiny_encoder(folder, news[0][:50])
    other = new(news, folder).fit(news[0][:64]).student_
    assert len(encoded) == 128
    assert student.encoder_digest_ != other.encoder_digest_


def test_memory_is_bounded_and_lets_go_of_the_oldest(
    news, tiny_path, encoded, monkeypatch
):
    texts = news[0]
    row = 4 * 32 + feature_cache._ROW_OVERHEAD
    monkeypatch.setattr(feature_cache, "MEMORY_BYTES", 50 * row)
    classifier = new(news, tiny_path).fit(texts[:40])
    classifier.predict_proba(texts[:5])
    classifier.predict_proba(texts[40:85])  # 45 new ones beside the 5 used last
    assert len(encoded) == 85
    classifier.predict_proba(texts[:5])
    assert len(encoded) == 85
    classifier.predict_proba(texts[5:40])
    assert len(encoded) == 120
    memory = feature_cache.memory
    assert len(memory._rows) == 50 and memory._n_bytes == 50 * row
    assert all(known.features.base is None for known in memory._rows.values())


def test_a_pool_beyond_the_memory_trains_all_the_same(news, tiny_path, monkeypatch):
    wanted = new(news, tiny_path).fit(news[0][:96])
    forget_features()
    monkeypatch.setattr(feature_cache, "MEMORY_BYTES", 1000)
    tight = new(news, tiny_path).fit(news[0][:96])
    np.testing.assert_array_equal(
        weights(tight)["head.weight"], weights(wanted)["head.weight"]
    )


def test_disk_is_read_by_another_process_s_memory(news, tiny_path, encoded, own_store):
    texts = news[0][:96]
    first = new(news, tiny_path, cache="disk").fit(texts)
    assert len(encoded) == 96
    forget_features()  # as in a new process
    again = new(news, tiny_path, cache="disk").fit(texts)
    assert len(encoded) == 96
    np.testing.assert_array_equal(
        weights(first)["head.weight"], weights(again)["head.weight"]
    )
    path = own_store.parent / "features.sqlite"
    assert texts[0].encode() not in path.read_bytes()
    forget_features()
    new(news, tiny_path).fit(texts)  # "memory" leaves the file alone
    assert len(encoded) == 192


def test_disk_is_bounded_and_drops_what_was_used_least_lately(
    news, tiny_path, encoded, own_store, monkeypatch
):
    texts = news[0]
    row = 4 * 32 + 64
    monkeypatch.setattr(feature_cache, "DISK_BYTES", 60 * row)
    classifier = new(news, tiny_path, cache="disk").fit(texts[:40])
    for some in (texts[:10], texts[40:80]):  # the first ten are used again
        forget_features()
        classifier.predict_proba(some)
    with closing(sqlite3.connect(own_store.parent / "features.sqlite")) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM features").fetchone()
    assert 45 <= count <= 54
    forget_features()
    del encoded[:]
    classifier.predict_proba(texts[40:80])
    assert not encoded
    classifier.predict_proba(texts[10:40])
    assert len(encoded) >= 25


def test_a_write_cut_short_leaves_nothing_half_done(own_store):
    good = feature_cache.Known(np.zeros(4, np.float32), False)
    bad = feature_cache.Known(None, False)

    def write_both():
        with feature_cache._disk() as connection:
            feature_cache._write(connection, {b"a": good})
            feature_cache._write(connection, {b"b": bad})

    with pytest.raises(AttributeError):
        write_both()
    with feature_cache._disk() as connection:
        assert feature_cache._read(connection, [b"a", b"b"]) == {}
        feature_cache._write(connection, {b"a": good})
    with feature_cache._disk() as connection:
        assert list(feature_cache._read(connection, [b"a", b"b"])) == [b"a"]


@pytest.mark.parametrize("damage", ["not a database", "cut", "bits"])
def test_a_damaged_file_is_made_anew_without_a_word(damage, own_store):
    """Features of damaged rows would change every classifier that reads them."""

    def encode(texts):
        encoded.extend(texts)
        rows = [np.full(8, len(text), np.float32) for text in texts]
        return np.stack(rows), np.zeros(len(texts), bool)

    text_of = {bytes([i]): "x" * i for i in range(1, 200)}
    encoded, path = [], own_store.parent / "features.sqlite"
    right = feature_cache._through_disk(text_of, encode)
    content = path.read_bytes()
    if damage == "not a database":
        path.write_bytes(b"no database" * 2000)
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        row = np.full(8, 7.0, "<f4").tobytes()
        path.write_bytes(content.replace(row, row[:-1] + b"\0"))
    encoded.clear()
    for _ in range(2):
        found = feature_cache._through_disk(text_of, encode)
        for key, known in right.items():
            np.testing.assert_array_equal(found[key].features, known.features)
    assert encoded == (["x" * 7] if damage == "bits" else list(text_of.values()))


def test_a_file_that_cannot_be_written_is_named_and_does_without(
    news, tiny_path, own_store
):
    (own_store.parent / "features.sqlite").mkdir(parents=True)
    with pytest.warns(SkllkdWarning, match="features.sqlite"):
        classifier = new(news, tiny_path, cache="disk").fit(news[0][:64])
    assert classifier.predict(news[0][:3]).shape == (3,)


def test_who_encodes_is_waited_for():
    """Two at once, as two processes would: they encode each text once between them."""
    encoded = []

    def encode(texts):
        time.sleep(0.05)
        encoded.extend(texts)
        return np.ones((len(texts), 4), np.float32), np.zeros(len(texts), bool)

    def look_up(start):
        text_of = {bytes([i]): str(i) for i in range(start, start + 20)}
        return feature_cache._through_disk(text_of, encode)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(look_up, [0, 10]))
    assert [len(part) for part in found] == [20, 20]
    assert sorted(map(int, encoded)) == list(range(30))


def test_cut_texts_are_counted_every_time(news, tiny_path):
    classifier = new(news, tiny_path, max_length=12)
    for _ in range(2):
        with pytest.warns(TruncationWarning, match=r"64 of 64 texts .* 12 tokens"):
            classifier.fit(news[0][:64])
    with pytest.warns(TruncationWarning, match="2 of 3 texts"):
        classifier.predict(["word " * 50, "short", "word " * 50])


def test_stopping_early_and_going_on(news, tiny_path, tmp_path):
    texts = news[0]
    classifier = new(news, tiny_path, n_epochs=50, head="hidden")
    classifier.set_params(early_stopping=True, n_iter_no_change=3).fit(texts[:96])
    assert len(classifier.validation_agreement_) < 50
    before = weights(classifier)["head.weight"].copy()
    classifier.save(tmp_path)
    copies = [
        LLKDClassifier.load(tmp_path),
        pickle.loads(pickle.dumps(classifier)),
    ]
    forget_features()
    skllkd.students._torch.pretrained._known.clear()  # as on another machine
    for copy in copies:
        copy.set_params(teacher=GoldTeacher(*news)).partial_fit(texts[96:160])
        assert np.abs(weights(copy)["head.weight"] - before).max() > 1e-4
    np.testing.assert_allclose(
        copies[0].predict_proba(texts[:9]),
        copies[1].predict_proba(texts[:9]),
        atol=1e-6,
    )
    np.testing.assert_array_equal(weights(classifier)["head.weight"], before)


def test_a_pickle_holds_neither_pool_nor_module_nor_path(news, tiny_path):
    classifier = new(news, tiny_path).fit(news[0][:96])
    classifier.predict(news[0][:3])
    data = pickle.dumps(classifier)
    n_bytes = sum(array.nbytes for array in weights(classifier).values())
    assert len(data) < n_bytes + len(classifier.student_.tokenizer_) + 20_000
    assert b"torch" not in data
    assert os.fspath(tiny_path.parent).encode() not in data
    loaded = pickle.loads(data)
    np.testing.assert_array_equal(
        loaded.predict_proba(news[0][:9]), classifier.predict_proba(news[0][:9])
    )


def test_students_of_a_process_share_the_encoder(news, tiny_path):
    first = new(news, tiny_path).fit(news[0][:64])
    other = new(news, tiny_path, head="hidden").fit(news[0][:64])
    name = "encoder.embeddings.word_embeddings.weight"
    assert np.shares_memory(weights(first)[name], weights(other)[name])


@pytest.mark.parametrize(
    "bad",
    [
        {"learning_rate": -1},
        {"dropout": 1.0},
        {"pooling": "attention"},
        {"head": "deep"},
        {"cache": "cloud"},
        {"cache": True},
        {"max_length": 0},
        {"device": "abacus"},
        {"loss": "focal"},
    ],
)
def test_bad_parameters_are_named(bad, news, tiny_path):
    with pytest.raises(InvalidParameterError, match=f"`{next(iter(bad))}`"):
        new(news, tiny_path, **bad).fit(news[0][:32])


def test_training_that_runs_away_is_named(news, tiny_path):
    with pytest.raises(DivergedError, match="Lower `learning_rate`"):
        new(news, tiny_path, learning_rate=1e38).fit(news[0][:64])


def test_the_report_times_the_encoder_not_the_memory_of_it(news, tiny_path, encoded):
    classifier = new(news, tiny_path).fit(news[0][:60])
    encoded.clear()
    classifier.report()
    # Once, to be timed; the rest was remembered, but for the names of the classes.
    assert encoded == [*news[0][:60], *TOPICS]
