"""What scikit-learn users expect beyond fit and predict."""

import warnings
from itertools import product

import matplotlib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skllkd import LLKDClassifier
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    SkllkdWarning,
)
from skllkd.metrics import expected_agreement
from skllkd.selection import LLKDSelection, SelectAll
from skllkd.students import SklearnStudent, TransformerStudent
from skllkd.teachers import (
    BatchCalibration,
    CallableTeacher,
    PrecomputedTeacher,
)
from skllkd.training.log import EpochEnd

from tests.conftest import TOPICS, GoldTeacher

matplotlib.use("Agg")


# ---- pipelines and ensembles


def test_pipeline_that_picks_a_column_by_name(quick_classifier, news):
    texts, gold = news
    frame = pd.DataFrame({"id": range(120), "story": texts[:120]})
    by_index = make_pipeline(
        FunctionTransformer(lambda frame: frame["story"]), quick_classifier
    )
    by_transformer = Pipeline(
        [
            ("pick", ColumnTransformer([("story", "passthrough", ["story"])])),
            ("classify", quick_classifier),
        ]
    )
    wanted = quick_classifier.fit(texts[:120]).predict(texts[:120])
    for pipeline in (by_index, by_transformer):
        pipeline.fit(frame, gold[:120])
        np.testing.assert_array_equal(pipeline.predict(frame), wanted)
    by_transformer.set_output(transform="pandas").fit(frame)
    np.testing.assert_array_equal(by_transformer.predict(frame), wanted)


