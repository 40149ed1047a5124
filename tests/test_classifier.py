import copy
import re
import threading
import warnings

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from skllkd import LLKDClassifier
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    SavedModelError,
    SkllkdWarning,
    TeacherOutputError,
)
from skllkd.refinement import Refinement
from skllkd.selection import LLKDSelection, SelectAll, Selected, Selection
from skllkd.students import SklearnStudent, Student, TransformerStudent
from skllkd.teachers import (
    BatchCalibration,
    CallableTeacher,
    PrecomputedTeacher,
)

from tests.conftest import TOPICS, GoldTeacher


def test_learns_from_a_teacher_without_labels(quick_classifier, news):
    texts, gold = news
    classifier = quick_classifier.fit(texts[:300])
    assert classifier.score(texts[300:], gold[300:]) > 0.6
    proba = classifier.predict_proba(texts[300:])
    assert proba.shape == (100, 5)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    predicted = classifier.predict(texts[300:])
    np.testing.assert_array_equal(predicted, classifier.classes_[proba.argmax(axis=1)])


def test_fitted_evidence(quick_classifier, news, gold_teacher):
    texts, gold = news
    pool = [*texts[:100], texts[0], "", "  "]
    quick_classifier.set_params(selection=LLKDSelection())
    with pytest.warns(MissingLabelWarning, match=r"2 of 103 .*2 empty"):
        classifier = quick_classifier.fit(pool)
    n_steps = 3 * 2
    assert classifier.classes_.tolist() == TOPICS
    assert classifier.pseudo_labels_[:101].tolist() == [*gold[:100], gold[0]]
    assert classifier.pseudo_labels_[101:].tolist() == [None, None]
    assert classifier.teacher_proba_.shape == (103, 5)
    assert np.isnan(classifier.teacher_proba_[101:]).all()
    assert classifier.times_selected_.shape == (103,)
    assert classifier.times_selected_[101:].tolist() == [0, 0]
    assert classifier.times_selected_.max() <= 3
    history = classifier.history_
    assert {len(column) for column in history.values()} == {n_steps}
    assert history["n_presented"].sum() == 3 * 101
    assert history["n_selected"].sum() == classifier.times_selected_.sum() > 0
    assert classifier.teacher_thresholds_.shape == (n_steps, 5)
    assert np.isfinite(classifier.student_thresholds_).all()
    assert classifier.n_teacher_calls_ == len(gold_teacher.asked) == 100
    assert classifier.n_teacher_calls_saved_ == 1
    assert set(classifier.seconds_) == {"labelling", "refinement", "training"}


def test_columns_follow_sorted_classes_whatever_order_was_given(news):
    texts, gold = news
    order = ["tech", "sports", "business", "politics", "entertainment"]
    teacher = GoldTeacher(texts, gold)

    def in_given_order(some):
        return teacher(some)[:, [TOPICS.index(name) for name in order]]

    classifier = LLKDClassifier(in_given_order, order, student=SklearnStudent())
    classifier.fit(texts[:100])
    assert classifier.classes_.tolist() == TOPICS
    assert classifier.pseudo_labels_.tolist() == gold[:100]
    assert classifier.score(texts[:100]) > 0.5  # agreement, through the same order


def test_labels_bought_elsewhere(news):
    texts, gold = news
    given = pd.Series([*gold[:98], None, np.nan], dtype=object)
    classifier = LLKDClassifier(student=SklearnStudent(), random_state=0)
    with pytest.warns(MissingLabelWarning, match="2 of 100"):
        classifier.fit(texts[:100], given)
    assert classifier.pseudo_labels_[:98].tolist() == gold[:98]
    assert classifier.score(texts[:98], gold[:98]) > 0.9
    assert classifier.n_teacher_calls_ == classifier.n_teacher_calls_saved_ == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a", None, "b", "a"], ["a", None, "b", "a"]),
        (pd.Series(["a", pd.NA, "b", "a"], dtype="string"), ["a", None, "b", "a"]),
        (pd.Series([1, None, 2, 1]), [1, None, 2, 1]),
        (np.array([True, False, False, True]), [True, False, False, True]),
        (pa.array(["a", None, "b", "a"]), ["a", None, "b", "a"]),
    ],
)
def test_labels_in_y_of_any_kind(given, expected):
    texts = ["good one", "some text", "bad one", "good thing"]
    classifier = LLKDClassifier(student=SklearnStudent(), verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingLabelWarning)
        classifier.fit(texts, given)
    assert classifier.pseudo_labels_.tolist() == expected
    assert type(classifier.predict(texts)[0].item()) is type(expected[0])


