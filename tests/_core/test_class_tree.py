"""Classes in a tree: what is read of a nested mapping, and sums over its groups."""

import json

import numpy as np
import pytest
from skllkd import Multilabel
from skllkd._core.class_tree import level_of
from skllkd._core.classes import as_classes, described_classes
from skllkd.exceptions import InvalidParameterError

TREE = {
    "sport": {"": "games", "football": "goals", "racket": ["tennis", "squash"]},
    "weather": "rain and sun",
    "money": ["stocks", "banks"],
}
NAMES = ("football", "tennis", "squash", "weather", "stocks", "banks")


def level(number, order=NAMES):
    classes = as_classes(TREE)
    return level_of(np.array(order), classes.names, classes.tree, number)


def test_the_classes_are_the_leaves_and_know_their_groups():
    classes = as_classes(TREE)
    assert classes.names == NAMES
    assert classes.descriptions == ("goals", "", "", "rain and sun", "", "")
    assert classes.tree.depth == 3
    assert classes.tree.paths[1] == ("sport", "racket")
    assert classes.tree.about == (("sport", "games"),)
    assert as_classes(classes.as_given()) == classes
    assert as_classes(["a", "b"]).tree is None


@pytest.mark.parametrize(
    "given",
    [
        TREE,
        ["a", "b"],
        [2, 1],
        {"a": "x", "b": ""},
        Multilabel(["a"]),
        Multilabel({"a": "x"}),
    ],
)
def test_files_hold_classes_as_json(given):
    classes = as_classes(given)
    description = json.loads(json.dumps(classes.described()))
    assert described_classes(description) == classes
    assert as_classes(classes.as_given()) == classes


def test_the_same_classes_in_another_order_are_in_the_same_groups():
    classes = as_classes(TREE)
    turned = classes.in_order_of(NAMES[::-1])
    assert turned.names == NAMES[::-1]
    assert turned.descriptions == classes.descriptions[::-1]
    assert turned.tree.paths == classes.tree.paths[::-1]


@pytest.mark.parametrize("order", [NAMES, tuple(sorted(NAMES))])
def test_groups_have_the_sums_of_their_classes(order):
    share = dict(zip(NAMES, [0.1, 0.2, 0.05, 0.3, 0.25, 0.1], strict=True))
    proba = np.array([[share[name] for name in order]])
    top = level(1, order)
    assert top.names.tolist() == ["money", "sport", "weather"]
    np.testing.assert_allclose(top.sums(proba), [[0.35, 0.35, 0.3]])
    second = level(2, order)
    assert second.names.tolist() == ["banks", "football", "racket", "stocks", "weather"]
    np.testing.assert_allclose(second.sums(proba), [[0.1, 0.1, 0.25, 0.25, 0.3]])
    leaves = level(3, order)
    assert leaves.names.tolist() == sorted(NAMES)
    np.testing.assert_allclose(leaves.sums(proba), [[share[n] for n in sorted(NAMES)]])


def test_labels_at_a_level_are_groups_or_what_they_were():
    assert level(1).of(["tennis", "weather", "money", None]) == [
        *("sport", "weather", "money"),
        None,
    ]


@pytest.mark.parametrize("bad", [0, 4, 1.5, "1", True])
def test_there_is_no_such_level(bad):
    with pytest.raises(InvalidParameterError, match="`level`"):
        level(bad)
    with pytest.raises(InvalidParameterError, match="nested mapping"):
        level_of(np.array(["a", "b"]), ("a", "b"), None, 1)


def endless():
    tree = {"a": "b"}
    tree["c"] = tree
    return tree


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"a": {}, "b": ""}, "none in 'a'"),
        ({"a": {"": "about it"}, "b": ""}, "none in 'a'"),
        ({"a": ["x", "y"], "b": ["x"]}, "'x' 2 times"),
        ({"a": ["a", "b"]}, "'a' 2 times"),
        ({"a": {"g": ["x"]}, "b": {"g": ["y"]}}, "'g' 2 times"),
        ({"a": [1, 2], "b": "c"}, "strings .* got 1"),
        ({1: ["x", "y"], "b": "c"}, "strings .* got 1"),
        ({"a": [" ", "y"], "b": "c"}, "not empty; got ' '"),
        ({"a": ["x", {"y": "z"}], "b": "c"}, "must hold names"),
        ({"a": ["x"]}, "at least 2"),
        (endless(), "20 groups"),
    ],
)
def test_faults_of_a_tree_are_named(bad, words):
    with pytest.raises(InvalidParameterError, match=words):
        as_classes(bad)


def test_tags_in_a_tree_are_refused():
    with pytest.raises(InvalidParameterError, match="without the groups"):
        Multilabel(TREE)
