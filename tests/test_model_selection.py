"""Searches and cross-validation: the teacher is asked once for every distinct text."""

import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.metrics import (
    agreement_lower_bound,
    confidence_weighted_agreement,
    expected_agreement,
)
from skllkd.selection import LLKDSelection, RankedImportance, SelectAll
from skllkd.students import SklearnStudent, TransformerStudent
from skllkd.teachers import BatchCalibration, CallableTeacher

TEXTS = [f"{w} text number {i}" for i in range(20) for w in ("alpha", "beta", "gamma")]
CLASSES = ["alpha", "beta", "gamma"]
GOLD = [text.split()[0] for text in TEXTS]


def teacher_that_writes_down_what_it_is_asked(path, texts, delay_s=0.0):
    """Answer mostly right; every text asked about becomes a line of a file."""
    time.sleep(delay_s)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{text}\n" for text in texts)
    proba = np.full((len(texts), 3), 0.1)
    for row, text in enumerate(texts):
        proba[row, CLASSES.index(text.split()[0])] = 0.8
    return proba


@pytest.fixture
def asked(tmp_path):
    """Return a function that tells which texts the teacher was asked about."""
    path = tmp_path / "asked.txt"
    path.touch()
    return lambda: path.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def classifier(tmp_path):
    function = partial(
        teacher_that_writes_down_what_it_is_asked, tmp_path / "asked.txt"
    )
    return LLKDClassifier(
        CallableTeacher(
            function,
            cache_key="test",
            batch_size=5,
            store=tmp_path / "labels.sqlite",  # worker processes outlive a test
        ),
        CLASSES,
        refine=None,
        selection=LLKDSelection(),
        student=SklearnStudent(),
        batch_size=16,
        random_state=0,
        verbose=0,
    )


def grid_search(classifier, y, n_jobs):
    grid = {"selection__momentum": [0.5, 0.9], "n_epochs": [1, 2]}
    GridSearchCV(classifier, grid, cv=2, n_jobs=n_jobs).fit(TEXTS, y)


def halving_search(classifier, y, n_jobs):
    grid = {"selection__momentum": [0.5, 0.9]}
    HalvingGridSearchCV(
        classifier, grid, cv=2, n_jobs=n_jobs, min_resources=30, random_state=0
    ).fit(TEXTS, y)


def cross_validation(classifier, y, n_jobs):
    result = cross_validate(classifier, TEXTS, y, cv=2, n_jobs=n_jobs)
    assert np.isfinite(result["test_score"]).all()


def loop_of_trials(classifier, y, n_jobs):
    """What Optuna and its like do: set parameters, score, choose, refit."""
    rng = np.random.RandomState(0)
    trials = []
    for _ in range(2):
        trial = clone(classifier).set_params(selection__momentum=rng.uniform(0, 0.99))
        score = cross_val_score(trial, TEXTS, y, cv=2, n_jobs=n_jobs).mean()
        trials.append((score, trial))
    max(trials, key=lambda pair: pair[0])[1].fit(TEXTS, y)


SEARCHES = [grid_search, halving_search, cross_validation, loop_of_trials]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.__name__)
@pytest.mark.parametrize("y", [None, GOLD], ids=["no gold", "gold"])
def test_each_text_is_asked_about_once(search, y, classifier, asked):
    search(classifier, y, n_jobs=1)
    assert sorted(asked()) == sorted(TEXTS)
    search(classifier, y, n_jobs=1)  # a rerun
    assert len(asked()) == len(TEXTS)


def test_only_the_prompt_costs_a_call(asked, classifier, tiny_path):
    student = TransformerStudent(tiny_path, device="cpu")
    classifier.set_params(student=student, n_epochs=1, batch_size=30)
    grid = [
        {
            "selection": [LLKDSelection(), SelectAll()],
            "teacher__calibration": [None, BatchCalibration()],
        },
        {"student__learning_rate": [1e-4]},
    ]
    search = GridSearchCV(classifier, grid, cv=2).fit(TEXTS)
    assert len(search.cv_results_["params"]) == 5
    grid = [{"selection": [LLKDSelection()], "selection__momentum": [0.1, 0.9]}]
    GridSearchCV(classifier, grid, cv=2).fit(TEXTS)
    assert sorted(asked()) == sorted(TEXTS)
    classifier.set_params(teacher__cache_key="another prompt").fit(TEXTS)
    assert len(asked()) == 2 * len(TEXTS)


def test_threads_do_not_ask_twice(classifier, asked):
    # Long enough for two threads to ask at once, were it allowed.
    plain = partial(classifier.teacher.function, delay_s=0.02)
    classifier.set_params(teacher=plain)
    with parallel_config(backend="threading"):
        cross_val_score(classifier, TEXTS, cv=3, n_jobs=3)
    assert sorted(asked()) == sorted(TEXTS)


def test_parameters_in_a_search_do_what_they_say(classifier, asked):
    search = GridSearchCV(classifier, {"selection__momentum": [0.0, 0.99]}, cv=2)
    search.fit(TEXTS)
    chosen = search.best_params_["selection__momentum"]
    assert search.best_estimator_.selection_.momentum == chosen


# ---- scorers that need no gold