def test_a_blank_text_with_a_label_is_not_trained_on():
    classifier = LLKDClassifier(selection=SelectAll(), student=SklearnStudent())
    with pytest.warns(MissingLabelWarning, match=r"2 of 4 .*1 empty.*1 without"):
        classifier.fit(["good one", "  ", "bad one", "other"], ["a", "b", "b", None])
    assert (classifier.times_selected_ > 0).tolist() == [True, False, True, False]


@pytest.mark.parametrize("odd", [["a"], {"a"}, {"label": "a"}, b"a", ("a",)], ids=str)
@pytest.mark.parametrize("classes", [None, ["a", "b"]], ids=str)
def test_labels_in_y_that_are_none_are_named(odd, classes):
    classifier = LLKDClassifier(classes=classes, student=SklearnStudent(), verbose=0)
    with pytest.raises(InvalidParameterError, match=r"`y` must hold one label.*row 1"):
        classifier.fit(["one", "two"], ["b", odd])


@pytest.mark.parametrize("odd", [pd.DataFrame(), np.full((2, 2), "a")], ids=str)
def test_tables_in_y_are_named(odd):
    classifier = LLKDClassifier(student=SklearnStudent(), verbose=0)
    with pytest.raises(InvalidParameterError, match="`y` must be one column"):
        classifier.fit(["one", "two"], odd)


def test_given_probabilities_are_found_by_their_names():
    frame = pd.DataFrame({"b": [0.9, 0.2, 0.8], "a": [0.1, 0.8, 0.2]})
    texts = ["one red", "two blue", "three red"]
    classifier = LLKDClassifier(classes=["a", "b"], student=SklearnStudent(), verbose=0)
    classifier.set_params(refine=None).fit(texts, teacher_proba=frame)
    np.testing.assert_allclose(classifier.teacher_proba_, frame[["a", "b"]])


def test_given_probabilities_are_left_as_they_are():
    texts = ["good one", "", "bad one"]
    given = np.array([[0.9, 0.1], [0.5, 0.5], [0, 1]])
    classifier = LLKDClassifier(
        classes=["a", "b"], selection=SelectAll(), student=SklearnStudent()
    )
    with pytest.warns(MissingLabelWarning):
        classifier.fit(texts, teacher_proba=given)
    assert np.isnan(classifier.teacher_proba_[1]).all()
    assert given.tolist() == [[0.9, 0.1], [0.5, 0.5], [0, 1]]


def test_labels_of_mixed_types():
    with pytest.raises(InvalidParameterError, match="one type"):
        LLKDClassifier().fit(["x", "y"], ["a", 1])


def test_gold_is_never_trained_on_when_there_is_a_teacher(news):
    texts, gold = news

    def fit(y):
        teacher = GoldTeacher(texts, gold)
        classifier = LLKDClassifier(
            teacher, TOPICS, student=SklearnStudent(), random_state=0
        )
        return classifier.fit(texts[:80], y).predict_proba(texts[80:120])

    np.testing.assert_array_equal(fit(None), fit(["sports"] * 80))


class CallableObject:
    """A teacher that is an object, neither hashable nor copied without loss."""

    __hash__ = None

    def __init__(self):
        self.asked = []

    def __eq__(self, other):
        return False

    def __call__(self, texts):
        self.asked += texts
        return ["a" if "good" in text else "b" for text in texts]


def test_clones_share_a_callable_object_and_its_answers():
    teacher = CallableObject()
    classifier = LLKDClassifier(teacher, ["a", "b"], student=SklearnStudent())
    texts = [f"{word} text {i}" for i in range(9) for word in ("good", "bad")]
    assert clone(classifier).teacher is teacher
    cross_val_score(classifier, texts, cv=3)
    assert sorted(teacher.asked) == sorted(texts)


@pytest.mark.parametrize("names", [[0, 1], [10, -3], [True, False]])
def test_integer_and_boolean_classes(names):
    texts = [f"good thing {i}" for i in range(20)] + [
        f"bad thing {i}" for i in range(20)
    ]

    def teacher(some):
        return [names[0] if "good" in text else names[1] for text in some]

    classifier = LLKDClassifier(teacher, names, student=SklearnStudent()).fit(texts)
    assert classifier.classes_.tolist() == sorted(names)
    assert classifier.predict(["a good one"]).tolist() == [names[0]]


