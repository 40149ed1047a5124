"""Scores of predictions against gold labels, where a text may have several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows
from skllkd._core.classes import Multilabel, as_classes
from skllkd._core.tags import as_indicator, gold_tags, tag_confidence
from skllkd.exceptions import InvalidParameterError
from skllkd.inspection.evaluation import ClassScores, Evaluation, Rival
from skllkd.inspection.scoring import (
    N_RESAMPLES,
    calibration_error,
    counted_scores,
    coverage_of,
    lead_over,
)
from skllkd.refinement.gold import Accuracy


def evaluate_tags(
    classes: Any,
    proba: FloatArray,
    thresholds: FloatArray,
    gold: Any,
    rivals: dict[str, Any] | None = None,
    cost: dict[str, float] | None = None,
) -> Evaluation:
    """Evaluate predictions of several classes a text, as `evaluate_predictions` does.

    A prediction is right if all classes of the text are.
    """
    names = list(np.asarray(classes).tolist())
    wanted = gold_tags(gold, names).astype(bool)
    if len(wanted) != len(proba):
        raise InvalidParameterError(
            f"`y` must hold the labels of each of the {len(proba)} texts; got "
            f"{len(wanted)}."
        )
    has = proba >= thresholds
    is_right, confidence = (
        (has == wanted).all(axis=1),
        tag_confidence(proba, thresholds),
    )
    macro_interval, micro_interval = f1_intervals(wanted, has)
    others: dict[str, Any] = {"no class for any text": [[]] * len(proba)}
    return Evaluation(
        classes=names,
        accuracy=Accuracy(len(wanted), int(is_right.sum())),
        macro_f1=f1_scores(*counts_of(wanted, has))[0],
        macro_f1_interval=macro_interval,
        micro_f1=f1_scores(*counts_of(wanted, has))[1],
        micro_f1_interval=micro_interval,
        per_class=[
            class_scores(name, wanted[:, k], has[:, k], proba[:, k])
            for k, name in enumerate(names)
        ],
        confusion=_confusions(wanted, has),
        confidence=confidence,
        is_right=is_right,
        calibration_error=calibration_error(proba.ravel(), wanted.ravel()),
        coverage=coverage_of(confidence, is_right),
        rivals=[
            _rival(name, labels, names, wanted, is_right)
            for name, labels in (others | (rivals or {})).items()
        ],
        cost=cost or {},
    )


def counts_of(wanted: BoolArray, has: BoolArray) -> tuple[IntArray, IntArray]:
    """Return the number of texts right in each class, and of those of either side."""
    return (wanted & has).sum(axis=0), wanted.sum(axis=0) + has.sum(axis=0)


def f1_scores(n_both: IntArray, n_either: IntArray) -> tuple[float, float]:
    """Return macro-F1, over the classes that occur or are predicted, and micro-F1.

    They are 1 where no class occurs or is predicted.
    """
    occurs = n_either > 0
    if not occurs.any():
        return 1.0, 1.0
    macro = float(np.mean(2 * n_both[occurs] / n_either[occurs]))
    return macro, float(2 * n_both.sum() / n_either.sum())


def class_scores(
    name: Any, wanted: BoolArray, has: BoolArray, proba: FloatArray
) -> ClassScores:
    """Return the scores of a class."""
    n_right, n_texts, n_predicted = (
        int(mask.sum()) for mask in (wanted & has, wanted, has)
    )
    scores = counted_scores(name, n_right, n_texts, n_predicted)
    return replace(scores, calibration_error=calibration_error(proba, wanted))


def _confusions(wanted: BoolArray, has: BoolArray) -> IntArray:
    """Return, for each class, the numbers of texts without and with it, as predicted."""
    return np.array(
        [
            [[np.sum((of == a) & (by == b)) for b in (0, 1)] for a in (0, 1)]
            for of, by in zip(wanted.T, has.T, strict=True)
        ]
    )


def f1_intervals(
    wanted: BoolArray, has: BoolArray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the 95 % intervals of macro-F1 and micro-F1, by the bootstrap."""
    rng, n_texts = np.random.RandomState(0), len(wanted)
    both, either = (wanted & has).astype(int), wanted.astype(int) + has
    found = []
    for _ in range(N_RESAMPLES):
        times = np.bincount(rng.randint(n_texts, size=n_texts), minlength=n_texts)
        found.append(f1_scores(times @ both, times @ either))
    macro, micro = np.quantile(found, [0.025, 0.975], axis=0).T.tolist()
    return tuple(macro), tuple(micro)


def _rival(
    name: str, labels: Any, names: list[Any], wanted: BoolArray, is_right: BoolArray
) -> Rival:
    """Return the scores of another's labels, and the lead over it."""
    tags = as_indicator(labels, as_classes(Multilabel(names)), name)
    known = ~nan_rows(tags)
    given, of_known = tags[known].astype(bool), wanted[known]
    right = (given == of_known).all(axis=1)
    lead, interval = lead_over(is_right[known], right)
    micro_f1 = f1_scores(*counts_of(of_known, given))[1]
    accuracy = Accuracy(int(known.sum()), int(right.sum()))
    return Rival(name, accuracy, lead, interval, micro_f1)
