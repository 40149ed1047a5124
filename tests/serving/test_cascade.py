"""The cascade: who answers, at what cost, and how it is told apart from a promise."""

import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from skllkd import CascadeClassifier, CoverageDisplay, LLKDClassifier
from skllkd.exceptions import (
    BudgetReachedWarning,
    GuaranteeWarning,
    InvalidParameterError,
)
from skllkd.students import SklearnStudent
from skllkd.teachers import BatchCalibration, CallableTeacher

from tests.serving.told import CLASSES, ToldStudent, ToldTeacher, told_texts


@pytest.fixture
def teacher():
    return ToldTeacher()


def told(teacher=None, **parameters):
    given = {"target": 0.9, "held_out": 0.5, "random_state": 0} | parameters
    return CascadeClassifier(ToldStudent(), teacher, **given)


@pytest.fixture
def fitted(teacher):
    return told(teacher, audit_share=0).fit(told_texts(800))


def truth_of(texts):
    return [text.split()[3] for text in texts]


# ---- who answers


def test_the_student_answers_above_the_threshold_and_the_teacher_below(fitted, teacher):
    new = told_texts(300, seed=1)
    teacher.asked.clear()
    decided = fitted.decision(new)
    sure = np.array([float(text.split()[1]) for text in new])
    assert 0.5 < fitted.threshold_ < 1
    assert ((decided.source == "student") == (sure >= fitted.threshold_)).all()
    assert set(decided.source) == {"student", "teacher"}
    below = [t for t, c in zip(new, sure, strict=True) if c < fitted.threshold_]
    assert sorted(teacher.asked) == sorted(below)
    is_teacher = decided.source == "teacher"
    assert (decided.label[is_teacher] == np.array(truth_of(new))[is_teacher]).all()
    said = np.array([text.split()[2] for text in new])
    assert (decided.label[~is_teacher] == said[~is_teacher]).all()
    np.testing.assert_allclose(decided.confidence, decided.proba.max(axis=1))
    assert (fitted.predict(new) == decided.label).all()
    np.testing.assert_array_equal(fitted.predict_proba(new), decided.proba)
    assert decided.to_pandas().columns.tolist() == ["label", "confidence", "source"]


def test_the_promise_is_kept_on_new_texts(fitted):
    new = told_texts(20_000, seed=2)
    decided = fitted.decision(new)
    own = decided.source == "student"
    assert own.mean() > 0.3
    right = decided.label[own] == np.array(truth_of(new))[own]
    assert right.mean() >= 0.9


def test_the_student_never_learns_from_the_held_out_texts(teacher):
    texts = told_texts(200) * 3  # repeats must not stand on both sides
    cascade = told(teacher, target=0.5).fit(texts)
    learned = set(cascade.estimator_.learned_)
    assert cascade.n_held_out_ == 100
    assert len(learned) == 100
    assert len(cascade.estimator_.learned_) == 300
    assert set(teacher.asked).isdisjoint(learned)  # the student asked nobody


def test_without_a_teacher_it_abstains_with_the_marker():
    texts = told_texts(800)
    for marker, kind in [(None, "O"), ("ask a person", "U")]:
        cascade = told(abstention_label=marker).fit(texts, truth_of(texts))
        decided = cascade.decision(told_texts(100, seed=1))
        abstained = decided.source == "abstained"
        assert 0 < abstained.sum() < 100
        assert set(decided.label[abstained]) == {marker}
        assert set(decided.label[~abstained]) <= set(CLASSES)
        assert decided.label.dtype.kind == kind
        assert np.isnan(decided.proba[abstained]).all()
        assert (decided.confidence[abstained] < cascade.threshold_).all()
        assert "abstained" in repr(decided)


def test_teacher_false_asks_nobody(teacher):
    clf = LLKDClassifier(
        teacher, CLASSES, refine=None, student=SklearnStudent(), random_state=0
    )
    cascade = CascadeClassifier(clf, False, target=0.5, random_state=0)
    cascade.fit(told_texts(200))
    n_asked = len(teacher.asked)
    sources = set(cascade.decision(told_texts(200, seed=1)).source)
    assert sources <= {"student", "abstained"}
    assert len(teacher.asked) == n_asked == 200  # to learn from, and to agree with


def test_the_teacher_of_the_classifier_is_asked_through_its_store(teacher):
    clf = LLKDClassifier(
        teacher, CLASSES, refine=None, student=SklearnStudent(), random_state=0
    )
    with pytest.warns(GuaranteeWarning):
        cascade = CascadeClassifier(clf, random_state=0).fit(told_texts(60))
    new = told_texts(20, seed=1)
    teacher.asked.clear()
    assert cascade.predict(new).tolist() == truth_of(new)
    cascade.predict(new)
    assert sorted(teacher.asked) == sorted(new)  # each once


def test_a_spent_budget_abstains(teacher):
    limited = CallableTeacher(teacher, cache_key="told", max_calls=110)
    cascade = told(limited, target=0.5, held_out="prefit", audit_share=0)
    cascade.clf.fit(["x"])
    cascade.fit(told_texts(100))
    cascade.threshold_ = 2.0
    with pytest.warns(BudgetReachedWarning):
        decided = cascade.decision(told_texts(30, seed=1))
    assert (decided.source == "teacher").sum() == 10
    assert (decided.source == "abstained").sum() == 20