def test_same_seed_same_student_and_global_randomness_untouched(quick_classifier, news):
    texts, _ = news
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    first = clone(quick_classifier).fit(texts[:80]).predict_proba(texts[80:99])
    again = clone(quick_classifier).fit(texts[:80]).predict_proba(texts[80:99])
    other = clone(quick_classifier).set_params(random_state=1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other.fit(texts[:80]).predict_proba(texts[80:99]))
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_fit_changes_no_parameter_and_no_input(quick_classifier, news):
    texts = list(news[0][:60])
    before, parameters = list(texts), repr(quick_classifier.get_params())
    quick_classifier.fit(texts)
    assert texts == before
    assert repr(quick_classifier.get_params()) == parameters
    assert not hasattr(quick_classifier.student, "classifier_")


class Recorder(Student):
    """A student that remembers what it was given."""

    def begin_fit(self, texts, n_classes, seed, *, multilabel=False, resume=False):
        self.texts_, self.n_classes_ = texts, n_classes
        self.steps_, self.scored_ = [], 0

    @property
    def n_rows(self):
        return len(self.texts_)

    def predict_rows(self, rows):
        self.scored_ += len(rows)
        return np.full((len(rows), self.n_classes_), 1 / self.n_classes_)

    def train_step(self, rows, target, weight, progress):
        self.steps_.append((rows, target, weight, progress))
        return 0.5

    def snapshot(self):
        return len(self.steps_)

    def restore(self, snapshot):
        self.went_back_to_ = snapshot

    def end_fit(self):
        pass

    def predict_proba(self, texts):
        return np.full((len(texts), self.n_classes_), 1 / self.n_classes_)


class EveryThird(Selection):
    """Keeps the rows whose number divides by three, with their number as weight."""

    def begin(self, pool, n_steps, random_state, first_step=0):
        self.steps_ = []

    def select(self, batch):
        self.steps_.append(batch.step)
        n_rows = len(batch.rows)
        return Selected(np.arange(n_rows) % 3 == 0, np.arange(n_rows) + 1.0)


def test_kept_rows_gather_into_full_batches(news):
    texts, gold = news
    teacher = PrecomputedTeacher(texts, gold)
    classifier = LLKDClassifier(
        teacher,
        TOPICS,
        student=Recorder(),
        selection=EveryThird(),
        n_epochs=2,
        batch_size=16,
        random_state=0,
    ).fit(texts[:100])
    steps = classifier.student_.steps_
    sizes = [len(rows) for rows, *_ in steps]
    n_kept = 2 * (6 * 6 + 2)  # six batches of 16 and one of 4, twice
    assert sum(sizes) == n_kept == classifier.times_selected_.sum()
    assert sizes == [16, 16, 6] * 2  # what waits at an epoch's end is not lost
    assert classifier.selection_.steps_ == list(range(14))
    for rows, target, weight, progress in steps:
        np.testing.assert_array_equal(
            [TOPICS.index(gold[row]) for row in rows], target.argmax(axis=1)
        )
        assert set(weight) <= {1.0, 4.0, 7.0, 10.0, 13.0, 16.0}
        assert 0 < progress < 1
    counts = np.bincount(np.concatenate([rows for rows, *_ in steps]), minlength=100)
    np.testing.assert_array_equal(counts, classifier.times_selected_)


def test_no_scoring_pass_where_the_selection_does_not_need_one(news):
    texts, gold = news
    teacher = PrecomputedTeacher(texts, gold)
    classifier = LLKDClassifier(teacher, TOPICS, student=Recorder(), n_epochs=2)
    classifier.set_params(selection=SelectAll()).fit(texts[:50])
    n_measured = 50  # for `agreement_`, once, after training
    assert classifier.student_.scored_ == n_measured
    assert (classifier.times_selected_ == 2).all()
    assert not hasattr(classifier, "teacher_thresholds_")
    classifier.set_params(selection=LLKDSelection()).fit(texts[:50])
    assert classifier.student_.scored_ == n_measured + 100
    assert hasattr(classifier, "teacher_thresholds_")
    classifier.set_params(selection=SelectAll()).fit(texts[:50])
    assert not hasattr(classifier, "teacher_thresholds_")