SCORERS = [expected_agreement, confidence_weighted_agreement, agreement_lower_bound]


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.__name__)
def test_scorers_work_without_gold_in_a_search_and_a_pipeline(
    scorer, classifier, asked
):
    pipeline = Pipeline(
        [
            ("strip", FunctionTransformer(lambda X: [text.strip() for text in X])),
            ("classify", classifier),
        ]
    )
    for estimator in (classifier, pipeline, make_pipeline(pipeline)):
        scores = cross_val_score(estimator, TEXTS, cv=3, scoring=scorer)
        assert ((scores > 0) & (scores <= 1)).all()
    names = {"agreement": scorer}
    result = cross_validate(classifier, TEXTS, None, cv=2, scoring=names)
    assert np.isfinite(result["test_agreement"]).all()
    assert sorted(asked()) == sorted(TEXTS)


def test_the_measured_ranking_is_of_enough_candidates_and_is_what_the_docs_say():
    root = Path(__file__).parents[1]
    results = json.loads(
        (root / "benchmarks" / "results" / "label_free_scorers.json").read_text()
    )
    assert results["candidates"] >= 12
    assert results["seeds"] >= 5
    guide = (root / "docs" / "model-selection.md").read_text()
    for name, figure in results["figures"].items():
        if "tau" in figure:
            mean, width = figure["tau"]
            scorer = name.split("/")[1]
            assert f"`{scorer}` | {mean:.2f} ± {width:.2f}" in guide


class _Fixed:
    """A fitted classifier with given predictions."""

    classes_ = np.array(["a", "b"])

    def __init__(self, teacher, student):
        self.teacher, self.student = np.array(teacher), np.array(student)

    def known_teacher_proba(self, X):
        return self.teacher

    def predict_proba(self, X):
        return self.student


def test_scores_by_hand():
    teacher = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [np.nan, np.nan]]
    student = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    fixed = _Fixed(teacher, student)
    values = np.array([0.9, 0.2, 0.5])
    assert expected_agreement(fixed, [""] * 4) == pytest.approx(values.mean())
    weight = np.array([0.4, 0.3, 0.0])
    assert confidence_weighted_agreement(fixed, [""] * 4) == pytest.approx(
        np.average(values, weights=weight)
    )
    error = values.std(ddof=1) / np.sqrt(3)
    assert agreement_lower_bound(fixed, [""] * 4) == pytest.approx(
        values.mean() - 1.6449 * error, abs=1e-4
    )


def test_a_teacher_that_is_never_sure_weighs_all_alike():
    fixed = _Fixed([[0.5, 0.5]] * 3, [[1.0, 0.0]] * 3)
    assert confidence_weighted_agreement(fixed, [""] * 3) == pytest.approx(0.5)
    assert agreement_lower_bound(_Fixed([[0.5, 0.5]], [[1, 0]]), [""]) == 0


# ---- parameters of parts that were left at their defaults

NESTED = {
    "selection__share": [0.3, 0.6],
    "student__classifier__alpha": [1e-6, 1e-4],
    "student__vectorizer__min_df": [1, 2],
    "refine__n_rounds": [1, 2],
    "teacher__calibration__class_prior": [None, "em"],
}


@pytest.mark.parametrize("name", NESTED)
def test_a_search_sets_parameters_of_default_parts(name, classifier, asked):
    teacher = clone(classifier.teacher).set_params(calibration=BatchCalibration())
    defaults = LLKDClassifier(
        teacher, CLASSES, student=SklearnStudent(), random_state=0, verbose=0
    )
    search = GridSearchCV(defaults, {name: NESTED[name]}, cv=2).fit(TEXTS)
    assert len(set(search.cv_results_[f"param_{name}"].tolist())) == 2
    best = search.best_estimator_.get_params()
    assert best[name] == search.best_params_[name]
    assert defaults.selection is None  # what was searched from is as it was
    assert defaults.student.classifier is None
    assert sorted(asked()) == sorted(TEXTS)  # refinement costs no call


def test_parts_left_out_stand_for_their_defaults(classifier):
    function = classifier.teacher.function
    plain = LLKDClassifier(function, CLASSES).set_params(
        selection__momentum=0.5,
        student__learning_rate=3e-5,
        teacher__calibration=BatchCalibration(),
    )
    assert isinstance(plain.selection, RankedImportance)
    assert isinstance(plain.student, TransformerStudent)
    assert plain.selection.momentum == 0.5
    assert plain.student.learning_rate == 3e-5
    assert plain.teacher.function is function
    assert plain.set_params(selection=LLKDSelection(), selection__momentum=0.7)
    assert isinstance(plain.selection, LLKDSelection)
    assert plain.selection.momentum == 0.7


@pytest.mark.parametrize(
    "name",
    [
        "acquisition__budget",
        "refine__n_rounds",
        "teacher__calibration__class_prior",
        "student__loss__q",
        "n_epochs__more",
    ],
)
def test_parameters_of_a_part_that_is_none_are_refused_by_name(name, classifier):
    classifier.set_params(refine=None, student=TransformerStudent())
    part = name.rpartition("__")[0].rpartition("__")[2]
    with pytest.raises(InvalidParameterError, match=f"{part}=.*Set `{part}` as well"):
        classifier.set_params(**{name: 1})
