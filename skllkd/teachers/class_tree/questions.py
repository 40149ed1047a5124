"""The questions down a tree of classes, with their examples and biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.classes import Classes
from skllkd.exceptions import InvalidParameterError


@dataclass(frozen=True)
class Question:
    """The choice between the members of a group."""

    path: tuple[str, ...]  # the group, from the top
    classes: Classes  # its members
    below: tuple[IntArray, ...]  # columns of the classes in each member

    @property
    def columns(self) -> IntArray:
        """The columns of all classes in the group."""
        return np.concatenate(self.below)


def questions_of(classes: Classes) -> list[Question]:
    """List the questions down a tree, those of the upper levels first."""
    assert classes.tree is not None
    about = dict(zip(classes.names, classes.descriptions, strict=True))
    about |= dict(classes.tree.about)
    members: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for column, (path, name) in enumerate(
        zip(classes.tree.paths, classes.names, strict=True)
    ):
        way = (*path, name)
        for depth, member in enumerate(way):
            group = members.setdefault(way[:depth], {})
            group.setdefault(member, []).append(column)
    return [
        Question(
            path,
            Classes(tuple(group), tuple(about.get(name, "") for name in group)),
            tuple(np.array(columns) for columns in group.values()),
        )
        for path, group in sorted(members.items(), key=lambda item: len(item[0]))
    ]


def first_question(classes: Classes) -> Classes:
    """Return the classes that a teacher which goes down a tree is asked about first."""
    if classes.tree is None:
        return classes
    return next(q.classes for q in questions_of(classes) if len(q.classes) > 1)


def examples_for(
    question: Question, examples: Sequence[tuple[str, Any]], classes: Classes
) -> list[tuple[str, Any]]:
    """Return the examples of classes in a group, each with the member it is in."""
    member_of = {
        classes.names[column]: name
        for name, below in zip(question.classes.names, question.below, strict=True)
        for column in below
    }
    for row, (_, name) in enumerate(examples):
        if name not in classes.names:
            raise InvalidParameterError(
                f"`examples` must use the names in `classes`; got {name!r} at index "
                f"{row}, classes are {list(classes.words)}."
            )
    return [(text, member_of[name]) for text, name in examples if name in member_of]


def joined_bias(questions: list[Question], biases: list[FloatArray]) -> FloatArray:
    """Return the biases of all questions as one of the classes: the sums down to each.

    The biases of a question are centred, so that `split_bias` has them back.
    """
    n_classes = len(questions[0].columns)
    total: FloatArray = np.zeros(n_classes)
    for question, bias in zip(questions, biases, strict=True):
        for below, value in zip(question.below, bias - bias.mean(), strict=True):
            total[below] += value
    return total


def split_bias(questions: list[Question], class_bias: FloatArray) -> list[FloatArray]:
    """Return the biases of the questions whose sums a bias of the classes holds."""
    mean_of: dict[tuple[str, ...], float] = {}
    biases: list[FloatArray] = []
    for question in reversed(questions):  # the lowest first
        members = zip(question.classes.names, question.below, strict=True)
        means = np.array(
            [
                mean_of.get((*question.path, name), class_bias[below[0]])
                for name, below in members
            ]
        )
        mean_of[question.path] = float(means.mean())
        biases.append(means - means.mean())
    return biases[::-1]