class KeepNothing(Selection):
    uses_student = False

    def select(self, batch):
        n_rows = len(batch.rows)
        return Selected(np.zeros(n_rows, dtype=bool), np.ones(n_rows))


def test_a_selection_that_keeps_nothing_is_warned_of(quick_classifier, news):
    quick_classifier.set_params(selection=KeepNothing())
    with pytest.warns(SkllkdWarning, match="KeepNothing kept none of the 60"):
        quick_classifier.fit(news[0][:60])
    np.testing.assert_allclose(quick_classifier.predict_proba(["x"]), 0.2)


@pytest.mark.parametrize("target", ["hard", "soft"])
@pytest.mark.parametrize("student", [SGDClassifier(loss="log_loss"), MultinomialNB()])
def test_a_scikit_learn_classifier_is_a_student(student, target, news):
    texts, gold = news
    classifier = LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        student=student,
        random_state=0,
        selection=SelectAll(target=target),
    ).fit(texts[:200])
    assert classifier.score(texts[:200], gold[:200]) > 0.8


def test_score_without_labels_is_the_agreement_with_the_teacher(quick_classifier, news):
    texts, gold = news
    classifier = quick_classifier.fit(texts[:100])
    predicted = classifier.predict(texts[100:150])
    right = predicted == np.array(gold[100:150])
    expected = np.where(right, 0.9, 0.1 / 4)
    assert classifier.score(texts[100:150]) == pytest.approx(expected.mean())
    weight = np.arange(50.0)
    assert classifier.score(texts[100:150], sample_weight=weight) == pytest.approx(
        np.average(expected, weights=weight)
    )


def test_agreement_uses_the_calibration_of_the_pool(news):
    texts, gold = news

    def biased(some):
        return [
            (0.55, 0.45) if label == "sports" else (0.95, 0.05)
            for label in (dict(zip(texts, gold, strict=True))[t] for t in some)
        ]

    teacher = CallableTeacher(biased, calibration=BatchCalibration())
    classifier = LLKDClassifier(
        teacher, ["z", "sports"], refine=None, student=SklearnStudent()
    )
    classifier.fit(texts[:200])
    assert (classifier.pseudo_labels_ == "sports").mean() > 0.1
    sports = [texts[gold.index("sports")]]
    # calibrated on itself alone, one text would be (0.5, 0.5)
    share = np.mean([label == "sports" for label in gold[:200]])
    bias = share * np.log([0.55, 0.45]) + (1 - share) * np.log([0.95, 0.05])
    score = np.log([0.55, 0.45]) - bias  # columns z, sports
    expected = (np.exp(score) / np.exp(score).sum())[1]
    assert classifier.predict(sports) == ["sports"]
    assert classifier.score(sports) == pytest.approx(expected)


def test_grid_search_asks_for_every_text_once(quick_classifier, gold_teacher, news):
    texts, gold = news
    classifier = quick_classifier.set_params(
        selection=LLKDSelection(),
        student=SklearnStudent(SGDClassifier(loss="log_loss")),
    )
    grid = {
        "selection__momentum": [0.5, 0.9],
        "student__classifier__alpha": [1e-6, 1e-4],
    }
    for y in (None, gold[:90]):
        search = GridSearchCV(classifier, grid, cv=3).fit(texts[:90], y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert sorted(gold_teacher.asked) == sorted(set(texts[:90]))


def test_in_a_pipeline_with_cleaning(quick_classifier, news):
    texts, gold = news
    cleaning = FunctionTransformer(lambda X: [text.strip() for text in X])
    pipeline = Pipeline([("clean", cleaning), ("classify", quick_classifier)])
    assert cross_val_score(pipeline, texts[:90], gold[:90], cv=3).shape == (3,)


def test_get_and_set_parameters_to_any_depth(quick_classifier):
    quick_classifier.set_params(
        selection=LLKDSelection(), selection__momentum=0.5, teacher=CallableTeacher(len)
    )
    calibration = BatchCalibration()
    quick_classifier.set_params(teacher__calibration=calibration)
    assert quick_classifier.selection.momentum == 0.5
    assert quick_classifier.get_params()["teacher__calibration"] is calibration


def test_tags(quick_classifier):
    tags = get_tags(quick_classifier)
    assert tags.input_tags.string
    assert not tags.target_tags.required
    assert get_tags(LLKDClassifier()).target_tags.required


# ---- what goes wrong


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "save"])
def test_before_fit(method, quick_classifier):
    with pytest.raises(NotFittedError, match="LLKDClassifier"):
        getattr(quick_classifier, method)(["x"])


