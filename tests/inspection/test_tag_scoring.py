"""Evaluation and report, where a text may have several classes."""

import json

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    multilabel_confusion_matrix,
    precision_score,
    recall_score,
)
from skllkd import LLKDClassifier, Multilabel
from skllkd._core.tags import tag_confidence
from skllkd.exceptions import InvalidParameterError
from skllkd.inspection.tag_scoring import evaluate_tags
from skllkd.students import SklearnStudent

NAMES = ["a", "b", "c"]
RNG = np.random.RandomState(0)
GOLD = (RNG.uniform(size=(80, 3)) < [0.5, 0.3, 0.1]).astype(int)
PROBA = np.clip(0.4 * GOLD + 0.6 * RNG.uniform(size=GOLD.shape), 0, 1)
THRESHOLDS = np.array([0.5, 0.45, 0.3])
HAS = (PROBA >= THRESHOLDS).astype(int)


@pytest.fixture(scope="module")
def found():
    rivals = {"everything": [NAMES] * 79 + [None]}
    return evaluate_tags(NAMES, PROBA, THRESHOLDS, GOLD, rivals)


def test_scores_are_those_of_scikit_learn(found):
    assert found.accuracy.share == accuracy_score(GOLD, HAS)
    assert found.micro_f1 == pytest.approx(f1_score(GOLD, HAS, average="micro"))
    assert found.macro_f1 == pytest.approx(f1_score(GOLD, HAS, average="macro"))
    np.testing.assert_array_equal(
        found.confusion, multilabel_confusion_matrix(GOLD, HAS)
    )
    for k, scores in enumerate(found.per_class):
        assert scores.precision == precision_score(GOLD[:, k], HAS[:, k])
        assert scores.recall == recall_score(GOLD[:, k], HAS[:, k])
        assert scores.f1 == pytest.approx(f1_score(GOLD[:, k], HAS[:, k]))
        assert 0 <= scores.calibration_error <= 1
    for interval, score in [
        (found.micro_f1_interval, found.micro_f1),
        (found.macro_f1_interval, found.macro_f1),
    ]:
        assert interval[0] < score < interval[1]


def test_others_are_judged_on_the_texts_they_label(found):
    nothing, everything = found.rivals
    assert nothing.accuracy.share == np.mean(GOLD.sum(axis=1) == 0)
    assert nothing.micro_f1 == 0
    assert everything.accuracy.n_texts == 79
    ones = np.ones((79, 3), dtype=int)
    wanted = f1_score(GOLD[:79], ones, average="micro")
    assert everything.micro_f1 == pytest.approx(wanted)


def test_pages_and_json(found):
    page = found.to_markdown()
    for part in ("All classes right", "Micro-F1", "calibration error", "everything"):
        assert part in page
    assert "Confusion" not in page
    content = json.loads(json.dumps(found.to_dict()))
    assert content["micro_f1"] == found.micro_f1
    assert "micro-F1" in repr(found)


def test_confidence_is_that_of_the_least_certain_class():
    proba = np.array([[0.9, 0.2], [0.6, 0.05], [0.4, 0.75]])
    half = tag_confidence(proba, np.array([0.5, 0.5]))
    np.testing.assert_allclose(half, [0.8, 0.6, 0.6])
    moved = tag_confidence(proba, np.array([0.5, 0.2]))
    np.testing.assert_allclose(moved, [0.5, 0.6, 0.6])  # .2 is at its threshold
    edges = tag_confidence(np.array([[0.0, 1.0]]), np.array([0.0, 1.0]))
    assert np.isfinite(edges).all()


def test_texts_without_gold_labels_are_named():
    with pytest.raises(InvalidParameterError, match="none at row 1"):
        evaluate_tags(NAMES, PROBA[:2], THRESHOLDS, [["a"], None])
    with pytest.raises(InvalidParameterError, match="80 texts; got 3"):
        evaluate_tags(NAMES, PROBA, THRESHOLDS, GOLD[:3])


def test_nothing_to_find_is_found_right():
    none = np.zeros((5, 3))
    found = evaluate_tags(NAMES, none, THRESHOLDS, none)
    assert (found.micro_f1, found.macro_f1, found.accuracy.share) == (1, 1, 1)


# ---- of a classifier


TAGS = ["aa", "bb"]


def teacher(texts):
    return [[0.95 if name in text.split() else 0.02 for name in TAGS] for text in texts]


TEXTS = [
    f"{words} word {i % 7}" for i in range(15) for words in ("aa", "bb", "aa bb", "")
]


@pytest.fixture(scope="module")
def classifier():
    return LLKDClassifier(
        teacher,
        Multilabel(TAGS),
        student=SklearnStudent(),
        n_epochs=10,
        random_state=0,
        verbose=0,
    ).fit(TEXTS)


def test_a_classifier_is_evaluated(classifier):
    gold = [["aa"], ["aa", "bb"], []]
    found = classifier.evaluate(["aa 1", "aa bb", "word"], gold, teacher_labels=gold)
    assert found.micro_f1 == 1
    assert [rival.name for rival in found.rivals][1] == "the teacher"
    assert found.cost["model_bytes"] > 0


def test_reports(classifier, capsys):
    report = classifier.report()
    assert "micro-F1 1.000, macro-F1 1.000" in capsys.readouterr().out
    assert [row.n_texts for row in report.per_class] == [30, 30]
    assert report.predicted == {"aa": 30, "bb": 30}
    assert report.label_issues == []
    assert report.verdict.outcome == "doubtful"  # too few texts
    wrong = LLKDClassifier(
        lambda texts: [[0.95, 0.9] for _ in texts],
        Multilabel(TAGS),
        student=SklearnStudent(),
    )
    student = classifier.__copy__().set_params(teacher=wrong.teacher)
    other = student.report([f"{text} again" for text in TEXTS])
    assert other.label_issues
    assert {issue.student for issue in other.label_issues} <= {"not aa", "not bb"}
    assert not other.is_pool
    student.set_params(teacher=None).report(["a new text"])
    assert "not known" in capsys.readouterr().out


def test_pictures(classifier):
    pytest.importorskip("matplotlib")
    from skllkd import (
        ConfidenceUncertaintyDisplay,
        ReliabilityDisplay,
        SelectionDisplay,
    )

    gold = [[name for name in TAGS if name in text.split()] for text in TEXTS]
    shown = ReliabilityDisplay.from_estimator(classifier, TEXTS, gold)
    assert {len(p) for p, _ in shown.curves.values()} == {2 * len(TEXTS)}
    _, has = shown.curves["student"]
    assert has.sum() == sum(map(len, gold))
    points = ConfidenceUncertaintyDisplay.from_estimator(classifier, TEXTS)
    assert len(points.disagree) == 2 * len(TEXTS)
    assert not points.disagree.any()
    assert SelectionDisplay.from_estimator(classifier).teacher_thresholds is None