def test_another_teacher_is_calibrated_on_the_held_out_texts():
    def leaning(texts):  # to ham; on balance the text says otherwise
        return [(0.8, 0.2) if t.endswith("ham") else (0.6, 0.4) for t in texts]

    calibrated = CallableTeacher(leaning, calibration=BatchCalibration())
    cascade = told(calibrated, held_out="prefit", target=0.5, audit_share=0)
    cascade.clf.fit(["x"])
    texts = told_texts(400)
    cascade.fit(texts)
    cascade.threshold_ = 2.0
    assert cascade.predict(texts[:50]).tolist() == truth_of(texts[:50])


# ---- too few, or not good enough


def test_too_few_texts_answer_nothing_and_say_how_many_it_takes(teacher):
    with pytest.warns(GuaranteeWarning, match="20 held-out texts.*99 would do if all"):
        cascade = told(teacher, target=0.97).fit(told_texts(40))
    assert cascade.threshold_ == np.inf
    assert set(cascade.decision(told_texts(10, seed=1)).source) == {"teacher"}
    assert "answers nothing" in str(cascade.report())


def test_a_student_that_is_too_bad_is_told(teacher):
    with pytest.warns(GuaranteeWarning, match=r"no number would do.*improve"):
        told(teacher, target=0.99).fit(told_texts(600, error=0.3))


def test_more_texts_are_asked_for_where_they_would_help(teacher):
    with pytest.warns(GuaranteeWarning, match=r"about \d+ would do"):
        told(teacher, target=0.9).fit(told_texts(100, error=0.07))


def test_accuracy_is_measured_with_gold_labels_where_there_are_some(teacher):
    texts = told_texts(800)
    gold = [t if i % 2 else None for i, t in enumerate(truth_of(texts))]
    cascade = told(teacher, metric="accuracy").fit(texts, gold)
    assert 150 < cascade.n_held_out_ < 250
    assert teacher.asked == []
    unknown = told(metric="accuracy", target=0.5)
    with pytest.warns(GuaranteeWarning):  # a class the student does not know is wrong
        unknown.fit(texts, ["eggs"] * 800)


# ---- classifiers that have learned already


def test_prefit_leaves_out_the_texts_learned(teacher):
    texts = told_texts(120)
    clf = LLKDClassifier(
        teacher, CLASSES, refine=None, student=SklearnStudent(), random_state=0
    ).fit(texts[:60])
    cascade = CascadeClassifier(clf, target=0.4, held_out="prefit").fit(texts)
    assert cascade.n_held_out_ == 60
    assert cascade.estimator_ is clf
    assert clone(cascade).clf is clf
    with pytest.raises(InvalidParameterError, match="prove nothing"):
        CascadeClassifier(clf, held_out="prefit").fit(texts[:60])


def test_a_classifier_of_files_knows_each_text_it_learned(teacher):
    texts = told_texts(120)
    clf = LLKDClassifier(
        teacher, CLASSES, refine=None, student=SklearnStudent(), random_state=0
    )
    clf.partial_fit(texts[:40]).partial_fit(texts[40:60])
    loaded = pickle.loads(pickle.dumps(clf))
    cascade = CascadeClassifier(loaded, teacher, target=0.4, held_out="prefit")
    assert cascade.fit(texts[::-1]).n_held_out_ == 60
    with pytest.raises(InvalidParameterError, match="prove nothing"):
        cascade.fit(texts[30:50])  # some, in whatever order
    fresh = clf.fit(texts[60:])
    assert cascade.set_params(clf=fresh).fit(texts).n_held_out_ == 60


# ---- watch


def test_a_random_share_of_the_answers_is_checked_and_its_end_is_told(teacher):
    cascade = told(teacher, audit_share=0.5).fit(told_texts(800))
    cascade.predict(told_texts(200, seed=1))
    assert 10 < cascade.audit_.n_checked < 150
    assert cascade.audit_.holds
    with pytest.warns(GuaranteeWarning, match="no longer holds"):
        cascade.predict(told_texts(200, seed=2, error=0.5))
    assert not cascade.audit_.holds
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is told once
        cascade.predict(told_texts(50, seed=3, error=0.5))
    assert "no longer holds" in str(cascade.report())


def test_checks_do_not_change_answers(teacher):
    cascade = told(teacher, audit_share=1).fit(told_texts(800))
    new = told_texts(100, seed=1)
    own = cascade.decision(new).source == "student"
    said = np.array([text.split()[2] for text in new])
    assert (cascade.predict(new)[own] == said[own]).all()