def test_bad_texts_at_predict(quick_classifier, news):
    classifier = quick_classifier.fit(news[0][:60])
    with pytest.raises(InvalidParameterError, match=r"\[text\]"):
        classifier.predict("a bare string")
    with pytest.raises(InvalidParameterError, match="row 1"):
        classifier.predict(["a", None])


def test_bad_texts_cost_no_call(quick_classifier, gold_teacher, news):
    with pytest.raises(InvalidParameterError):
        quick_classifier.fit([*news[0][:20], None])
    assert gold_teacher.asked == []


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"n_epochs": 0}, "`n_epochs`"),
        ({"batch_size": 2.5}, "`batch_size`"),
        ({"on_missing_class": "ignore"}, "`on_missing_class`"),
        ({"selection": "llkd"}, "`selection`.*str"),
        ({"selection": LLKDSelection(momentum=2)}, "`momentum`"),
        ({"selection": SelectAll(target="firm")}, "`target`"),
        ({"student": LogisticRegression()}, "`student`.*LogisticRegression"),
        ({"student": SGDClassifier(loss="hinge")}, "`predict_proba`"),
        ({"student": TransformerStudent(dropout=1)}, "`dropout`"),
        ({"student": TransformerStudent(learning_rate=np.inf)}, "`learning_rate`"),
    ],
)
def test_bad_parameters_cost_no_call(
    parameters, named, quick_classifier, gold_teacher, news
):
    with pytest.raises(InvalidParameterError, match=named):
        quick_classifier.set_params(**parameters).fit(news[0][:60])
    assert gold_teacher.asked == []


def test_a_bad_seed_and_a_missing_model_cost_no_call(
    quick_classifier, gold_teacher, news
):
    with pytest.raises(ValueError, match="`random_state` must be"):
        clone(quick_classifier).set_params(random_state="x").fit(news[0][:60])
    student = TransformerStudent("/no/such/folder")
    with pytest.raises(SavedModelError, match="/no/such/folder"):
        quick_classifier.set_params(student=student).fit(news[0][:60])
    assert gold_teacher.asked == []


def test_a_fit_that_fails_changes_nothing(quick_classifier, news):
    texts, _ = news
    classifier = quick_classifier.fit(texts[:60])
    before = classifier.predict_proba(texts[:20])
    classifier.set_params(teacher=lambda t: ["a"] * len(t), classes=["a", "b"])
    with pytest.raises(TeacherOutputError):
        classifier.fit(texts[:60])
    classifier.set_params(
        classes=["a", "b"], on_missing_class="warn", student=Interrupted()
    )
    with pytest.warns(MissingLabelWarning), pytest.raises(KeyboardInterrupt):
        classifier.fit(texts[:60])
    assert classifier.classes_.tolist() == TOPICS
    np.testing.assert_array_equal(classifier.predict_proba(texts[:20]), before)


class Interrupted(SklearnStudent):
    def train_step(self, rows, target, weight, progress):
        raise KeyboardInterrupt


def test_neither_teacher_nor_labels():
    with pytest.raises(InvalidParameterError, match="`teacher`"):
        LLKDClassifier(classes=["a", "b"]).fit(["x", "y"])
    with pytest.raises(InvalidParameterError, match="`y`.*2 texts"):
        LLKDClassifier(classes=["a", "b"]).fit(["x", "y"], ["a"])
    with pytest.raises(InvalidParameterError, match="`classes`.*None"):
        LLKDClassifier(lambda texts: texts).fit(["x", "y"])


def test_a_class_nobody_chose(news):
    texts, gold = news
    teacher = GoldTeacher(texts, gold)

    def function(some):
        return np.c_[teacher(some), np.zeros(len(some))]

    classifier = LLKDClassifier(
        function, [*TOPICS, "weather"], student=SklearnStudent(), random_state=0
    )
    with pytest.raises(TeacherOutputError, match=r"'weather'.*on_missing_class='warn'"):
        classifier.fit(texts[:60])
    n_asked = len(teacher.asked)
    with pytest.warns(MissingLabelWarning, match="'weather'"):
        classifier.set_params(on_missing_class="warn").fit(texts[:60])
    assert len(teacher.asked) == n_asked  # what was bought before the error is kept
    assert classifier.predict_proba(texts[:5]).shape == (5, 6)
    assert "weather" not in classifier.predict(texts[:60])