def test_feature_union_as_the_vectorizer(gold_teacher, news):
    union = FeatureUnion(
        [
            ("words", TfidfVectorizer()),
            ("letters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3))),
        ]
    )
    classifier = LLKDClassifier(
        gold_teacher, TOPICS, student=SklearnStudent(vectorizer=union), random_state=0
    ).fit(news[0][:150])
    assert classifier.score(news[0][:150], news[1][:150]) > 0.8


def test_in_a_vote(quick_classifier, news):
    texts, gold = news
    linear = make_pipeline(TfidfVectorizer(), LogisticRegression())
    vote = VotingClassifier(
        [("distilled", quick_classifier), ("linear", linear)], voting="soft"
    ).fit(texts[:200], gold[:200])
    assert vote.score(texts[200:], gold[200:]) > 0.6


def test_calibrated_on_gold(quick_classifier, news):
    texts, gold = news
    calibrated = CalibratedClassifierCV(quick_classifier, cv=3).fit(
        texts[:150], gold[:150]
    )
    proba = calibrated.predict_proba(texts[150:200])
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert calibrated.score(texts[150:], gold[150:]) > 0.4


def test_feature_names_and_counts_exist_for_numbers_only(quick_classifier, news):
    frame = pd.DataFrame(
        np.random.RandomState(0).normal(size=(60, 3)), columns=list("abc")
    )
    y = (frame["a"] > 0).to_numpy()
    student = SklearnStudent(SGDClassifier(loss="log_loss"), vectorizer="passthrough")
    classifier = LLKDClassifier(student=student).fit(frame, y)
    assert classifier.n_features_in_ == 3
    assert classifier.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(frame[["b", "a", "c"]])
    assert not hasattr(quick_classifier.fit(news[0][:60]), "n_features_in_")


def test_a_teacher_of_texts_and_a_student_of_numbers(tmp_path):
    student = SklearnStudent(SGDClassifier(loss="log_loss"), vectorizer="passthrough")
    from skllkd.teachers import LlamaCppTeacher

    classifier = LLKDClassifier(
        LlamaCppTeacher(tmp_path / "m.gguf"), ["a", "b"], student=student
    )
    with pytest.raises(InvalidParameterError, match="reads texts"):
        classifier.fit(np.eye(4))


# ---- metadata


def test_sample_weight_weighs_the_loss(news):
    texts = ["same words here"] * 40
    y = ["a"] * 20 + ["b"] * 20

    def probability_of_a(weight_of_a):
        weight = [weight_of_a] * 20 + [1.0] * 20
        classifier = LLKDClassifier(
            student=SklearnStudent(), selection=SelectAll(), random_state=0
        )
        classifier.fit(texts, y, sample_weight=weight)
        return classifier.predict_proba(texts[:1])[0, 0]

    assert probability_of_a(0.0) < 0.2 < probability_of_a(1.0)
    assert probability_of_a(5.0) > probability_of_a(1.0)
    with pytest.raises(ValueError, match="[Nn]egative"):
        probability_of_a(-1.0)


def test_teacher_proba_is_taken_instead_of_asking(gold_teacher, quick_classifier, news):
    texts, gold = news
    order = TOPICS[::-1]
    proba = (
        np.full((60, 5), 0.05) + 0.75 * np.eye(5)[[order.index(g) for g in gold[:60]]]
    )
    proba[0] = np.nan
    classifier = quick_classifier.set_params(classes=order)
    with pytest.warns(UserWarning, match="1 of 60 .*`teacher_proba`"):
        classifier.fit(texts[:60], teacher_proba=proba)
    assert classifier.pseudo_labels_.tolist() == [None, *gold[1:60]]
    assert gold_teacher.asked == []


def test_metadata_is_routed(quick_classifier, news):
    texts, gold = news
    proba = GoldTeacher(texts, gold)(texts)
    asked = quick_classifier.teacher.asked
    asked.clear()
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = quick_classifier.set_fit_request(
            sample_weight=True, teacher_proba=True
        ).set_score_request(sample_weight=True)
        pipeline = make_pipeline(FunctionTransformer(), classifier)
        result = cross_validate(
            pipeline,
            texts[:120],
            gold[:120],
            cv=3,
            params={"sample_weight": np.ones(120), "teacher_proba": proba[:120]},
        )
    assert np.isfinite(result["test_score"]).all()
    assert asked == []


def test_gold_labels_are_routed_and_cut_to_the_folds(quick_classifier, news):
    texts, gold = news
    column = [topic if row % 4 == 0 else None for row, topic in enumerate(gold[:120])]
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            FunctionTransformer(), quick_classifier.set_fit_request(gold=True)
        )
        search = GridSearchCV(
            pipeline,
            {"llkdclassifier__n_epochs": [1, 2]},
            cv=KFold(3),
            error_score="raise",
        ).fit(texts[:120], gold[:120], gold=column)
        folds = cross_validate(
            pipeline,
            texts[:120],
            gold[:120],
            cv=KFold(3),
            params={"gold": column},
            return_estimator=True,
            error_score="raise",
        )
    best = search.best_estimator_[-1]
    assert best.gold_accuracy_["teacher"].n_texts == 30
    parts = zip(folds["estimator"], KFold(3).split(texts[:120]), strict=True)
    for fitted, (train, _) in parts:
        n_gold = sum(column[row] is not None for row in train)
        assert fitted[-1].gold_accuracy_["teacher"].n_texts == n_gold


# ---- going on


@pytest.fixture(params=["sklearn", "transformer"])
def student(request, tiny_path):
    if request.param == "sklearn":
        return SklearnStudent(SGDClassifier(loss="log_loss", eta0=0.5))
    return TransformerStudent(tiny_path, learning_rate=1e-3, device="cpu")


