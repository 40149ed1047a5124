"""Bad input is a named error that shows the value, before a call is paid for."""

import math

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError, SkllkdError, TeacherOutputError
from skllkd.refinement import Refinement
from skllkd.selection import AcceptReject, SelectAll
from skllkd.students import SklearnStudent

from tests.selection.test_contract import STRATEGIES

TEXTS = [f"{a} {i}" for i in range(10) for a in ("card refund", "server down")]
NAMES = ["billing", "outage"]
ODD = [None, "x", -1, 0, 0.5, math.nan, math.inf, True, [], {}, object()]
ODD += [np.array([1, 2]), (1, 2, 3)]


class Paid:
    """A teacher that counts the texts it is asked about."""

    def __init__(self):
        self.n_texts = 0

    def __call__(self, texts):
        self.n_texts += len(texts)
        return [NAMES["server" in text] for text in texts]


def classifier(**parameters):
    defaults = {"student": SklearnStudent(), "verbose": 0, "n_epochs": 1}
    return LLKDClassifier(Paid(), **({"classes": NAMES} | defaults | parameters))


PARAMETERS = sorted(set(LLKDClassifier().get_params(deep=False)) - {"teacher"})


def faults(classifiers):
    """Return what is raised without a name, or after the teacher was paid."""
    found = []
    for shown, odd in classifiers:
        try:
            odd.fit(TEXTS[:8]).predict(TEXTS[:2])
        except Exception as error:
            is_named = isinstance(error, SkllkdError) or str(shown[0]) in str(error)
            is_answer = isinstance(error, TeacherOutputError)  # of other classes
            if not is_named or (odd.teacher.n_texts and not is_answer):
                found.append((*shown, type(error).__name__, str(error)[:80]))
    return found


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.filterwarnings("ignore")
def test_each_value_of_each_parameter_works_or_is_named_before_a_call(name):
    values = [
        v for v in ODD if not (name == "student" and v is None)
    ]  # it is on the hub
    assert not faults(((name, v), classifier(**{name: v})) for v in values)


@pytest.mark.parametrize("part", ["selection", "refine", "acquisition"])
@pytest.mark.filterwarnings("ignore")
def test_each_value_of_a_part_s_parameters_works_or_is_named_before_a_call(part):
    parts = {
        "selection": [strategy() for strategy in STRATEGIES],
        "refine": [Refinement()],
        "acquisition": [AcceptReject()],
    }[part]
    assert not faults(
        (
            (name, v, type(each).__name__),
            classifier(**{part: type(each)(**{name: v})}),
        )
        for each in parts
        for name in each.get_params(deep=False)
        for v in ODD
    )


WEIGHTS = {
    "too many": [1] * 21,
    "too few": [1] * 3,
    "zeros": [0] * 20,
    "no number": [math.nan] * 20,
    "infinite": [math.inf] * 20,
    "negative": [-1, 2] * 10,
    "a table": np.ones((20, 1)),
    "words": ["a"] * 20,
    "a number": 2,
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_are_none_are_named_in_fit_and_score(kind):
    unfitted, fitted = classifier(), classifier().fit(TEXTS)
    n_asked = fitted.teacher.n_texts
    for method in (unfitted.fit, fitted.score):
        with pytest.raises(InvalidParameterError, match="`sample_weight`.*20 texts"):
            method(TEXTS, sample_weight=WEIGHTS[kind])
    assert (unfitted.teacher.n_texts, fitted.teacher.n_texts) == (0, n_asked)


def test_zeros_mask_texts_in_fit_and_in_the_score_without_gold():
    weight = np.tile([1.0, 0.0, 0.0, 1.0], 5)
    labels = [NAMES["server" in text] for text in TEXTS]
    masked = [label if w else NAMES[0] for label, w in zip(labels, weight, strict=True)]
    given = LLKDClassifier(
        student=SklearnStudent(), selection=SelectAll(), random_state=0, verbose=0
    )
    right = clone(given).fit(TEXTS, labels, sample_weight=weight).predict_proba(TEXTS)
    other = clone(given).fit(TEXTS, masked, sample_weight=weight).predict_proba(TEXTS)
    np.testing.assert_allclose(right, other, atol=1e-9)
    fitted = classifier().fit(TEXTS)
    some = [text for text, w in zip(TEXTS, weight, strict=True) if w]
    assert fitted.score(TEXTS, sample_weight=weight) == pytest.approx(
        fitted.score(some)
    )


@pytest.mark.parametrize(
    "names", [["a\0", "b"], ["a", "b\0"], ["a", " a"], ["", "b"], ["a", 1]]
)
def test_names_that_arrays_cannot_hold_are_refused_before_a_call(names):
    odd = classifier().set_params(classes=names)
    with pytest.raises(InvalidParameterError, match="`classes`"):
        odd.fit(TEXTS)
    assert odd.teacher.n_texts == 0


@pytest.mark.parametrize(
    "names", [["\0a", "b"], ["a\nb", "c"], ["é", "e"], ["\ud800", "x"], ["nan", "None"]]
)
def test_names_of_any_other_string_come_back_as_they_are(names):
    def teach(texts):
        return [names["server" in text] for text in texts]

    fitted = LLKDClassifier(
        teach, names, student=SklearnStudent(), random_state=0, verbose=0
    ).fit(TEXTS)
    assert fitted.predict(["card refund", "server down"]).tolist() == names


METHODS = {
    "predict": [TEXTS],
    "predict_proba": [TEXTS],
    "score": [TEXTS],
    "label": [TEXTS],
    "known_teacher_proba": [TEXTS],
    "report": [TEXTS],
    "label_issues": [TEXTS],
    "save": ["folder"],
    "export_onnx": ["m.onnx", TEXTS],
}


@pytest.mark.parametrize("method", METHODS)
def test_an_unfitted_classifier_says_so(method, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    unfitted = classifier()
    if not hasattr(unfitted, method):
        pytest.skip("no such method")
    with pytest.raises(NotFittedError):
        getattr(unfitted, method)(*METHODS[method])
    with pytest.raises(NotFittedError):
        next(unfitted.predict_stream(iter(TEXTS)))
    assert unfitted.teacher.n_texts == 0 and not list(tmp_path.iterdir())