def test_no_usable_label_at_all():
    classifier = LLKDClassifier(
        lambda t: [None] * len(t), ["a", "b"], student=SklearnStudent()
    )
    with (
        pytest.warns(MissingLabelWarning),
        pytest.raises(TeacherOutputError, match="none"),
    ):
        classifier.fit(["x", "y"])


def test_only_blank_texts():
    classifier = LLKDClassifier(
        lambda t: ["a"] * len(t), ["a", "b"], student=SklearnStudent()
    )
    with pytest.warns(MissingLabelWarning), pytest.raises(TeacherOutputError):
        classifier.fit(["", "  "])


def test_blank_texts_can_be_predicted(quick_classifier, news):
    classifier = quick_classifier.fit(news[0][:60])
    assert classifier.predict(["", "  "]).shape == (2,)


# ---- pickles


def test_a_fitted_pickle_has_no_teacher_and_predicts_alike(
    quick_classifier, news, tmp_path
):
    texts, _ = news
    classifier = quick_classifier.fit(texts[:60])
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    loaded = joblib.load(tmp_path / "classifier.joblib")
    assert loaded.teacher is None
    assert classifier.teacher is not None
    np.testing.assert_array_equal(
        loaded.predict_proba(texts[60:90]), classifier.predict_proba(texts[60:90])
    )
    with pytest.raises(InvalidParameterError, match="left it behind"):
        loaded.score(texts[:5])


def test_a_copy_keeps_its_teacher(quick_classifier, news):
    assert copy.deepcopy(quick_classifier).teacher is not None
    fitted = copy.deepcopy(quick_classifier.fit(news[0][:60]))
    assert fitted.teacher is not None
    assert fitted.predict(news[0][:5]).shape == (5,)
    fitted.teacher.connection = threading.Lock()  # which cannot be copied
    assert copy.deepcopy(fitted).teacher is copy.copy(fitted).teacher


def test_saving_a_scikit_learn_student_points_to_joblib(
    quick_classifier, news, tmp_path
):
    classifier = quick_classifier.fit(news[0][:60])
    with pytest.raises(NotImplementedError, match=r"joblib\.dump"):
        classifier.save(tmp_path / "folder")