def test_partial_fit_goes_on_with_thresholds_calibration_and_counts(student, news):
    texts, gold = news
    teacher = CallableTeacher(GoldTeacher(texts, gold), calibration=BatchCalibration())
    classifier = LLKDClassifier(
        teacher,
        TOPICS,
        refine=None,
        selection=LLKDSelection(),
        student=student,
        random_state=0,
    )
    classifier.partial_fit(texts[:200])
    first = classifier.student_
    n_steps, bias = (
        len(classifier.history_["loss"]),
        classifier._fitted.class_bias.copy(),
    )
    thresholds = classifier.student_thresholds_[-1].copy()
    before = classifier.score(texts[200:], gold[200:])
    for start in (200, 300):
        classifier.partial_fit(texts[start : start + 100])
    assert classifier.student_ is not first
    assert len(classifier.history_["loss"]) == n_steps + 2 * 3 * 4
    assert classifier.history_["epoch"].tolist() == sorted(classifier.history_["epoch"])
    assert classifier.history_["epoch"].max() == 8
    np.testing.assert_array_equal(classifier._fitted.class_bias, bias)
    assert len(classifier.teacher_thresholds_) == len(classifier.history_["loss"])
    jump = np.abs(classifier.student_thresholds_[n_steps] - thresholds).max()
    assert jump < 0.15  # anew they would be the first batch's
    assert classifier.n_teacher_calls_ == 400
    assert len(classifier.pseudo_labels_) == 100
    if isinstance(
        student, SklearnStudent
    ):  # a tiny encoder learns little in so few steps
        assert classifier.score(texts[200:], gold[200:]) > before


def test_partial_fit_on_texts_of_one_class_and_of_other_classes(student, news):
    texts, gold = news
    teacher = GoldTeacher(texts, gold)
    classifier = LLKDClassifier(teacher, TOPICS, student=student).fit(texts[:100])
    sports = [t for t, label in zip(texts, gold, strict=True) if label == "sports"]
    classifier.partial_fit(sports[:10])
    assert classifier.classes_.tolist() == TOPICS
    with pytest.raises(InvalidParameterError, match="stay the same"):
        classifier.set_params(classes=["a", "b"]).partial_fit(sports[:10])


def test_partial_fit_without_a_teacher(news):
    texts, gold = news
    classifier = LLKDClassifier(student=SklearnStudent(), on_missing_class="warn")
    with pytest.warns(UserWarning, match="none of"):
        classifier.partial_fit(texts[:4], gold[:4], classes=TOPICS)
    classifier.partial_fit(texts[4:100], gold[4:100])
    assert classifier.classes_.tolist() == TOPICS


def test_calibration_is_that_of_the_first_pool_whatever_comes_after(news):
    texts, gold = news
    teacher = CallableTeacher(GoldTeacher(texts, gold), calibration=BatchCalibration())
    classifier = LLKDClassifier(teacher, TOPICS, student=SklearnStudent())
    classifier.fit(texts[:100])
    bias, one = classifier._fitted.class_bias, classifier.label(texts[200:201])
    proba = GoldTeacher(texts, gold)(texts[100:130])
    classifier.partial_fit(texts[100:130], teacher_proba=proba)
    np.testing.assert_array_equal(classifier._fitted.class_bias, bias)
    np.testing.assert_array_equal(classifier.label(texts[200:201]), one)
    classifier.fit(texts[:100], teacher_proba=GoldTeacher(texts, gold)(texts[:100]))
    alone = classifier.label(texts[200:201])[0]  # not calibrated in `fit`, so not here
    np.testing.assert_allclose(alone, classifier.label(texts[200:300])[0])


def test_parameters_changed_between_partial_fits_are_used(news, tiny_path):
    texts, gold = news
    classifier = LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        refine=None,
        selection=LLKDSelection(momentum=0.9),
        student=TransformerStudent(tiny_path, device="cpu"),
    ).fit(texts[:64])
    classifier.student_.device = "cuda:77"  # fitted where there was another device
    classifier.set_params(selection__momentum=0.0, student__learning_rate=0.0)
    classifier.set_params(student__head_learning_rate=0.0)
    before = classifier.student_.weights_
    classifier.partial_fit(texts[64:96])
    assert classifier.selection_.momentum == 0.0
    first = classifier.student_thresholds_[-1]
    assert classifier.selection_._student.value == pytest.approx(first, abs=1e-6)
    assert classifier.selection_._teacher.averages.momentum == 0.0
    for name, array in classifier.student_.weights_.items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(InvalidParameterError, match="`momentum`"):
        classifier.set_params(selection__momentum=2).partial_fit(texts[:32])


