"""Properties of the answers of functions: probabilities, or an error of this package."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from skllkd import Multilabel
from skllkd._core.classes import as_classes
from skllkd.exceptions import SkllkdError, TeacherOutputError
from skllkd.teachers import PrecomputedTeacher
from skllkd.teachers.outputs import log_prob_of_output

UNANSWERED = "ignore::skllkd.exceptions.MissingLabelWarning"
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


def array_of_objects(entries):
    """Return an array of objects, rows of one length as its rows."""
    try:
        return np.array(entries, dtype=object)
    except ValueError:  # NumPy cannot lay out arrays and tuples beside each other
        column = np.empty(len(entries), dtype=object)
        column[:] = entries
        return column


answers = st.recursive(
    scalars | st.sets(st.sampled_from("ab")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.sampled_from(["a", "b", "label", "score", "x", 0, 1]), inner, max_size=3
        )
        | st.lists(inner, min_size=2, max_size=3).map(array_of_objects)
    ),
    max_leaves=8,
)


@example(output=[[array_of_objects([None, None])]], names=["a", "b"], n_texts=1)
@example(output=[(None, False)], names=["a", "b"], n_texts=1)
@given(output=answers, names=st.sampled_from(CLASSES), n_texts=st.integers(1, 4))
def test_any_answer_is_probabilities_or_a_named_error(output, names, n_texts):
    """Of one class a text, and of several."""
    for given_classes in (names, Multilabel(names)):
        try:
            log_prob = log_prob_of_output(output, n_texts, as_classes(given_classes))
        except TeacherOutputError:
            continue
        assert log_prob.shape == (n_texts, len(names))
        known = ~np.isnan(log_prob).any(axis=1)
        assert np.isnan(log_prob[~known]).all()
        proba = np.exp(log_prob[known])
        if given_classes is names:
            np.testing.assert_allclose(proba.sum(axis=1), 1, atol=2e-3)
        assert (proba <= 1 + 2e-3).all()


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
    for form in order.sample(forms, 3) if any(answered) else forms[:3]:
        found = np.exp(log_prob_of_output(form, len(expected), classes))
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.filterwarnings(UNANSWERED)
@given(
    known=distributions(),
    order=st.randoms(use_true_random=False),
    table_of=st.sampled_from([pd.DataFrame, pl.DataFrame, pa.table]),
    prefix=st.sampled_from(["proba_", "p "]),
)
def test_tables_with_columns_in_any_order_are_the_same_answers(
    known, order, table_of, prefix
):
    names, expected = known
    texts = [f"text {i}" for i in range(len(expected))]
    columns = {f"{prefix}{name}": expected[:, k] for k, name in enumerate(names)}
    columns |= {"text": texts, "id": [1] * len(texts), "label": ["other"] * len(texts)}
    table = table_of(
        {name: columns[name] for name in order.sample([*columns], len(columns))}
    )
    given = None if prefix == "proba_" else {n: f"{prefix}{n}" for n in names}
    if not np.isnan(expected).all():
        teacher = PrecomputedTeacher.from_table(table, proba=given)
        found = teacher.label(texts, names)
        np.testing.assert_allclose(found.proba, expected, atol=1e-12)


@pytest.mark.filterwarnings(UNANSWERED)
@given(
    entries=st.lists(st.tuples(scalars, scalars), min_size=1, max_size=4),
    names=st.sampled_from(CLASSES),
    has_confidence=st.booleans(),
)
@example(entries=[(pd.NA, None)], names=["a", "b"], has_confidence=False)
@example(entries=[(None, pd.NA)], names=["a", "b"], has_confidence=True)
def test_any_table_is_labels_or_a_named_error(entries, names, has_confidence):
    labels, sure = zip(*entries, strict=True)
    texts = [f"text {i}" for i in range(len(labels))]
    frame = pd.DataFrame({"text": texts})
    frame["label"] = pd.Series(labels, dtype=object)
    frame["sure"] = pd.Series(sure, dtype=object)
    confidence = "sure" if has_confidence else None
    try:
        teacher = PrecomputedTeacher.from_table(
            frame, label="label", confidence=confidence
        )
        proba = teacher.label(texts, names).proba
    except SkllkdError:
        return
    known = ~np.isnan(proba).any(axis=1)
    np.testing.assert_allclose(proba[known].sum(axis=1), 1)
    for row in np.flatnonzero(known):
        word = str(labels[row])
        assert names[proba[row].argmax()] == labels[row] or word in map(str, names)
