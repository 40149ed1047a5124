"""The verdict: its outcomes and reasons; how often it is right is a benchmark's matter."""

from dataclasses import replace

import numpy as np
import pytest
from skllkd import LLKDClassifier
from skllkd.inspection.agreement import held_out_agreement
from skllkd.inspection.estimate import (
    Estimate,
    Signals,
    confidence_above_guessing,
    estimated,
    signals_of,
)
from skllkd.inspection.verdict import judge_labels, verdict_of
from skllkd.refinement import Refinement
from skllkd.refinement.gold import Accuracy
from skllkd.selection import SelectAll
from skllkd.students import FrozenEncoderStudent, SklearnStudent, TransformerStudent
from skllkd.teachers import BatchCalibration, CallableTeacher
from skllkd.teachers.sample import ask_sample

NAMES = ["fruit", "town", "tool"]
WORDS = {
    "fruit": ["apple", "pear", "plum", "grape"],
    "town": ["street", "square", "bridge", "tower"],
    "tool": ["hammer", "saw", "drill", "file"],
}


def pool(n_texts=360, seed=0):
    """Return texts of three words of their class, and the columns of the classes."""
    rng = np.random.RandomState(seed)
    gold = np.arange(n_texts) % 3
    return [
        " ".join([*rng.choice(WORDS[NAMES[k]], 3), str(i)]) for i, k in enumerate(gold)
    ], gold


def proba_of(label, sureness=0.8):
    """Return distributions of a confidence; an array gives each text its own."""
    sureness = np.broadcast_to(sureness, len(label))[:, None]
    return np.where(np.eye(3, dtype=bool)[label], sureness, (1 - sureness) / 2)


def fit(proba, **params):
    params = {"student": SklearnStudent(), "selection": SelectAll()} | params
    params = {"verbose": 0, "batch_size": 128} | params
    classifier = LLKDClassifier(classes=NAMES, random_state=0, **params)
    return classifier.fit(pool(len(proba))[0], teacher_proba=proba)


def verdict(proba, **params):
    return verdict_of(fit(proba, **params)._fitted)


def test_a_good_teacher_and_a_student_that_follows_work():
    found = verdict(proba_of(pool()[1]))
    assert found.outcome == "works"
    assert found.reasons == ()
    assert str(found).startswith(
        "Verdict: this probably works.\nAccuracy, estimated without gold labels: class"
    )
    assert found.teacher.low < found.teacher.value < found.teacher.high <= 1
    assert f"Teacher: confidence {found.signals.confidence:.2f}, agreement" in str(
        found
    )
    assert all(len(line) <= 88 for line in str(found).splitlines())


def test_a_sure_teacher_whose_labels_are_noise_does_not_work():
    noise = np.random.RandomState(0).randint(3, size=360)
    found = verdict(proba_of(noise, 0.95))
    assert found.outcome == "does not work"
    assert "hardly tells the classes apart" in found.reasons[0]
    assert found.signals.confidence == pytest.approx(0.925)
    assert found.signals.out_of_fold < 0.2
    assert found.teacher.low < 0.34 < found.teacher.high


def test_a_teacher_that_guesses_consistently_does_not_work():
    """A student learns its slight preference by heart; the confidence says it is none."""
    found = verdict(proba_of(pool()[1], 0.35))
    assert found.outcome == "does not work"
    assert found.signals.out_of_fold > 0.8


def test_one_class_for_all_is_no_agreement():
    label = np.zeros(360, dtype=int)
    label[:40] = 1 + np.arange(40) % 2
    sureness = np.random.RandomState(0).uniform(0.8, 0.9, 360)
    state = fit(proba_of(label, sureness))._fitted
    assert (state.out_of_fold == label).mean() > 0.8
    assert signals_of(state).out_of_fold < 0.2


def test_predictions_of_no_text_are_not_known():
    """As where the other folds held one class only, so that no model was trained."""
    state = fit(proba_of(pool()[1]))._fitted
    state = replace(state, out_of_fold=np.full(360, -1))
    assert signals_of(state).out_of_fold is None
    assert held_out_agreement(state) is None
    assert verdict_of(state).outcome == "doubtful"


def test_few_texts_are_a_reason():
    found = verdict(proba_of(pool(120)[1]))
    assert found.outcome == "doubtful"
    assert any("only 40 labelled texts per class" in reason for reason in found.reasons)


