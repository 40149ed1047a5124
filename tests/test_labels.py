"""Labels given to whatever takes some: in each form, or refused before a call."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import check_scoring
from skllkd import CascadeClassifier, LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.students import SklearnStudent
from skllkd.teachers import CalibratedTeacher, CallableTeacher

TEXTS = [f"{a} {i}" for i in range(10) for a in ("card refund", "server down")]
WORDS = ["billing", "outage"] * 10
NUMBERS = [3, 7] * 10
FORMS = {
    "array": (WORDS, np.array),
    "objects": (WORDS, lambda v: np.array(v, dtype=object)),
    "series": (WORDS, lambda v: pd.Series(v, index=range(20, 0, -1))),
    "categories": (WORDS, lambda v: pd.Series(v, dtype="category")),
    "polars": (WORDS, pl.Series),
    "arrow": (WORDS, pa.array),
    "arrow dictionary": (WORDS, lambda v: pa.array(v).dictionary_encode()),
    "numpy ints": (NUMBERS, lambda v: [np.int64(x) for x in v]),
    "objects of ints": (NUMBERS, lambda v: np.array(v, dtype=object)),
    "whole floats": (NUMBERS, lambda v: np.array(v, dtype=np.float32)),
    "nullable ints": (NUMBERS, lambda v: pd.Series(v, dtype="Int64")),
    "digits": ([str(n) for n in NUMBERS], list),
    "flags": ([False, True] * 10, lambda v: pd.Series(v, dtype="boolean")),
}
ODD = {
    "words for numbers": ([3, 7], ["3", "7"] * 10),
    "numbers for words": (["3", "7"], NUMBERS),
    "another case": (["billing", "outage"], [word.upper() for word in WORDS]),
    "bytes": (["billing", "outage"], np.array(WORDS, dtype=bytes)),
    "a word": (["billing", "outage"], "billing"),
    "fractions": ([3, 7], [0.5] * 20),
    "dicts": (["billing", "outage"], [{"label": word} for word in WORDS]),
    "too few": (["billing", "outage"], WORDS[:19]),
    "a table": (["billing", "outage"], np.array(WORDS).reshape(10, 2)),
}


def counted(names):
    """Return a function that names the classes, and the texts it was asked about."""
    asked = []

    def teach(texts):
        asked.extend(texts)
        return [names["server" in text] for text in texts]

    return teach, asked


def classifier(teacher=None, classes=None):
    student = SklearnStudent()
    return LLKDClassifier(teacher, classes, student=student, random_state=0, verbose=0)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_learned_scored_and_used_as_gold(form):
    labels, of = FORMS[form]
    names = sorted(set(labels))
    fitted = classifier().fit(TEXTS, of(labels))
    assert fitted.classes_.tolist() == names
    right = np.mean(
        [p == y for p, y in zip(fitted.predict(TEXTS), labels, strict=True)]
    )
    assert fitted.score(TEXTS, of(labels)) == right > 0.5
    assert fitted.evaluate(TEXTS, of(labels)).accuracy.share == right
    teach, _ = counted(names)
    taught = classifier(teach, names).fit(TEXTS, of(labels), gold=of(labels))
    assert taught.score(TEXTS, of(labels)) > 0.5
    assert taught.gold_accuracy_["teacher"].share == 1
    assert check_scoring(taught)(taught, TEXTS, of(labels)) > 0.5


@pytest.mark.parametrize("form", ["series", "polars", "nullable ints"])
def test_each_form_is_taken_by_what_stands_around_a_classifier(form):
    labels, of = FORMS[form]
    names = sorted(set(labels))
    teach, _ = counted(names)
    cascade = CascadeClassifier(classifier(teach, names), metric="accuracy", target=0.5)
    cascade.fit(TEXTS, of(labels))
    assert 0 <= cascade.score(TEXTS, of(labels)) <= 1
    teacher = CallableTeacher(teach, store=False)
    calibrated = CalibratedTeacher(teacher, TEXTS, of(labels))
    assert not calibrated.label(TEXTS, names).missing.any()


@pytest.mark.parametrize("odd", ODD)
def test_others_are_refused_by_name_before_a_call(odd):
    names, labels = ODD[odd]
    teach, asked = counted(names)
    fits = [
        lambda: classifier(classes=names).fit(TEXTS, labels),
        lambda: classifier(teach, names).fit(TEXTS, gold=labels),
        lambda: CalibratedTeacher(
            CallableTeacher(teach, store=False), TEXTS, labels
        ).label(TEXTS, names),
    ]
    for fit in fits:
        with pytest.raises(InvalidParameterError, match="`(y|gold)`"):
            fit()
    assert asked == []
    fitted = classifier().fit(TEXTS, names * 10)
    for judge in (fitted.score, fitted.evaluate):
        with pytest.raises(InvalidParameterError, match="`y`"):
            judge(TEXTS, labels)
