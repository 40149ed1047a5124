"""Properties of the answers of functions: probabilities, or an error of this package."""

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from skllkd._core.classes import as_classes
from skllkd.exceptions import TeacherOutputError
from skllkd.teachers.outputs import log_prob_of_output

CLASSES = [["a", "b"], ["b", "c", "a"], [0, 1], [2, 1, 0], [True, False]]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.sampled_from(["a", "b", "c", "0,9", "0.5", "label", "score", ""]),
    st.text(max_size=2),
    st.binary(max_size=2),
    st.complex_numbers(),
    st.dates(),
    st.floats(0, 1).map(np.float32),
    st.sampled_from(
        [np.str_("a"), np.int64(1), np.bool_(True), pd.NA, pd.NaT, np.array(1)]
    ),
)
answers = st.recursive(
    scalars | st.sets(st.sampled_from("ab")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.sampled_from(["a", "b", "label", "score", "x", 0, 1]), inner, max_size=3
        )
        | st.lists(inner, min_size=2, max_size=3).map(
            lambda v: np.array(v, dtype=object)
        )
    ),
    max_leaves=12,
)


@given(output=answers, names=st.sampled_from(CLASSES), n_texts=st.integers(1, 4))
def test_any_answer_is_probabilities_or_a_named_error(output, names, n_texts):
    try:
        log_prob = log_prob_of_output(output, n_texts, as_classes(names))
    except TeacherOutputError:
        return
    assert log_prob.shape == (n_texts, len(names))
    known = ~np.isnan(log_prob).any(axis=1)
    assert np.isnan(log_prob[~known]).all()
    np.testing.assert_allclose(np.exp(log_prob[known]).sum(axis=1), 1, atol=2e-3)


@st.composite
def distributions(draw):
    """Classes in any order, and rows of probabilities, or none."""
    names = draw(st.permutations(draw(st.sampled_from(CLASSES))))
    weights = st.lists(st.integers(0, 9), min_size=len(names), max_size=len(names))
    rows = draw(st.lists(st.none() | weights.filter(any), min_size=1, max_size=4))
    nothing = [np.nan] * len(names)
    rows = [
        nothing if row is None else np.divide(row, sum(row)).tolist() for row in rows
    ]
    return names, np.array(rows)


@given(known=distributions(), order=st.randoms(use_true_random=False))
def test_probabilities_are_the_same_in_every_form(known, order):
    names, expected = known
    classes = as_classes(names)
    shuffled = order.sample(names, len(names))
    columns = {name: expected[:, names.index(name)] for name in shuffled}
    by_word = {str(name): column for name, column in columns.items()}
    answered = [not np.isnan(row).any() for row in expected]
    forms = [
        expected,
        expected.tolist(),
        list(expected),
        pd.DataFrame(columns),
        pa.table(by_word),
        by_word,
        [
            dict(zip(names, row, strict=True)) if has else None
            for row, has in zip(expected.tolist(), answered, strict=True)
        ],
        [
            [{"label": n, "score": p} for n, p in zip(names, row, strict=True)]
            if has
            else None
            for row, has in zip(expected.tolist(), answered, strict=True)
        ],
    ]
    for form in forms[: None if any(answered) else 3]:
        found = np.exp(log_prob_of_output(form, len(expected), classes))
        np.testing.assert_allclose(found, expected, atol=1e-12)
