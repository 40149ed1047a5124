"""Properties of the answers of functions: probabilities, or an error of this package."""

from datetime import date

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

from tests.choices import Choices, built

UNANSWERED = "ignore::skllkd.exceptions.MissingLabelWarning"
CLASSES = [["a", "b"], ["b", "c", "a"], [0, 1], [2, 1, 0], [True, False]]
SCALARS = [
    lambda _: None,
    lambda c: bool(c.below(2)),
    lambda c: c.below(7) - 3,
    Choices.integer,
    Choices.number,
    lambda c: c.of(["a", "b", "c", "0,9", "0.5", "label", "score", ""]),
    lambda c: c.text(2),
    lambda c: c.take(c.below(3)),
    lambda c: complex(c.number(), c.number()),
    lambda c: date.fromordinal(1 + int.from_bytes(c.take(3)) % date.max.toordinal()),
    lambda c: np.float32(c.below(256) / 255),
    lambda c: c.of(
        [np.str_("a"), np.int64(1), np.bool_(True), pd.NA, pd.NaT, np.array(1)]
    ),
]


def scalar(choices):
    """Choose a value of some type."""
    return choices.of(SCALARS)(choices)


def array_of_objects(entries):
    """Return an array of objects, rows of one length as its rows."""
    try:
        return np.array(entries, dtype=object)
    except ValueError:  # NumPy cannot lay out arrays and tuples beside each other
        column = np.empty(len(entries), dtype=object)
        column[:] = entries
        return column


KEYS = ["a", "b", "label", "score", "x", 0, 1]


def scores(choices):
    """Make the probabilities of some classes, or of a number of them."""
    share = choices.below(9) / 8
    row = choices.of([[share, 1 - share], [share, 1 - share, 0.0]])
    return dict(zip("abc", row, strict=False)) if choices.below(2) else row


def answer(choices, depth=3):
    """Make a value, a set of classes, or values in lists, tuples, dicts and arrays."""
    if choices.below(5) < 4 - depth:
        is_set = choices.below(8) == 7
        return set("ab"[: choices.below(3)]) if is_set else scalar(choices)

    def inner(c):
        return answer(c, depth - 1)

    kind = choices.below(6)
    if kind > 3:  # of one kind, as most answers that are taken are
        make = scores if choices.below(2) else choices.of(SCALARS)
        return choices.several(make, 4, least=1)
    if kind == 0:
        return choices.several(inner, 4)
    if kind == 1:
        return inner(choices), inner(choices)
    if kind == 2:
        return choices.mapping(lambda c: c.of(KEYS), inner)
    return array_of_objects(choices.several(inner, 3, least=2))


@example(output=[[array_of_objects([None, None])]], names=["a", "b"], n_texts=1)
@example(output=[(None, False)], names=["a", "b"], n_texts=1)
@example(output=[np.array("a"), np.array(1)], names=["a", "b"], n_texts=2)
@given(
    output=built(answer, 256), names=st.sampled_from(CLASSES), n_texts=st.integers(1, 4)
)
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


def distribution(choices):
    """Make classes in any order, and rows of probabilities, or none."""
    names = shuffled(choices.of(CLASSES), choices)
    rows = []
    for _ in range(1 + choices.below(4)):
        weights = [choices.below(10) for _ in names]
        known = any(weights) and choices.below(3)
        rows.append([w / sum(weights) if known else np.nan for w in weights])
    return names, np.array(rows)


def shuffled(items, choices):
    """Return items in any order."""
    left = list(items)
    return [left.pop(choices.below(len(left))) for _ in items]


#: Functions that put items in an order, the same whenever they are called.
orders = st.binary(min_size=16, max_size=16).map(
    lambda data: lambda items: shuffled(items, Choices(data))
)


@given(known=built(distribution, 32), order=orders)
def test_probabilities_are_the_same_in_every_form(known, order):
    names, expected = known
    classes = as_classes(names)
    columns = {name: expected[:, names.index(name)] for name in order(names)}
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
    for form in order(forms)[:3] if any(answered) else forms[:3]:
        found = np.exp(log_prob_of_output(form, len(expected), classes))
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.filterwarnings(UNANSWERED)
@given(
    known=built(distribution, 32),
    order=orders,
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
    table = table_of({name: columns[name] for name in order([*columns])})
    given = None if prefix == "proba_" else {n: f"{prefix}{n}" for n in names}
    if not np.isnan(expected).all():
        teacher = PrecomputedTeacher.from_table(table, proba=given)
        found = teacher.label(texts, names)
        np.testing.assert_allclose(found.proba, expected, atol=1e-12)


@pytest.mark.filterwarnings(UNANSWERED)
@given(
    entries=built(lambda c: c.several(lambda c: (scalar(c), scalar(c)), 4, least=1)),
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
