"""Tools of other projects that people use with classifiers, each run for real.

Those that the development extra does not bring are installed by `.ci/tools`.
"""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.model_selection import (
    TunedThresholdClassifierCV,
    cross_val_predict,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import Pipeline
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.students import SklearnStudent

NAMES = ["billing", "outage", "praise"]
WORDS = {"billing": "card refund", "outage": "server down", "praise": "great thanks"}
GOLD = np.array(NAMES * 20)
TEXTS = np.array([f"{WORDS[name]} number {i}" for i, name in enumerate(GOLD)], object)

pytestmark = pytest.mark.filterwarnings("default")  # tools warn of each other


def teach(texts):
    """Label by the words."""
    return [next(n for n in NAMES if WORDS[n] in text) for text in texts]


def classifier(**parameters):
    defaults = {"student": SklearnStudent(), "random_state": 0, "verbose": 0}
    return LLKDClassifier(teach, **({"classes": NAMES} | defaults | parameters))


def test_calibrated_classifier():
    calibrated = CalibratedClassifierCV(classifier(), cv=3).fit(TEXTS, GOLD)
    assert calibrated.score(TEXTS, GOLD) > 0.9


def test_tuned_threshold():
    two = GOLD != "praise"
    tuned = TunedThresholdClassifierCV(
        classifier(classes=NAMES[:2]), scoring="balanced_accuracy", cv=3
    )
    assert tuned.fit(TEXTS[two], GOLD[two]).score(TEXTS[two], GOLD[two]) > 0.7


def test_learning_curve():
    sizes, _, scores = learning_curve(
        classifier(), TEXTS, GOLD, cv=3, train_sizes=[0.5, 1.0], shuffle=True
    )
    assert len(sizes) == 2 and scores[-1].mean() > 0.9


@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_votes(voting):
    vote = VotingClassifier([("a", classifier()), ("b", classifier())], voting=voting)
    predicted = vote.fit(TEXTS, GOLD).predict(TEXTS)
    assert (predicted == GOLD).mean() > 0.9


@pytest.mark.parametrize("method", ["predict_proba", "predict"])
def test_stacks(method):
    stack = StackingClassifier([("a", classifier())], cv=3, stack_method=method)
    assert stack.fit(TEXTS, GOLD).score(TEXTS, GOLD) > 0.6


def test_one_versus_the_rest_says_that_it_is_not_needed():
    with pytest.raises(InvalidParameterError, match="OneVsRestClassifier"):
        OneVsRestClassifier(classifier()).fit(TEXTS, GOLD)
    labelled = LLKDClassifier(student=SklearnStudent(), random_state=0, verbose=0)
    assert OneVsRestClassifier(labelled).fit(TEXTS, GOLD).score(TEXTS, GOLD) > 0.9
    with pytest.raises(ValueError, match="convert string to float"):  # its own words
        OneVsOneClassifier(labelled).fit(TEXTS, GOLD)


def test_optuna():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        momentum = trial.suggest_float("momentum", 0.5, 0.99)
        fitted = classifier(n_epochs=trial.suggest_int("n_epochs", 1, 3)).fit(TEXTS)
        return fitted.score(TEXTS) + 0 * momentum

    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=3)
    assert study.best_value > 0.3


def test_imbalanced_learn():
    imblearn = pytest.importorskip("imblearn.pipeline")
    sampling = pytest.importorskip("imblearn.under_sampling")
    chosen = np.r_[:60:3, 1:15:3, 2:15:3]  # few of two classes
    pipeline = imblearn.Pipeline(
        [
            ("sample", sampling.RandomUnderSampler(random_state=0)),
            ("classify", classifier()),
        ]
    )
    column = TEXTS[chosen].reshape(-1, 1)  # samplers take tables
    pipeline.fit(column, GOLD[chosen])
    assert len(pipeline[-1].teacher_proba_) == 15
    assert (pipeline.predict(column) == GOLD[chosen]).mean() > 0.9


def test_cleanlab():
    rank = pytest.importorskip("cleanlab.rank")
    wrong = GOLD.copy()
    wrong[[3, 30]] = ["outage", "praise"]
    proba = cross_val_predict(classifier(), TEXTS, GOLD, cv=3, method="predict_proba")
    codes = np.searchsorted(NAMES, wrong)
    quality = rank.get_label_quality_scores(codes, proba)
    assert {*np.argsort(quality)[:2].tolist()} == {3, 30}


def test_mapie():
    mapie = pytest.importorskip("mapie.classification")
    fitted = classifier().fit(TEXTS[:30])
    conformal = mapie.SplitConformalClassifier(
        fitted, confidence_level=0.9, prefit=True
    )
    conformal.conformalize(TEXTS[30:], GOLD[30:])
    predicted, sets = conformal.predict_set(TEXTS[30:])
    assert (predicted == GOLD[30:]).mean() > 0.9
    assert sets[np.arange(30), np.searchsorted(NAMES, GOLD[30:])].mean() >= 0.9


def test_mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("mlflow.sklearn")
    fitted = classifier().fit(TEXTS)
    mlflow.sklearn.save_model(
        fitted,
        tmp_path / "model",
        serialization_format="cloudpickle",
        pip_requirements=["skllkd"],
    )
    loaded = mlflow.sklearn.load_model(str(tmp_path / "model"))
    assert (loaded.predict(TEXTS) == fitted.predict(TEXTS)).all()
    assert loaded.teacher is None


def test_lime():
    lime = pytest.importorskip("lime.lime_text")
    fitted = classifier(n_epochs=10).fit(TEXTS)
    explainer = lime.LimeTextExplainer(class_names=fitted.classes_, random_state=0)
    explained = explainer.explain_instance(
        "card refund please", fitted.predict_proba, labels=[0], num_samples=200
    )
    assert dict(explained.as_list(label=0))["please"] < max(
        weight for _, weight in explained.as_list(label=0)
    )


def test_shap():
    shap = pytest.importorskip("shap")
    fitted = classifier(n_epochs=10).fit(TEXTS)

    def proba(texts):
        return fitted.predict_proba([str(text) for text in texts])

    explainer = shap.Explainer(proba, shap.maskers.Text(r"\W+"), output_names=NAMES)
    explained = explainer(["card refund please"], silent=True)
    words = [word.strip() for word in explained.data[0]]
    weights = dict(zip(words, explained.values[0][:, 0], strict=True))
    assert weights["please"] < max(weights["card"], weights["refund"])


def test_a_pipeline_of_the_standard_kind_takes_a_column():
    column = TEXTS.reshape(-1, 1)
    pipeline = Pipeline([("classify", classifier())]).fit(column, GOLD)
    assert pipeline.score(column, GOLD) > 0.9
