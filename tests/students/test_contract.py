"""Our own common checks, in the form of scikit-learn's, for classifiers of text."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import MultinomialNB
from skllkd import LLKDClassifier, students
from skllkd.selection import LLKDSelection, SelectAll
from skllkd.students import (
    FrozenEncoderStudent,
    GeneralizedCrossEntropy,
    SklearnStudent,
    TransformerStudent,
)
from skllkd.teachers import (
    BatchCalibration,
    CallableTeacher,
)

WORDS = {"a": "apple pie", "b": "brown bear", "c": "city council"}
TEXTS = [f"{WORDS[name]} number {i}" for i in range(6) for name in "abc"]


def by_first_letter(texts):
    return [text[0] for text in texts]


def as_numbers(texts):
    return ["abc".index(text[0]) for text in texts]


def is_a(texts):
    return [text[0] == "a" for text in texts]


STUDENTS = {
    "transformer": lambda path: TransformerStudent(path, device="cpu"),
    "transformer, architecture's head": lambda path: TransformerStudent(
        path, pooling="architecture", device="cpu"
    ),
    "transformer, attention, hidden layer, linear probe, another loss": (
        lambda path: TransformerStudent(
            path,
            pooling="attention",
            head="hidden",
            linear_probe_epochs=1,
            loss=GeneralizedCrossEntropy(),
            device="cpu",
        )
    ),
    "frozen encoder": lambda path: FrozenEncoderStudent(path, device="cpu"),
    "tf-idf": lambda path: SklearnStudent(MultinomialNB()),
}


def new_classifier(student):
    return LLKDClassifier(
        CallableTeacher(by_first_letter),
        ["a", "b", "c"],
        refine=None,
        selection=LLKDSelection(momentum=0.8),
        student=student,
        n_epochs=1,
        batch_size=8,
        random_state=0,
    )


@pytest.fixture(params=STUDENTS)
def classifier(request, tiny_path):
    return new_classifier(STUDENTS[request.param](tiny_path))


@pytest.fixture(scope="module", params=STUDENTS)
def fitted(request, tiny_path):
    """Return a fitted classifier for checks that leave it as it is."""
    return new_classifier(STUDENTS[request.param](tiny_path)).fit(TEXTS)


def check_clone(classifier):
    copy = clone(classifier)
    assert repr(copy.get_params()) == repr(classifier.get_params())


def fitted_check_clone(fitted):
    copy = clone(fitted)
    assert not hasattr(copy, "student_")
    assert repr(copy.get_params()) == repr(fitted.get_params())
    np.testing.assert_array_equal(
        copy.fit(TEXTS).predict_proba(TEXTS), fitted.predict_proba(TEXTS)
    )


def check_parameters_to_any_depth(classifier):
    parameters = classifier.get_params(deep=True)
    for name in ("selection__momentum", "teacher__calibration", "student"):
        assert name in parameters
    classifier.set_params(
        selection__momentum=0.3, teacher__calibration=BatchCalibration()
    )
    assert classifier.selection.momentum == 0.3
    assert isinstance(classifier.teacher.calibration, BatchCalibration)
    with pytest.raises(ValueError, match="Invalid parameter"):
        classifier.set_params(selection__no_such_thing=1)


def check_fit_twice_gives_the_same(classifier):
    first = classifier.fit(TEXTS).predict_proba(TEXTS)
    history = classifier.history_
    np.testing.assert_array_equal(classifier.fit(TEXTS).predict_proba(TEXTS), first)
    np.testing.assert_array_equal(classifier.history_["loss"], history["loss"])


def check_inputs_and_parameters_are_left_alone(classifier):
    texts = np.array(TEXTS, dtype=object)
    y = np.array(["a"] * len(texts))
    before = repr(classifier.get_params())
    fitted = classifier.fit(texts, y)
    fitted.predict(texts)
    assert texts.tolist() == TEXTS
    assert set(y) == {"a"}
    assert repr(classifier.get_params()) == before
    for part in (classifier.student, classifier.selection, classifier.teacher):
        assert not [name for name in vars(part) if name.endswith("_")]


def check_columns_of_any_kind_agree(classifier):
    wanted = classifier.fit(TEXTS).predict_proba(TEXTS)
    for column in (
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object)[:, None],
        pd.Series(TEXTS, index=range(100, 118)),
        pd.DataFrame({"text": TEXTS}),
    ):
        got = clone(classifier).fit(column).predict_proba(column)
        np.testing.assert_array_equal(got, wanted)


def check_class_names_of_any_kind(classifier):
    for teacher, names, wanted in (
        (by_first_letter, ["a", "b", "c"], str),
        (as_numbers, [0, 1, 2], int),
        (is_a, [True, False], bool),
    ):
        classifier.set_params(teacher=CallableTeacher(teacher), classes=names)
        predicted = classifier.fit(TEXTS).predict(TEXTS)
        assert type(predicted[0].item()) is wanted
        assert set(predicted) <= set(names)


def fitted_check_classes_are_sorted_and_columns_follow(fitted):
    other = clone(fitted).set_params(classes=["c", "a", "b"]).fit(TEXTS)
    assert other.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(other.pseudo_labels_, fitted.pseudo_labels_)
    np.testing.assert_allclose(
        other.predict_proba(TEXTS), fitted.predict_proba(TEXTS), atol=1e-6
    )


def fitted_check_predict_does_not_depend_on_row_order(fitted):
    order = np.random.RandomState(0).permutation(len(TEXTS))
    shuffled = fitted.predict_proba([TEXTS[i] for i in order])
    np.testing.assert_allclose(shuffled, fitted.predict_proba(TEXTS)[order], atol=1e-6)


def fitted_check_predict_does_not_depend_on_the_batch(fitted):
    alone = [fitted.predict_proba([text])[0] for text in TEXTS]
    np.testing.assert_allclose(alone, fitted.predict_proba(TEXTS), atol=1e-6)


def check_refit_on_other_classes(classifier):
    classifier.fit(TEXTS)
    classifier.set_params(
        teacher=CallableTeacher(as_numbers), classes={2: "c", 1: "b", 0: "a"}
    )
    classifier.fit(TEXTS)
    assert classifier.classes_.tolist() == [0, 1, 2]
    assert classifier.predict_proba(TEXTS[:4]).shape == (4, 3)
    classifier.set_params(
        teacher=CallableTeacher(is_a), classes=[True, False], selection=SelectAll()
    )
    assert classifier.fit(TEXTS[:9]).predict_proba(TEXTS[:4]).shape == (4, 2)
    assert len(classifier.times_selected_) == 9
    assert not hasattr(classifier, "teacher_thresholds_")


def fitted_check_pickle_predicts_alike(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        copy.predict_proba(TEXTS), fitted.predict_proba(TEXTS)
    )


def check_unfitted(classifier):
    for method in ("predict", "predict_proba", "score", "label"):
        with pytest.raises(NotFittedError):
            getattr(classifier, method)(TEXTS)
    with pytest.raises(NotFittedError):
        classifier.report()


def test_every_exported_student_is_checked():
    exported = {
        thing
        for name in students.__all__
        if isinstance(thing := getattr(students, name), type)
        and issubclass(thing, students.Student)
        and thing is not students.Student
    }
    assert {type(make("folder")) for make in STUDENTS.values()} == exported


def checks(prefix):
    return [check for name, check in globals().items() if name.startswith(prefix)]


@pytest.mark.parametrize("check", checks("check_"), ids=lambda check: check.__name__)
def test_common_check(check, classifier):
    check(classifier)


@pytest.mark.parametrize(
    "check", checks("fitted_check_"), ids=lambda check: check.__name__
)
def test_common_check_of_a_fitted_one(check, fitted):
    check(fitted)