def test_partial_fit_takes_classes_with_a_teacher_too(news):
    texts, gold = news
    classifier = LLKDClassifier(GoldTeacher(texts, gold), student=SklearnStudent())
    classifier.partial_fit(texts[:100], classes=TOPICS)
    assert classifier.classes_.tolist() == TOPICS
    classifier.set_params(classes=TOPICS)
    with pytest.raises(InvalidParameterError, match="partial_fit"):
        classifier.partial_fit(texts[:9], classes=["a", "b"])


def test_a_fit_on_numbers_that_fails_keeps_the_columns_it_had():
    rng = np.random.RandomState(0)
    student = SklearnStudent(SGDClassifier(loss="log_loss"), vectorizer="passthrough")
    X, y = rng.normal(size=(40, 3)), rng.randint(2, size=40)
    classifier = LLKDClassifier(student=student).fit(X, y)
    with pytest.raises(InvalidParameterError):
        classifier.fit(rng.normal(size=(40, 5)))
    assert classifier.predict(X).shape == (40,)
    classifier.set_params(student=SklearnStudent()).fit(["good", "bad"] * 9, [0, 1] * 9)
    assert not hasattr(classifier, "n_features_in_")


def test_a_teacher_of_numbers_counts_and_warns():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] > 0).astype(int)
    student = SklearnStudent(SGDClassifier(loss="log_loss"), vectorizer="passthrough")
    teacher = PrecomputedTeacher(X[:40], y[:40])
    classifier = LLKDClassifier(teacher, [0, 1], student=student)
    with pytest.warns(UserWarning, match="20 of 60"):
        classifier.fit(X)
    assert classifier.n_teacher_calls_ == 0
    frame = pd.DataFrame(X, columns=list("abc"))
    classifier.set_params(teacher=lambda rows: (rows[:, 0] > 0).astype(int)).fit(frame)
    assert classifier.n_teacher_calls_ == 60
    assert classifier.report(frame).overall == classifier.report().overall
    for texts in (frame, frame[:30]):  # each read once, and with its column names
        assert 0.5 < classifier.score(texts) <= 1
        assert expected_agreement(classifier, texts) == classifier.score(texts)


def test_warm_start(student, news):
    texts, gold = news
    teacher = GoldTeacher(texts, gold)
    classifier = LLKDClassifier(
        teacher, TOPICS, student=student, warm_start=True, random_state=0
    )
    n_steps = len(classifier.fit(texts[:100]).history_["loss"])
    assert len(classifier.fit(texts[:100]).history_["loss"]) == 2 * n_steps
    classifier.set_params(warm_start=False).fit(texts[:100])
    assert len(classifier.history_["loss"]) == n_steps


def test_a_partial_fit_that_fails_changes_nothing(student, news):
    texts, gold = news
    classifier = LLKDClassifier(
        GoldTeacher(texts, gold), TOPICS, refine=None, student=student
    )
    before = classifier.fit(texts[:60]).predict_proba(texts[:20])

    def fails(told):
        raise RuntimeError("stop here")

    classifier.set_params(callbacks=[fails])
    with pytest.raises(RuntimeError):
        classifier.partial_fit(texts[60:120])
    np.testing.assert_array_equal(classifier.predict_proba(texts[:20]), before)
    assert len(classifier.times_selected_) == 60


# ---- callbacks and early stopping


def test_callbacks_are_told_and_may_end_the_training(quick_classifier, news):
    told = []

    def stop_after_two(end):
        told.append(end)
        return len(told) == 2

    quick_classifier.set_params(
        callbacks=[stop_after_two, lambda end: None],
        n_epochs=5,
        batch_size=32,
        selection=LLKDSelection(),
    )
    classifier = quick_classifier.fit(news[0][:64])
    assert [end.epoch for end in told] == [0, 1]
    assert all(isinstance(end, EpochEnd) and end.n_epochs == 5 for end in told)
    assert all(0 < end.share_selected <= 1 for end in told)
    assert all(np.isnan(end.agreement) for end in told)
    assert (
        len(classifier.history_["loss"]) == 2 * 2 == len(classifier.teacher_thresholds_)
    )
    for bad in (["print"], print):
        with pytest.raises(InvalidParameterError, match="`callbacks`"):
            quick_classifier.set_params(callbacks=bad).fit(news[0][:64])


