"""Evaluation on gold labels: scores against scikit-learn's, pages, and pictures."""

import json

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)
from skllkd import LLKDClassifier
from skllkd.exceptions import InvalidParameterError
from skllkd.inspection.pictures import evaluation_pictures
from skllkd.inspection.scoring import evaluate_predictions
from skllkd.refinement.gold import Accuracy
from skllkd.students import SklearnStudent

NAMES = ["a", "b|c", "never"]


@pytest.fixture(scope="module")
def case():
    """Return distributions and gold labels of 200 texts of two of three classes."""
    rng = np.random.RandomState(0)
    gold = rng.randint(2, size=200)
    proba = rng.dirichlet([1, 1, 0.2], 200)
    proba[np.arange(200), gold] += 0.7
    return proba / proba.sum(axis=1, keepdims=True), [NAMES[k] for k in gold]


def test_scores_are_those_of_scikit_learn(case):
    proba, gold = case
    found = evaluate_predictions(NAMES, proba, gold)
    predicted = [NAMES[k] for k in proba.argmax(axis=1)]
    assert found.accuracy.share == pytest.approx(accuracy_score(gold, predicted))
    np.testing.assert_array_equal(
        found.confusion, confusion_matrix(gold, predicted, labels=NAMES)
    )
    assert found.macro_f1 == pytest.approx(f1_score(gold, predicted, average="macro"))
    low, high = found.macro_f1_interval
    assert low < found.macro_f1 < high
    wanted = precision_recall_fscore_support(
        gold, predicted, labels=NAMES[:2], zero_division=0
    )
    for scores, *of_class in zip(found.per_class, *wanted, strict=False):
        got = (scores.precision, scores.recall, scores.f1, scores.n_texts)
        assert got == pytest.approx(tuple(of_class))
        assert scores.recall_interval[0] < scores.recall < scores.recall_interval[1]


def test_the_surest_are_kept_first(case):
    proba, gold = case
    coverage = evaluate_predictions(NAMES, proba, gold).coverage
    shares, confidences, accuracies = map(np.array, zip(*coverage, strict=True))
    assert shares[0] == 1
    assert (np.diff(shares) < 0).all()
    assert (np.diff(confidences) >= 0).all()
    right = proba.argmax(axis=1) == [NAMES.index(name) for name in gold]
    kept = np.argsort(-proba.max(axis=1), kind="stable")[:100]
    assert accuracies[shares == 0.5] == pytest.approx(right[kept].mean())


def test_others_are_judged_on_the_texts_they_label(case):
    proba, gold = case
    teacher = list(gold)
    teacher[:50] = [None] * 50
    teacher[50] = "a" if gold[50] == "b|c" else "b|c"
    frequent, found = evaluate_predictions(NAMES, proba, gold, {"it": teacher}).rivals
    assert frequent.accuracy.n_right == max(gold.count("a"), gold.count("b|c"))
    assert found.accuracy == Accuracy(150, 149)
    right = proba.argmax(axis=1) == [NAMES.index(name) for name in gold]
    assert found.lead == pytest.approx(right[50:].mean() - 149 / 150)
    assert found.lead_interval[0] < found.lead < found.lead_interval[1]


def test_pages_hold_every_class_and_json_no_nan(case):
    proba, gold = case
    found = evaluate_predictions(
        NAMES, proba, gold, {"nobody": [None] * 200}, {"model_bytes": 2e6}
    )
    page = found.to_markdown()
    for part in (
        "Accuracy: ",
        "| b\\|c |",
        "| never | 0 |",
        "| nobody | - | - |",
        "2.0 MB",
    ):
        assert part in page
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["accuracy"]["share"] == found.accuracy.share
    assert content["per_class"][2]["recall"] is None
    assert content["confusion"] == found.confusion.tolist()


def test_pictures_are_png_files(case):
    pytest.importorskip("matplotlib")
    pictures = evaluation_pictures(evaluate_predictions(NAMES, *case))
    assert list(pictures) == ["confusion", "calibration", "coverage"]
    for content in pictures.values():
        assert content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        (["a", "A"], "1 of 2 are none, as 'A'"),
        (["a", None], "got None at row 1"),
        (["a"], "each of the 2 texts; got 1"),
    ],
)
def test_gold_labels_that_are_no_classes_are_refused(gold, message):
    with pytest.raises(InvalidParameterError, match=message):
        evaluate_predictions(NAMES, np.eye(3)[:2], gold)


def test_a_fitted_classifier_evaluates_itself(news):
    texts, gold = news
    classifier = LLKDClassifier(student=SklearnStudent(), random_state=0)
    classifier.fit(texts[:150], gold[:150])
    found = classifier.evaluate(
        texts[150:250], gold[150:250], teacher_labels=gold[150:250]
    )
    assert found.accuracy.share == classifier.score(texts[150:250], gold[150:250])
    assert found.cost["model_bytes"] > 1000
    teacher = found.rivals[-1]
    assert (teacher.name, teacher.accuracy.share) == ("the teacher", 1.0)
    assert repr(found).startswith("<Evaluation: accuracy ")
    with pytest.raises(InvalidParameterError, match="90 of 90 are none"):
        classifier.evaluate(texts[:90], [name.upper() for name in gold[:90]])
