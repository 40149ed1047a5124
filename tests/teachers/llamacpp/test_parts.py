"""What of the llama.cpp teacher needs no model."""

import numpy as np
import pytest
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers import LlamaCppTeacher
from skllkd.teachers.llamacpp.scorer import in_length_order
from skllkd.teachers.llamacpp.weights import (
    expanded_files,
    expanded_path,
    prune_expanded,
)
from skllkd.teachers.prompting.label_trie import LabelTrie, until_they_differ


def test_bodies_are_ordered_by_length_within_windows():
    lengths = np.random.RandomState(0).randint(1, 50, size=100)
    bodies = [[0] * n for n in lengths]
    ordered = list(in_length_order(bodies, window=40))
    assert sorted(place for place, _ in ordered) == list(range(100))
    assert all(body is bodies[place] for place, body in ordered)
    for start in (0, 40, 80):
        places = [place for place, _ in ordered[start : start + 40]]
        assert {place // 40 for place in places} == {start // 40}
        assert (np.diff(lengths[places]) >= 0).all()


def test_bodies_are_drawn_a_window_at_a_time():
    drawn = []
    bodies = ([drawn.append(i)] for i in range(100))
    next(in_length_order(bodies, window=10))
    assert len(drawn) == 10


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("weights", "Q9"), ("weights", None), ("reuse_prefix", "yes"), ("exact", 2)],
)
def test_bad_parameters_are_named(tmp_path, parameter, value):
    teacher = LlamaCppTeacher(tmp_path / "none.gguf", **{parameter: value})
    with pytest.raises(InvalidParameterError, match=f"`{parameter}` must be one of"):
        teacher.label(["x"], ["a", "b"])


def test_expanded_files_are_listed_and_pruned(tmp_path):
    assert expanded_files(tmp_path) == []
    assert prune_expanded(tmp_path) == 0
    whole = expanded_path(tmp_path, "ab" * 32)
    whole.parent.mkdir()
    whole.write_bytes(b"x" * 10)
    half = whole.with_name(f"{whole.name}.123")
    half.write_bytes(b"x" * 5)
    other = whole.with_name("notes.txt")
    other.write_bytes(b"mine")
    assert expanded_files(tmp_path) == [(whole, 10), (half, 5)]
    assert prune_expanded(tmp_path) == 15
    assert expanded_files(tmp_path) == []
    assert other.exists()


def test_labels_are_read_as_far_as_they_differ():
    assert until_they_differ([[1, 2, 3], [1, 4], [5, 6, 7]]) == [(1, 2), (1, 4), (5,)]
    assert until_they_differ([[1], [1, 2, 3]]) == [(1,), (1, 2)]
    one_token = until_they_differ([[1, 2], [3, 4, 5]])
    assert LabelTrie.from_tokens(["a", "b"], one_token, end=0).node_tokens == ()


def test_workers_take_their_share_of_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert LlamaCppTeacher("m.gguf")._threads() == 1
    assert LlamaCppTeacher("m.gguf", n_threads=3)._threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert LlamaCppTeacher("m.gguf")._threads() >= 1
