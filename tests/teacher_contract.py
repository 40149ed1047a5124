"""What every teacher keeps to: checks that run over each of them."""

import os
import pickle
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from sklearn.base import clone
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError, SkllkdWarning
from skllkd.students import SklearnStudent
from skllkd.teachers import BatchCalibration, LabelStore, MeteredTeacher, TeacherLabels

CLASSES = ["sports", "business"]
TEXTS = [
    "The striker scored twice in the second half.",
    "Shares fell after the company cut its forecast.",
    "The coach praised the goalkeeper.",
    "The bank raised interest rates.",
    "A record transfer fee for the midfielder.",
    "Profits at the airline doubled.",
]


def quietly(teacher, texts, classes=CLASSES, **more):
    """Return labels without their warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkllkdWarning)
        return teacher.label(texts, classes, **more)


def check_labels_are_distributions(teacher):
    labels = quietly(teacher, TEXTS)
    assert isinstance(labels, TeacherLabels) and len(labels) == len(TEXTS)
    assert labels.classes == tuple(CLASSES)
    for proba in (labels.proba, labels.raw_proba):
        assert proba.shape == (len(TEXTS), 2)
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-9)
        assert (proba >= 0).all()
    known = labels.label_mass[~np.isnan(labels.label_mass)]
    assert ((known >= 0) & (known <= 1)).all()
    assert not labels.missing.any() and set(labels.error) == {""}
    assert set(labels.source) <= {"model", "store"}


def check_every_text_gets_its_own_answer_in_any_order(teacher):
    order = np.random.RandomState(0).permutation(len(TEXTS))
    labels = quietly(teacher, TEXTS)
    shuffled = quietly(teacher, [TEXTS[i] for i in order], class_bias=labels.class_bias)
    np.testing.assert_allclose(shuffled.proba, labels.proba[order], rtol=1e-9)
    assert len({tuple(row) for row in labels.log_prob}) > 1


def check_repeats_are_asked_once_and_blanks_never(teacher):
    labels = quietly(teacher, [TEXTS[0], " \n", TEXTS[1], TEXTS[0], ""])
    assert labels.missing.tolist() == [False, True, False, False, True]
    assert labels.n_blank == 2
    np.testing.assert_array_equal(labels.log_prob[0], labels.log_prob[3])
    assert labels.error[1] == "empty or white space"
    if isinstance(teacher, MeteredTeacher):
        assert labels.n_asked == 2 and labels.n_reused == 1


def check_what_was_answered_is_not_asked_again(teacher):
    first = quietly(teacher, TEXTS)
    again = quietly(clone(teacher), [*TEXTS, TEXTS[0]])
    assert again.n_asked == 0 and again.usage.n_calls == 0
    np.testing.assert_array_equal(again.log_prob[:-1], first.log_prob)


def check_a_plan_asks_nothing_and_is_kept_to(teacher):
    plan = teacher.plan([*TEXTS, TEXTS[0], ""], CLASSES)
    assert plan.n_texts >= len(TEXTS) + 2 and plan.n_distinct >= len(TEXTS)
    assert plan.n_stored + plan.n_to_ask == plan.n_distinct and str(plan)
    labels = quietly(teacher, TEXTS)
    if isinstance(teacher, MeteredTeacher):
        assert labels.n_asked == plan.n_to_ask == len(TEXTS)
        assert 0 < labels.usage.n_calls <= plan.n_calls
    assert teacher.plan(TEXTS, CLASSES).n_to_ask == 0


def check_without_a_store_nothing_is_opened_or_written(teacher):
    if "store" not in teacher.get_params(deep=False):
        return
    folder = Path(os.environ["SKLLKD_CACHE"])
    before = sorted(folder.rglob("*"))
    without = clone(teacher).set_params(store=False)
    with mock.patch.object(LabelStore, "__init__", side_effect=AssertionError):
        assert without.plan(TEXTS, CLASSES).n_to_ask == len(TEXTS)
        for _ in range(2):  # nothing is remembered either
            assert quietly(without, TEXTS).n_asked == len(TEXTS)
    assert sorted(folder.rglob("*")) == before


def check_it_is_a_specification(teacher):
    quietly(teacher, TEXTS)
    data = pickle.dumps(teacher)
    assert len(data) < 20_000  # no weights, no connection
    for copy in (pickle.loads(data), clone(teacher)):
        assert repr(copy) == repr(teacher)
        assert copy.get_params().keys() == teacher.get_params().keys()
        labels = quietly(copy, TEXTS)
        np.testing.assert_array_equal(labels.proba, quietly(teacher, TEXTS).proba)


def check_classes_may_be_described_and_must_be_two(teacher):
    described = {"sports": "games and players", "business": "firms and markets"}
    assert quietly(teacher, TEXTS, described).classes == tuple(CLASSES)
    for bad in (["sports"], [], ["a", "a"]):
        with pytest.raises(InvalidParameterError):
            teacher.label(TEXTS, bad)


def check_bad_parameters_are_named(teacher):
    if "calibration" not in teacher.get_params(deep=False):
        return
    for bad, named in (
        ("magic", "calibration"),
        (BatchCalibration([0.5]), "class_prior"),
    ):
        with pytest.raises(InvalidParameterError, match=f"`{named}`"):
            quietly(clone(teacher).set_params(calibration=bad), TEXTS)


def check_the_calibration_has_nested_parameters(teacher):
    if "calibration" not in teacher.get_params(deep=False):
        return
    twin = clone(teacher).set_params(calibration=BatchCalibration())
    twin.set_params(calibration__class_prior="em")
    assert twin.get_params()["calibration__class_prior"] == "em"
    fresh = clone(teacher).set_params(calibration=None)
    with pytest.raises(InvalidParameterError, match="calibration__class_prior"):
        fresh.set_params(calibration__class_prior="em")
    if teacher.calibration is not None:  # no default is shared and changed
        clone(teacher).set_params(calibration__class_prior="em")
        assert teacher.calibration.class_prior is None
        with pytest.raises(AttributeError):
            teacher.calibration.class_prior = "em"


def check_calibration_changes_no_stored_answer(teacher):
    if "calibration" not in teacher.get_params(deep=False):
        return
    before = quietly(clone(teacher).set_params(calibration=None), TEXTS)
    after = quietly(clone(teacher).set_params(calibration=BatchCalibration()), TEXTS)
    assert before.class_bias is None
    np.testing.assert_array_equal(before.proba, before.raw_proba)
    np.testing.assert_array_equal(before.log_prob, after.log_prob)
    given = quietly(teacher, TEXTS[:1], class_bias=after.class_bias)
    np.testing.assert_array_equal(given.class_bias, after.class_bias)


def check_a_budget_stops_it_and_keeps_what_it_bought(teacher):
    if "max_calls" not in teacher.get_params(deep=False):
        assert not isinstance(teacher, MeteredTeacher)
        return
    limited = clone(teacher).set_params(max_calls=0)
    assert quietly(limited, TEXTS).missing.all()
    calls_a_text = max(1, teacher.plan(TEXTS, CLASSES).n_calls // len(TEXTS))
    limited.set_params(max_calls=4 * calls_a_text)
    labels = quietly(limited, TEXTS)
    n_known = int((~labels.missing).sum())
    assert 0 < n_known <= 4 and labels.usage.n_calls <= 4 * calls_a_text
    assert set(labels.error[labels.missing]) == {
        f"not sent: max_calls={4 * calls_a_text} is reached"
    }
    assert quietly(teacher, TEXTS).n_asked == len(TEXTS) - n_known


def check_prompts_are_compared_and_nothing_is_asked_twice(teacher):
    labels = quietly(teacher, TEXTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkllkdWarning)
        best = teacher.compare({"as it is": {}}, TEXTS, CLASSES).best
    assert best.answered == 1 and best.n_calls == 0
    np.testing.assert_array_equal(best.labels.proba, labels.proba)
    with pytest.raises(InvalidParameterError, match="no_such_parameter"):
        teacher.compare({"other": {"no_such_parameter": 1}}, TEXTS, CLASSES)


def check_it_teaches_a_classifier(teacher):
    clf = LLKDClassifier(teacher, CLASSES, student=SklearnStudent(), random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkllkdWarning)
        clf.set_params(on_missing_class="warn").fit(TEXTS * 4)
    assert set(clf.predict(TEXTS)) <= set(CLASSES)
    assert clf.teacher_proba_.shape == (24, 2)
    assert 0 <= clf.score(TEXTS) <= 1
    assert clf.report(TEXTS).overall.n_texts == len(TEXTS)


CHECKS = [thing for name, thing in list(globals().items()) if name.startswith("check_")]
