"""Labels as a trie of tokens."""

import pytest
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.prompting.label_trie import LabelTrie, distinct_prefixes


def test_single_token_labels_need_no_node():
    trie = LabelTrie.from_tokens(["x", "y"], [[5], [6]], end=0)
    assert trie.node_tokens == ()
    assert trie.steps == (((0, 5),), ((0, 6),))


def test_labels_share_their_prefixes():
    trie = LabelTrie.from_tokens(
        ["new york", "new jersey city", "ohio"], [[1, 2], [1, 3, 4], [9]], end=0
    )
    assert trie.node_tokens == (1, 3)  # "new", and "jersey" after it
    assert trie.node_depths == (1, 2)
    assert trie.steps == (((0, 1), (1, 2)), ((0, 1), (1, 3), (2, 4)), ((0, 9),))


def test_branches_fork_where_labels_part():
    trie = LabelTrie.from_tokens(["ab", "cd", "ce"], [[1, 2], [3, 4], [3, 5]], end=0)
    assert trie.node_tokens == (1, 3)
    assert trie.node_depths == (1, 1)


def test_a_label_that_begins_another_is_ended():
    trie = LabelTrie.from_tokens(["sport", "sport car"], [[7], [7, 8]], end=99)
    assert trie.steps == (((0, 7), (1, 99)), ((0, 7), (1, 8), (2, 99)))


@pytest.mark.parametrize("tokens", [[[1], [1]], [[1], []]])
def test_labels_that_collide_in_tokens_are_refused(tokens):
    with pytest.raises(InvalidParameterError, match="'b'.*Rename"):
        LabelTrie.from_tokens(["a", "b"], tokens, end=0)


def test_labels_are_read_as_far_as_they_differ():
    assert distinct_prefixes([[1, 2, 3], [1, 4], [5, 6, 7]]) == [(1, 2), (1, 4), (5,)]
    assert distinct_prefixes([[1], [1, 2, 3]]) == [(1,), (1, 2)]
    one_token = distinct_prefixes([[1, 2], [3, 4, 5]])
    assert LabelTrie.from_tokens(["a", "b"], one_token, end=0).node_tokens == ()
