"""Measurements of a fitted classifier, for its report."""

from __future__ import annotations

import pickle
import time
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.texts import column_entries
from skllkd._fitted import FittedState
from skllkd.inspection.agreement import (
    agreement_of,
    class_names_agreement,
    closest_class_names,
    held_out_agreement,
)
from skllkd.inspection.disagreements import (
    SURE,
    Confusion,
    find_confusions,
    find_label_issues,
    find_tag_issues,
)
from skllkd.inspection.evaluation import Evaluation
from skllkd.inspection.refinement_display import changed_labels
from skllkd.inspection.report import Report
from skllkd.inspection.scoring import evaluate_predictions
from skllkd.inspection.tag_scoring import counts_of, evaluate_tags, f1_scores
from skllkd.inspection.verdict import verdict_of
from skllkd.refinement.answers import most_probable
from skllkd.students import Student

#: Number of texts predicted to measure the speed.
_TIMED_TEXTS = 256


def make_report(
    state: FittedState, X: Any, teacher_proba: FloatArray, n_calls: int = 0
) -> Report:
    """Return the report of a fitted classifier on texts with teacher distributions.

    Rows of NaN have none. `n_calls` is the number of calls made to get them.
    """
    if state.multilabel:
        return tag_report(state, X, teacher_proba, n_calls)
    known = np.flatnonzero(~nan_rows(teacher_proba))
    every_proba, is_pool = state.student.predict_proba(X), state.is_pool(X)
    proba, student_proba = teacher_proba[known], every_proba[known]
    label, chosen = proba.argmax(axis=1), student_proba.argmax(axis=1)
    agrees, names = label == chosen, state.classes.tolist()
    counts = np.bincount(every_proba.argmax(axis=1), minlength=len(names)).tolist()
    return Report(
        overall=agreement_of("all classes", agrees),
        per_class=[
            agreement_of(name, agrees[label == k]) for k, name in enumerate(names)
        ],
        is_pool=is_pool,
        held_out=held_out_agreement(state),
        predicted=dict(zip(names, counts, strict=True)),
        label_issues=find_label_issues(X, state.classes, known, proba, student_proba),
        confusions=_confusions(state, is_pool, label, chosen),
        share_sure=float(np.mean(proba.max(axis=1) >= SURE)) if len(known) else 0.0,
        n_teacher_calls=state.n_teacher_calls + n_calls,
        n_teacher_calls_saved=state.n_teacher_calls_saved,
        n_report_calls=n_calls,
        share_selected=state.share_selected,
        model_bytes=student_bytes(state.student),
        texts_per_second=texts_per_second(state.student, X),
        class_names=class_names_agreement(state, X, known, label, chosen),
        refinement=state.refinement,
        changed_labels=changed_labels(state, X) if is_pool else [],
        gold_accuracy=state.gold_accuracy or {},
        verdict=verdict_of(state),
    )


def tag_report(
    state: FittedState, X: Any, teacher_proba: FloatArray, n_calls: int
) -> Report:
    """Return the report of a classifier of texts that may have several classes."""
    assert state.thresholds is not None
    known = np.flatnonzero(~nan_rows(teacher_proba))
    every_proba, is_pool = state.student.predict_proba(X), state.is_pool(X)
    every = every_proba >= state.thresholds
    proba, has = teacher_proba[known], every[known]
    wanted, names = proba >= 0.5, state.classes.tolist()
    macro_f1, micro_f1 = f1_scores(*counts_of(wanted, has))
    is_sure = np.maximum(proba, 1 - proba) >= SURE
    return Report(
        overall=agreement_of("all classes", (wanted == has).all(axis=1)),
        per_class=[
            agreement_of(name, has[wanted[:, k], k]) for k, name in enumerate(names)
        ],
        is_pool=is_pool,
        held_out=held_out_agreement(state),
        predicted=dict(zip(names, every.sum(axis=0).tolist(), strict=True)),
        label_issues=find_tag_issues(X, names, known, proba, every_proba[known]),
        confusions=[],
        share_sure=float(np.mean(is_sure)) if len(known) else 0.0,
        n_teacher_calls=state.n_teacher_calls + n_calls,
        n_teacher_calls_saved=state.n_teacher_calls_saved,
        n_report_calls=n_calls,
        share_selected=state.share_selected,
        model_bytes=student_bytes(state.student),
        texts_per_second=texts_per_second(state.student, X),
        class_names={},
        refinement=state.refinement,
        changed_labels=changed_labels(state, X) if is_pool else [],
        gold_accuracy=state.gold_accuracy or {},
        verdict=verdict_of(state),
        micro_f1=micro_f1 if len(known) else None,
        macro_f1=macro_f1 if len(known) else None,
    )


def evaluate_classifier(
    classifier: Any,
    texts: Any,
    gold: Any,
    teacher_labels: Any = None,
    level: int | None = None,
) -> Evaluation:
    """Return the evaluation of a fitted classifier, or of an ONNX file, on gold labels.

    `teacher_labels` holds the teacher's label of each text, None where there is none. At
    a level of a tree, labels may be those of classes or of groups there.
    """
    proba, names = classifier.predict_proba(texts), classifier.classes_.tolist()
    rivals = {} if teacher_labels is None else {"the teacher": teacher_labels}
    cost = {"texts_per_second": _speed(classifier, texts)}
    state = getattr(classifier, "_fitted", None)
    thresholds = getattr(classifier, "thresholds_", None)
    if state is not None:
        cost = {
            "texts_per_second": texts_per_second(state.student, texts),
            "model_bytes": student_bytes(state.student),
        }
        closest = None
        if thresholds is None:
            closest = closest_class_names(state, list(texts))
        if closest is not None:
            rivals["the class names alone"] = [names[k] for k in closest]
    if level is not None:
        groups = classifier._level(level)
        rivals = {name: groups.of(labels) for name, labels in rivals.items()}
        names, proba = groups.names.tolist(), groups.sums(proba)
        gold = groups.of(column_entries(gold, "y"))
    if thresholds is not None:
        return evaluate_tags(names, proba, thresholds, gold, rivals, cost)
    return evaluate_predictions(names, proba, gold, rivals, cost)


def _confusions(
    state: FittedState, is_pool: bool, label: IntArray, chosen: IntArray
) -> list[Confusion]:
    """Return the confusions: of the pool out of fold, or else of the student."""
    if is_pool and state.out_of_fold is not None:
        label = most_probable(state.teacher_proba)
        return find_confusions(state.classes, label, state.out_of_fold)
    return find_confusions(state.classes, label, chosen)


def texts_per_second(student: Student, X: Any) -> float:
    """Measure the speed of a student on some of the texts."""
    return _speed(student.without_cache(), X)


def _speed(model: Any, X: Any) -> float:
    """Measure the texts a second that a model predicts."""
    some = X[:_TIMED_TEXTS]
    start = time.perf_counter()
    model.predict_proba(some)
    return len(some) / (time.perf_counter() - start)


def student_bytes(student: Student) -> int:
    """Return the bytes of a student's weights, or of its pickle if it has none."""
    weights = getattr(student, "weights_", None)
    if weights is None:
        return len(pickle.dumps(student))
    return sum(array.nbytes for array in weights.values())
