"""Functions as teachers."""

import gc

import numpy as np
import pytest
from sklearn.base import clone
from skllkd._core.classes import as_classes
from skllkd.exceptions import (
    BudgetReachedWarning,
    InvalidParameterError,
    MissingLabelWarning,
)
from skllkd.teachers import (
    BatchCalibration,
    CallableTeacher,
    PrecomputedTeacher,
)
from skllkd.teachers.wrapping import as_teacher

AB = as_classes(["a", "b"])
ABC = as_classes(["a", "b", "c"])


def counting(answers):
    """Return a function that labels by its first word, and the list of its texts."""

    def function(texts):
        answers.append(list(texts))
        return [text.split()[0] for text in texts]

    return function


def test_each_distinct_text_is_asked_once_and_blanks_never():
    asked = []
    teacher = CallableTeacher(counting(asked), batch_size=2)
    with pytest.warns(MissingLabelWarning, match=r"2 of 6 .*2 empty"):
        labels = teacher.label(["a 1", "b 1", "a 1", "", " \n", "a 2"], AB)
    assert asked == [["a 1", "b 1"], ["a 2"]]
    np.testing.assert_array_equal(labels.missing, [0, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(labels.proba[0], [1, 0])
    assert (labels.n_asked, labels.n_blank, labels.n_reused) == (3, 2, 1)


def test_a_plain_function_is_not_asked_again_by_a_clone_in_this_process():
    asked = []
    function = counting(asked)
    CallableTeacher(function).label(["a 1"], AB)
    again = clone(CallableTeacher(function)).label(["a 1", "b 2"], AB)
    assert asked == [["a 1"], ["b 2"]]
    assert again.n_asked == 1
    CallableTeacher(function).label(["a 1"], ABC)  # other classes, other question
    assert len(asked) == 3


def test_answers_of_a_dead_function_are_let_go():
    from skllkd.teachers import callable as _callable

    gc.collect()
    before = len(_callable._answers_of)
    function = counting([])
    CallableTeacher(function).label(["a 1"], AB)
    assert len(_callable._answers_of) == before + 1
    del function
    gc.collect()
    assert len(_callable._answers_of) == before


@pytest.mark.filterwarnings("ignore::skllkd.exceptions.MissingLabelWarning")
@pytest.mark.parametrize("cache_key", [None, "mine"])
def test_max_calls_is_counted_over_all_calls(cache_key):
    asked = []
    teacher = CallableTeacher(
        counting(asked), cache_key=cache_key, batch_size=2, max_calls=5
    )
    teacher.label(["a 1", "b 2", "a 3"], AB)
    with pytest.warns(BudgetReachedWarning, match="max_calls=5 is reached: 2 distinct"):
        labels = clone(teacher).label(["a 3", "a 4", "b 5", "a 6", "a 7"], AB)
    assert asked == [["a 1", "b 2"], ["a 3"], ["a 4", "b 5"]]
    assert labels.missing.tolist() == [False, False, False, True, True]
    with pytest.warns(BudgetReachedWarning):
        assert teacher.label(["b 8"], AB).n_asked == 0
    assert teacher.plan(["a 1", "b 8"], AB).spent.n_calls == 5


def test_a_cache_key_shares_answers_between_functions_and_store_false_shares_none():
    first, second, third = [], [], []
    CallableTeacher(counting(first), cache_key="mine").label(["a 1"], AB)
    CallableTeacher(counting(second), cache_key="mine").label(["a 1"], AB)
    assert (first, second) == ([["a 1"]], [])
    function = counting(third)
    for _ in range(2):
        CallableTeacher(function, cache_key="mine", store=False).label(["a 1"], AB)
    assert len(third) == 2


def test_what_was_answered_before_an_error_is_kept():
    asked = []

    def fails_on_b(texts):
        asked.append(texts)
        if "b" in texts and len(asked) < 3:
            raise ConnectionError("no answer")
        return texts

    teacher = CallableTeacher(fails_on_b, batch_size=1, cache_key="flaky")
    with pytest.raises(ConnectionError):
        teacher.label(["a", "b", "c"], ABC)
    labels = clone(teacher).set_params(function=fails_on_b).label
    asked.append("again")
    assert labels(["a", "b", "c"], ABC).n_asked == 2
    assert asked == [["a"], ["b"], "again", ["b"], ["c"]]


def test_no_answer_is_not_stored_as_one():
    answers = iter([[None, "b"], ["a"]])
    teacher = CallableTeacher(lambda texts: next(answers), cache_key="shy")
    with pytest.warns(MissingLabelWarning, match="1 without a usable answer"):
        teacher.label(["x", "y"], AB)
    labels = teacher.label(["x", "y"], AB)
    assert labels.n_asked == 1
    assert not labels.missing.any()


def test_as_teacher():
    def function(texts):
        return texts

    assert as_teacher(function).function is function
    teacher = PrecomputedTeacher([], [])
    assert as_teacher(teacher) is teacher
    with pytest.raises(InvalidParameterError, match="`teacher`.*got str"):
        as_teacher("gpt")


def test_bad_teacher_parameters_are_named():
    def label(**parameters):
        CallableTeacher(lambda texts: texts, **parameters).label(["a", "b"], AB)

    with pytest.raises(InvalidParameterError, match="`calibration`.*'platt'"):
        label(calibration="platt")
    with pytest.raises(InvalidParameterError, match="`batch_size`"):
        label(batch_size=0)
    with pytest.raises(InvalidParameterError, match="`cache_key`"):
        label(cache_key=" ")
    for bad in ([0.5, 0.3, 0.2], 0.5, [1, 0], {"a": 0.5, "z": 0.5}):
        with pytest.raises(InvalidParameterError, match="`class_prior`"):
            label(calibration=BatchCalibration(bad))
    with pytest.raises(InvalidParameterError, match="`store`.*True"):
        label(store=True, cache_key="k")
    with pytest.raises(InvalidParameterError, match="`function`"):
        CallableTeacher("gpt").label(["a"], AB)