def test_early_stopping_needs_no_gold_and_keeps_the_best(student, news):
    texts, gold = news
    agreements = []
    classifier = LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        refine=None,
        selection=LLKDSelection(),
        student=student,
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=2,
        n_epochs=12,
        callbacks=[lambda end: agreements.append(end.agreement)],
        random_state=0,
    ).fit(texts[:200])
    assert classifier.validation_agreement_.tolist() == agreements
    assert 3 <= len(agreements) <= 12
    if len(agreements) < 12:
        assert max(agreements[-2:]) <= max(agreements[:-2]) + 1e-4
    n_trained = (classifier.times_selected_ > 0).sum()
    assert n_trained <= 150  # a quarter was never presented
    assert classifier.history_["n_presented"].sum() == len(agreements) * 150
    # the student kept is the one that agreed most
    held_out = np.random.RandomState(0)
    held_out.randint(2**31 - 1)  # the student's seed comes first
    rows = held_out.permutation(200)[:50]
    proba = classifier.teacher_proba_[rows]
    chosen = classifier.predict_proba([texts[r] for r in rows]).argmax(axis=1)
    kept = proba[np.arange(50), chosen].mean()
    assert kept == pytest.approx(max(agreements), abs=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "n_texts"), [(1, 8), (1, 17), *product([32, 97], [8, 17, 97])]
)
def test_early_stopping_with_few_texts_still_learns(n_texts, batch_size, student, news):
    """Batches may be wholly held out, or never fill: nothing breaks or is lost."""
    texts, gold = news
    n_seeds = 2 if isinstance(student, SklearnStudent) and batch_size > 1 else 1
    for seed in range(n_seeds):
        classifier = LLKDClassifier(
            GoldTeacher(texts, gold),
            TOPICS,
            refine=None,
            student=student,
            batch_size=batch_size,
            early_stopping=True,
            n_epochs=1 if batch_size == 1 else 3,
            on_missing_class="warn",
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MissingLabelWarning)
            classifier.fit(texts[:n_texts])
        assert classifier.history_["n_presented"].min() > 0
        uniform = np.full((5, 5), 0.2)
        assert not np.allclose(classifier.predict_proba(texts[:5]), uniform)
        with warnings.catch_warnings():  # one text may well not be selected
            warnings.simplefilter("ignore", SkllkdWarning)
            classifier.partial_fit(texts[n_texts : n_texts + 1])


def test_early_stopping_can_go_back_to_a_student_that_had_learned_nothing():
    texts = [f"good text {i}" for i in range(95)] + ["bad text", "bad one"]
    y = ["a"] * 95 + ["b"] * 2
    classifier = LLKDClassifier(
        student=SklearnStudent(),
        selection=SelectAll(),
        batch_size=97,
        early_stopping=True,
        validation_fraction=0.3,
        random_state=0,
    ).fit(texts, y)
    assert classifier.predict(["good text"]) == ["a"]


def test_a_callback_that_ends_the_first_epoch_leaves_something_learned(news):
    texts, gold = news
    classifier = LLKDClassifier(
        GoldTeacher(texts, gold),
        TOPICS,
        student=SklearnStudent(),
        callbacks=[lambda end: True],
    ).fit(texts[:30])
    assert not np.allclose(classifier.predict_proba(texts[:1]), 0.2)


@pytest.mark.parametrize(
    "bad",
    [{"validation_fraction": 0}, {"validation_fraction": 1}, {"n_iter_no_change": 0}],
)
def test_bad_early_stopping_parameters(bad, quick_classifier, news):
    name = next(iter(bad))
    with pytest.raises(InvalidParameterError, match=f"`{name}`"):
        quick_classifier.set_params(**bad, early_stopping=True).fit(news[0][:64])