def test_what_only_the_teacher_claims_is_doubtful():
    found = verdict(proba_of(pool()[1], 0.95), refine=None)
    assert found.outcome == "doubtful"
    assert any("own confidence alone" in reason for reason in found.reasons)
    wide, narrow = found.teacher, verdict(proba_of(pool()[1], 0.95)).teacher
    assert wide.high - wide.low > narrow.high - narrow.low


def test_labels_without_confidences_claim_nothing():
    certain = verdict(proba_of(pool()[1], 1.0))
    assert certain.signals.confidence is None
    assert certain.outcome == "doubtful"
    assert any("gives no confidences" in reason for reason in certain.reasons)
    texts, gold = pool()
    labels = [NAMES[k] for k in gold]
    classifier = LLKDClassifier(student=SklearnStudent(), random_state=0)
    fitted = classifier.fit(texts, labels)
    assert verdict_of(fitted._fitted) is None  # of labels bought nothing is known
    assert "Verdict" not in str(fitted.report())


def test_a_student_that_did_not_learn_what_a_quick_model_learns_had_too_few_epochs():
    classifier = fit(proba_of(pool()[1]))
    state = classifier._fitted
    object.__setattr__(state, "agreement", 0.5)
    reasons = verdict_of(state).reasons
    assert any(
        "predicts 50 % of the labels it was trained on" in reason for reason in reasons
    )


def test_classes_that_are_confused_are_named():
    _, gold = pool()
    label = gold.copy()
    label[(gold == 1) & (np.arange(360) % 2 == 0)] = 0
    found = verdict(proba_of(label, np.where(label == gold, 0.8, 0.5)))
    assert any("easily confused: fruit and town." in r for r in found.reasons)


def test_gold_labels_measure_it():
    texts, gold = pool()
    wrong = np.random.RandomState(0).randint(3, size=360)
    kwargs = {"classes": NAMES, "student": SklearnStudent(), "random_state": 0}
    kwargs["batch_size"] = 128
    few = {row: NAMES[gold[row]] for row in range(60)}
    fitted = LLKDClassifier(**kwargs, verbose=0, refine=Refinement()).fit(
        texts, teacher_proba=proba_of(wrong), gold=few
    )
    found = verdict_of(fitted._fitted)
    assert found.is_measured
    teacher = fitted.gold_accuracy_["teacher"]
    assert found.teacher == Estimate(teacher.share, *teacher.interval)
    assert found.outcome == "does not work"
    assert "Accuracy, measured on gold labels: classifier" in str(found)
    assert "; measured accuracy" in found.in_one_line
    fewer = {row: NAMES[gold[row]] for row in range(6)}
    fitted.fit(texts, teacher_proba=proba_of(gold), gold=fewer)
    assert not verdict_of(fitted._fitted).is_measured


@pytest.mark.parametrize("n_classes", [2, 7])
@pytest.mark.parametrize("known", [(0.0, 0.0, 0.0), (1.0, 1.0, 0.9), (0.4, -0.1, None)])
def test_estimates_are_accuracies(known, n_classes):
    for estimate in estimated(Signals(*known), n_classes):
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.value >= 1 / n_classes


def test_estimates_rise_with_every_figure():
    low = estimated(Signals(0.3, 0.3, 0.3), 4)
    for better in (
        Signals(0.6, 0.3, 0.3),
        Signals(0.3, 0.6, 0.3),
        Signals(0.3, 0.3, 0.6),
    ):
        for of_both, before in zip(estimated(better, 4), low, strict=True):
            assert of_both.value > before.value


def test_a_teacher_that_is_the_class_names_is_not_confirmed_by_them():
    with_names, without = (estimated(Signals(0.5, 0.5, n), 4)[0] for n in (0.99, None))
    assert with_names == without


@pytest.mark.parametrize(
    ("agreement", "is_advised"), [(None, False), (0.1, True), (0.99, False)]
)
def test_a_hopeless_teacher_is_better_replaced_by_the_class_names(
    agreement, is_advised, monkeypatch
):
    """Unless it is the class names, or nobody knows what they say."""
    state = fit(proba_of(np.random.RandomState(0).randint(3, size=60)))._fitted
    found = Signals(0.1, 0.1, agreement)
    monkeypatch.setattr("skllkd.inspection.verdict.signals_of", lambda _: found)
    verdict = verdict_of(state)
    assert verdict.outcome == "does not work"
    assert ("EmbeddingTeacher" in verdict.reasons[0]) is is_advised