def test_gold_labels_check_the_promise_of_accuracy(teacher):
    texts, new = told_texts(800), told_texts(300, seed=1)
    cascade = told(teacher, metric="accuracy", audit_share=1).fit(
        texts, truth_of(texts)
    )
    cascade.predict(new)
    assert cascade.audit_.n_checked == 0  # the teacher's labels say nothing of it
    log = cascade.audit(new, [*truth_of(new[:-1]), None])
    assert log is cascade.audit_
    own = cascade.decision(new).source == "student"
    assert log.n_checked == own[:-1].sum()
    with pytest.raises(InvalidParameterError, match="accuracy"):
        cascade.audit(new)


def test_the_audit_asks_the_teacher(fitted, teacher):
    new = told_texts(100, seed=1)
    teacher.asked.clear()
    log = fitted.audit(new)
    assert (
        log.n_checked
        == len(teacher.asked)
        == (fitted.decision(new).source == "student").sum()
    )


def test_drift_is_noticed_and_sameness_is_not(fitted):
    assert not fitted.drift(told_texts(400, seed=1)).drifted
    surer = [text.replace(" 0.", " 0.9") for text in told_texts(400, seed=1)]
    assert "confidence" in fitted.drift(surer).differing


def test_the_report_counts_traffic_and_costs(fitted):
    before = fitted.report(price=10)
    assert before.n_texts == 0
    assert before.shares["student"] == fitted.curve_.chosen_coverage
    fitted.predict(told_texts(100, seed=1))
    report = fitted.report(price=10)
    assert report.n_texts == 100
    assert report.cost == pytest.approx(10 * report.shares["teacher"])
    assert sum(report.shares.values()) == pytest.approx(1)
    assert report.latency["student"].n_calls == 1
    assert report.latency["teacher"].p99_ms >= report.latency["teacher"].median_ms > 0
    assert "with the student, 10 without" in str(report)
    assert "agree with the teacher" in str(report)


def test_nothing_is_paid_where_nobody_is_asked():
    texts = told_texts(800)
    cascade = told().fit(texts, truth_of(texts))
    decided = cascade.decision(told_texts(200, seed=1))
    report = cascade.report(price=10)
    n = (decided.source == "abstained").sum()
    assert 0 < n < 200
    assert report.cost is None
    assert f"no teacher is asked, and {5 * n} are abstained from" in str(report)
    assert f"would cost {n / 20:.4g} for these, and 10 without" in str(report)


def test_the_display_shows_the_chosen_threshold(fitted):
    pytest.importorskip("matplotlib").use("agg")
    display = CoverageDisplay.from_estimator(fitted)
    frame = display.to_frame()
    assert frame["threshold"][frame["chosen"]].tolist() == [fitted.threshold_]
    assert f"{fitted.curve_.chosen_coverage:.0%}"[:-1] in display.ax_.get_title()
    with pytest.warns(GuaranteeWarning):
        none = told(ToldTeacher(), target=0.97).fit(told_texts(40))
    assert "No threshold" in CoverageDisplay.from_estimator(none).ax_.get_title()


# ---- parameters, and scikit-learn


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"target": 1.0}, "target"),
        ({"confidence": 95}, "confidence.*95"),
        ({"metric": "f1"}, "metric.*f1"),
        ({"held_out": 0}, "held_out"),
        ({"held_out": "all"}, "held_out.*all"),
        ({"audit_share": -1}, "audit_share"),
        ({"clf": CLASSES}, "predict_proba"),
        ({"abstention_label": "spam"}, "abstention_label.*spam"),
        ({"abstention_label": 3}, "abstention_label.*3"),
        ({"metric": "accuracy"}, "give labels"),
    ],
)
def test_a_bad_parameter_is_named(parameters, match, teacher):
    with pytest.raises(InvalidParameterError, match=match):
        told(teacher).set_params(**parameters).fit(told_texts(40))


def test_without_teacher_and_labels_there_is_nothing_to_agree_with():
    with pytest.raises(InvalidParameterError, match="or a teacher"):
        told().fit(told_texts(40))


def test_pickles_leave_the_teacher_behind(fitted, teacher, tmp_path):
    new = told_texts(50, seed=1)
    expected = fitted.decision(new)
    joblib.dump(fitted, tmp_path / "cascade.joblib")
    loaded = joblib.load(tmp_path / "cascade.joblib")
    decided = loaded.decision(new)
    own = expected.source == "student"
    assert (decided.source[~own] == "abstained").all()
    assert (decided.label[own] == expected.label[own]).all()
    loaded.set_params(teacher=teacher)
    assert (loaded.predict(new) == expected.label).all()
    assert fitted.teacher is teacher
    assert clone(fitted).teacher is teacher


def test_it_searches_and_scores_like_any_classifier():
    texts = [f"{word} {i}" for i in range(60) for word in ("goal match", "law vote")]
    y = np.array(["sports", "politics"] * 60)
    clf = make_pipeline(TfidfVectorizer(), LogisticRegression())
    cascade = CascadeClassifier(clf, target=0.8, random_state=0)
    search = GridSearchCV(cascade, {"held_out": [0.3, 0.5]}, cv=2).fit(texts, y)
    assert search.best_score_ == 1
    assert cross_val_score(cascade, texts, y, cv=2).min() == 1
    assert search.best_estimator_.score(texts, y, np.ones(120)) == 1
