"""Precomputed answers."""

import numpy as np
import pytest
from skllkd._core.classes import as_classes
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.teachers import (
    PrecomputedTeacher,
)

AB = as_classes(["a", "b"])
ABC = as_classes(["a", "b", "c"])


def test_precomputed_answers_are_found_by_text():
    teacher = PrecomputedTeacher(["x", "y", "z"], (["a", "b", None], [0.9, 0.6, 0.5]))
    labels = teacher.label(["y", "x", "y"], AB)
    np.testing.assert_allclose(labels.proba, [[0.4, 0.6], [0.9, 0.1], [0.4, 0.6]])
    assert (labels.n_asked, labels.n_reused) == (0, 3)
    with pytest.warns(MissingLabelWarning, match="2 of 3"):
        assert teacher.label(["y", "z", "new"], AB).missing.tolist() == [
            False,
            True,
            True,
        ]


def test_repeated_texts_have_the_mean_of_their_answers():
    teacher = PrecomputedTeacher(["x", "x", "x", "x"], ["a", "b", "b", None])
    np.testing.assert_allclose(teacher.label(["x"], AB).proba, [[1 / 3, 2 / 3]])


def test_texts_without_an_answer_are_not_reused():
    teacher = PrecomputedTeacher(["y", "z"], ["a", None])
    with pytest.warns(MissingLabelWarning, match="2 of 3"):
        assert teacher.label(["y", "z", "new"], AB).n_reused == 1


@pytest.mark.parametrize(
    "known", [["x", "y"], [[1.0], [2.0]], [1.0, 2.0], [None, {}], []], ids=str
)
def test_rows_of_numbers_are_found_among_rows_alone(known):
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    labels = PrecomputedTeacher(rows, ["a", "b"]).label(rows[::-1], AB)
    np.testing.assert_array_equal(labels.proba, [[0, 1], [1, 0]])
    with pytest.raises(
        InvalidParameterError, match="`texts` must hold rows of 2 numbers"
    ):
        PrecomputedTeacher(known, ["a"] * len(known)).label(rows, AB)