@pytest.mark.parametrize(
    ("sureness", "words"),
    [
        (0.36, "hardly depend on the text"),
        (0.5, "often unsure"),
        (0.8, "tells the classes apart"),
        (1.0, "gives no confidences"),
    ],
)
def test_labels_are_judged_by_their_calibrated_confidence(sureness, words):
    texts, gold = pool(60)
    biased = proba_of(gold, sureness) * [1, 1, 30]  # says `tool` whatever the text
    biased /= biased.sum(axis=1, keepdims=True)
    calibration = None if sureness == 1 else BatchCalibration()
    proba = proba_of(gold, 1.0) if sureness == 1 else biased
    teacher = CallableTeacher(
        lambda some: proba[[texts.index(text) for text in some]],
        calibration=calibration,
        store=False,
    )
    labels = teacher.label(texts, NAMES)
    assert words in judge_labels(labels)
    assert "`examples`" in judge_labels(labels) or sureness >= 0.8


@pytest.mark.parametrize(("sureness", "words"), [(0.34, "hardly"), (0.9, "tells")])
def test_a_few_uncalibrated_answers_are_calibrated_among_themselves(sureness, words):
    """A model that says one code whatever the text is sure, and does not read it."""
    texts, gold = pool(6)
    biased = proba_of(gold, sureness) * [1, 1, 300]
    teacher = CallableTeacher(
        lambda some: (biased / biased.sum(axis=1, keepdims=True))[
            [texts.index(text) for text in some]
        ],
        calibration=BatchCalibration(),
        store=False,
    )
    sample = ask_sample(teacher, texts, NAMES, 6)
    assert (sample.labels.proba.argmax(axis=1) == 2).all()
    assert words in judge_labels(sample.labels)


def test_confidence_is_counted_from_guessing():
    assert confidence_above_guessing(proba_of(pool()[1], 1 / 3)) == pytest.approx(0)
    rows = np.vstack([proba_of(pool(3)[1], 0.75), [[np.nan] * 3]])
    assert confidence_above_guessing(rows) == pytest.approx((0.75 - 1 / 3) / (2 / 3))
    assert confidence_above_guessing(np.full((2, 3), np.nan)) is None


@pytest.mark.parametrize(
    ("verbose", "seconds", "is_told"),
    [(1, 3.0, True), (0, 3.0, False), (1, 0.1, False)],
)
def test_a_long_fit_ends_with_the_verdict_where_progress_is_shown(
    verbose, seconds, is_told, capsys, monkeypatch
):
    clock = iter(np.arange(1000) * seconds)  # a look at it takes so long
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    fit(proba_of(pool()[1]), verbose=verbose)
    monkeypatch.undo()
    told = "Verdict: this probably works; estimated accuracy" in (
        capsys.readouterr().err
    )
    assert told == is_told


@pytest.mark.parametrize(
    ("student", "advice"),
    [
        (SklearnStudent(), "a student with an encoder"),
        (FrozenEncoderStudent(), "or fine-tune the encoder"),
        (TransformerStudent(), "more epochs"),
    ],
)
def test_a_student_that_is_behind_is_advised_by_its_kind(student, advice):
    state = fit(proba_of(pool()[1]))._fitted
    label = state.teacher_proba.argmax(axis=1)
    is_repeated = np.arange(360) // 3 % 2 == 0  # kappa .25, and .36 of them right
    out_of_fold = np.where(is_repeated, label, (label + 1) % 3)
    state = replace(state, out_of_fold=out_of_fold, student=student)
    behind = [
        r for r in verdict_of(state).reasons if r.startswith("The student may be")
    ]
    assert len(behind) == 1 and advice in behind[0]
    accuracy = {"teacher": Accuracy(100, 90), "student": Accuracy(100, 80)}
    measured = verdict_of(replace(state, gold_accuracy=accuracy)).reasons
    behind = [r for r in measured if "on the gold labels" in r]
    assert len(behind) == 1 and advice in behind[0]