def test_progress_shows_rate_and_time_left_and_can_be_silenced(
    quick_classifier, news, capfd, monkeypatch
):
    monkeypatch.setattr("skllkd._core.progress._DELAY_S", 0.0)
    clone(quick_classifier).set_params(verbose=1).fit(news[0][:60])
    error = capfd.readouterr().err
    for what in ("teacher", "student"):
        assert re.search(
            rf"{what}: +100%.*\[\d+:\d+<\d+:\d+, .*text/s(, 60 calls)?\]", error
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick_classifier.set_params(verbose=0).fit(news[0][:60])
    assert capfd.readouterr() == ("", "")


# ---- gold labels


@pytest.fixture
def poor_teacher(news):
    """Return distributions that take one topic in two for the next one."""
    texts, gold = news
    column = np.array([TOPICS.index(topic) for topic in gold])
    column = np.where(np.arange(len(texts)) % 2, column, (column + 1) % 5)
    return np.full((len(texts), 5), 0.1) + 0.5 * np.eye(5)[column]


def gold_fit(news, proba, n_gold, refine, **params):
    """Fit on texts of which the first have gold labels."""
    texts, gold = news
    student = SklearnStudent()
    classifier = LLKDClassifier(
        None, TOPICS, refine=refine, student=student, batch_size=64, random_state=0
    ).set_params(**{"n_epochs": 1} | params)
    known = {row: gold[row] for row in range(n_gold)}
    return classifier.fit(texts[: len(proba)], teacher_proba=proba, gold=known)


@pytest.mark.parametrize("refine", [None, Refinement()])
def test_gold_labels_are_learned_and_the_teacher_s_stay(news, poor_teacher, refine):
    texts, gold = news
    poor_teacher = poor_teacher[:200]
    params = {"selection": SelectAll(), "n_epochs": 3}
    classifier = gold_fit(news, poor_teacher, 60, refine, **params)
    one_hot = np.eye(5)[[TOPICS.index(topic) for topic in gold[:60]]]
    np.testing.assert_array_equal(classifier.refined_proba_[:60], one_hot)
    np.testing.assert_allclose(classifier.teacher_proba_, poor_teacher)
    without = gold_fit(news, poor_teacher, 0, refine, **params)
    better = classifier.predict_proba(texts[:60])[one_hot == 1]
    assert better.mean() > without.predict_proba(texts[:60])[one_hot == 1].mean() + 0.1
    assert next(iter(classifier.refinement_.weights)) == "teacher"


def test_the_accuracy_on_gold_labels_is_that_of_the_teacher_and_of_others(
    news, poor_teacher
):
    poor_teacher = poor_teacher[:200]
    accuracy = gold_fit(news, poor_teacher, 100, Refinement()).gold_accuracy_
    assert list(accuracy) == ["teacher", "labels", "student"]
    assert (accuracy["teacher"].n_texts, accuracy["teacher"].n_right) == (100, 50)
    calibrated = gold_fit(news, poor_teacher, 100, None).gold_accuracy_
    assert list(calibrated) == ["teacher", "labels"]


def test_gold_labels_that_nothing_foretells_are_not_said_to_be_predicted(
    news, poor_teacher
):
    texts, gold = news
    shuffled = np.random.RandomState(0).permutation(gold[:200])
    classifier = gold_fit((texts, shuffled), poor_teacher[:200], 150, Refinement())
    for found in classifier.gold_accuracy_.values():
        assert found.interval[0] < 0.25


def test_labels_of_a_class_the_teacher_is_too_fond_of_are_calibrated(news):
    column = np.array([TOPICS.index(topic) for topic in news[1]])
    logit = 2.0 * np.eye(5)[column] + 2.5 * (np.arange(5) == 3)
    proba = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    classifier = gold_fit(news, proba, 50, None)
    right = classifier.refined_proba_.argmax(axis=1) == column
    assert right[50:].mean() > 0.95 > 0.5 > (proba.argmax(axis=1) == column).mean()
    assert classifier.gold_accuracy_["labels"].share > 0.9


@pytest.mark.parametrize("refine", [None, Refinement()])
def test_no_gold_label_changes_nothing(news, poor_teacher, refine):
    texts, proba = news[0][:200], poor_teacher[:200]
    plain = gold_fit(news, proba, 0, refine)
    for gold in (None, {}, [None] * 200):
        again = clone(plain).fit(texts, teacher_proba=proba, gold=gold)
        assert not hasattr(again, "gold_accuracy_")
        assert hasattr(again, "refined_proba_") == (refine is not None)
        np.testing.assert_array_equal(
            again.predict_proba(texts[:20]), plain.predict_proba(texts[:20])
        )


def test_gold_labels_of_new_texts_are_those_of_partial_fit(news, poor_teacher):
    texts, gold = news
    classifier = gold_fit(news, poor_teacher[:100], 40, Refinement())
    new = {texts[3]: gold[3], 5: gold[5]}
    classifier.partial_fit(texts[:50], teacher_proba=poor_teacher[:50], gold=new)
    assert classifier.gold_accuracy_["teacher"].n_texts == 2
    classifier.partial_fit(texts[:50], teacher_proba=poor_teacher[:50])
    assert not hasattr(classifier, "gold_accuracy_")


def test_a_text_without_the_teacher_s_label_is_learned_from_gold(news, poor_teacher):
    texts, gold = news
    poor_teacher[:2] = np.nan
    classifier = LLKDClassifier(None, TOPICS, refine=None, student=SklearnStudent())
    with pytest.warns(MissingLabelWarning, match="2 of 400"):
        classifier.fit(texts, teacher_proba=poor_teacher, gold={0: gold[0]})
    assert classifier.times_selected_[1] == 0
    assert classifier.classes_[classifier.refined_proba_[0].argmax()] == gold[0]
    assert classifier.gold_accuracy_ == {}


def test_mistakes_in_gold_cost_no_teacher_call(quick_classifier, gold_teacher, news):
    texts, _ = news
    with pytest.raises(InvalidParameterError, match="'weather' at row 3"):
        quick_classifier.fit(texts, gold={3: "weather"})
    assert gold_teacher.asked == []
    without = LLKDClassifier(student=SklearnStudent())
    with pytest.raises(InvalidParameterError, match="`gold` stands beside.*`y`"):
        without.fit(texts, news[1], gold={3: "sports"})
