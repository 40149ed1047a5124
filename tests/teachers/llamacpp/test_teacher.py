"""LlamaCppTeacher, as far as it goes without a model."""

import warnings

import pytest
from sklearn.base import clone
from skllkd.exceptions import InvalidParameterError, SavedModelError
from skllkd.teachers import LlamaCppTeacher, expand_gguf
from skllkd.teachers.llamacpp.context import new_nodes_by_branch
from skllkd.teachers.prompting.label_trie import LabelTrie

AB = ["a", "b"]


def test_a_missing_model_file_is_named(tmp_path):
    teacher = LlamaCppTeacher(tmp_path / "none.gguf")
    with pytest.raises(SavedModelError, match=r"`model_path`.*none\.gguf"):
        teacher.label(["x"], AB)
    with pytest.raises(SavedModelError, match=r"`source`.*none\.gguf"):
        expand_gguf(tmp_path / "none.gguf", tmp_path / "f32.gguf")


def test_a_file_that_is_no_gguf_is_named(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(SavedModelError, match="PK"):
        LlamaCppTeacher(path).label(["x"], AB)


def test_a_teacher_is_a_specification(tmp_path):
    teacher = LlamaCppTeacher(tmp_path / "none.gguf", calibration=None)
    copy = clone(teacher)
    assert copy.get_params() == teacher.get_params()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        repr(teacher)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("whole_labels", "yes"),
        ("chat", "always"),
        ("n_threads", 0),
        ("batch_tokens", 8),
        ("max_text_tokens", 0),
    ],
)
def test_bad_parameters_are_named(tmp_path, parameter, value):
    teacher = LlamaCppTeacher(tmp_path / "none.gguf", **{parameter: value})
    with pytest.raises(InvalidParameterError, match=f"`{parameter}` must be"):
        teacher.label(["x"], AB)


def test_workers_take_their_share_of_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert LlamaCppTeacher("m.gguf")._threads() == 1
    assert LlamaCppTeacher("m.gguf", n_threads=3)._threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert LlamaCppTeacher("m.gguf")._threads() >= 1


def test_every_node_of_a_trie_is_evaluated_once():
    paths = [[1, 2, 3, 4], [1, 2, 5, 6], [1, 7, 8], [9]]
    trie = LabelTrie.from_tokens(["a", "b", "c", "d"], paths, end=0)
    assert list(new_nodes_by_branch(trie)) == [[0, 1, 2], [3], [4]]
    assert [trie.node_tokens[node] for node in (0, 1, 2, 3, 4)] == [1, 2, 3, 5, 7]
