"""Confidence calibrated on a few gold labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit, logit
from typing_extensions import override

from skllkd._core.arrays import FloatArray, IntArray, nan_rows, normalise
from skllkd._core.classes import Classes, as_classes
from skllkd._core.labels import gold_entries
from skllkd._core.params import check_option
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.base import Teacher
from skllkd.teachers.labels import Recalibration, TeacherLabels
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.plan import LabellingPlan

#: Smallest number of gold labels that something can be learned from.
_MIN_GOLD = 10
#: The largest log-odds that a line is laid through, those of 1e-12.
_LARGEST_ODDS = 27.6


def _scaled(proba: FloatArray, temperature: float) -> FloatArray:
    r"""Scale distributions, Guo et al. 2017 (arXiv:1706.04599): :math:`p_k^{1/T}`."""
    with np.errstate(divide="ignore"):
        return normalise(np.log(proba) / temperature, None)


def _fit_temperature(proba: FloatArray, gold: IntArray) -> Recalibration:
    """Find the temperature, in [0.05, 20], under which gold is the likeliest."""
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(gold))

    def loss(log_temperature: float) -> float:
        scaled = _scaled(proba, np.exp(log_temperature))
        return -float(np.log(np.maximum(scaled[rows, gold], 1e-12)).mean())

    span = (np.log(0.05), np.log(20.0))
    best = minimize_scalar(loss, bounds=span, method="bounded")
    return partial(_scaled, temperature=float(np.exp(best.x)))


def _on_curve(
    proba: FloatArray, confidence: FloatArray, accuracy: FloatArray
) -> FloatArray:
    """Give the likeliest classes the accuracy of a curve; they stay the likeliest.

    The other classes share what is left as they did before.
    """
    rows = np.arange(len(proba))
    top = proba.argmax(axis=1)
    before = proba[rows, top]
    rest = np.maximum(1 - before, 1e-12)
    others = proba.copy()
    others[rows, top] = 0
    share = others / rest[:, None]
    second = share.max(axis=1)
    wanted = np.interp(before, confidence, accuracy)
    after = np.maximum(wanted, second / (1 + second) + 1e-6)
    spread: FloatArray = share * (1 - after)[:, None]
    spread[rows, top] = 1 - spread.sum(axis=1)
    return spread


def _fit_isotonic(proba: FloatArray, gold: IntArray) -> Recalibration:
    """Fit isotonic regression of being right on the confidence.

    Zadrozny and Elkan 2002 (doi:10.1145/775047.775151), between 1 / (n + 2) and
    (n + 1) / (n + 2).
    """
    from sklearn.isotonic import IsotonicRegression

    right = (proba.argmax(axis=1) == gold).astype(np.float64)
    margin = 1 / (len(gold) + 2)
    curve = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
    curve.fit(proba.max(axis=1), right)
    thresholds = {"confidence": curve.X_thresholds_, "accuracy": curve.y_thresholds_}
    return partial(_on_curve, **thresholds)


def _on_lines(proba: FloatArray, lines: FloatArray) -> FloatArray:
    """Put the log-odds of each class on a line, with a factor and an offset for each."""
    factor, offset = lines
    odds = np.clip(logit(proba), -_LARGEST_ODDS, _LARGEST_ODDS)
    scaled: FloatArray = expit(factor * odds + offset)
    return scaled


def _fit_lines(proba: FloatArray, gold: FloatArray) -> Recalibration:
    r"""Find a factor and an offset for the log-odds of each class.

    Platt 1999, with normal priors of the logarithm of the factor around 0 and of the
    offset around 0, of variances 1 and 4: a class with few texts keeps its odds.
    """
    from scipy.optimize import minimize

    odds = np.clip(logit(proba), -_LARGEST_ODDS, _LARGEST_ODDS)

    def loss(line: FloatArray, of_class: FloatArray, has: FloatArray) -> float:
        sign = np.where(has, -1.0, 1.0)
        wrong = sign * (np.exp(line[0]) * of_class + line[1])
        return float(np.logaddexp(0, wrong).sum() + line[0] ** 2 / 2 + line[1] ** 2 / 8)

    lines = np.empty((2, gold.shape[1]))
    for k in range(gold.shape[1]):
        found = minimize(loss, np.zeros(2), args=(odds[:, k], gold[:, k] >= 0.5))
        lines[:, k] = np.exp(found.x[0]), found.x[1]
    return partial(_on_lines, lines=lines)


def _on_curves(
    proba: FloatArray, curves: Sequence[tuple[FloatArray, FloatArray]]
) -> FloatArray:
    """Read the probability of each class off its curve."""
    pairs = zip(proba.T, curves, strict=True)
    columns = [np.interp(p, given, risen) for p, (given, risen) in pairs]
    calibrated: FloatArray = np.column_stack(columns)
    calibrated[np.isnan(proba)] = np.nan
    return calibrated


def _fit_curves(proba: FloatArray, gold: FloatArray) -> Recalibration:
    """Fit isotonic regression of having a class on its probability, for each class."""
    from sklearn.isotonic import IsotonicRegression

    margin = 1 / (len(gold) + 2)
    curves = []
    for k in range(gold.shape[1]):
        curve = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
        curve.fit(proba[:, k], gold[:, k])
        curves.append((curve.X_thresholds_, curve.y_thresholds_))
    return partial(_on_curves, curves=curves)


_FITS = {"temperature": _fit_temperature, "isotonic": _fit_isotonic}
_TAG_FITS = {"temperature": _fit_lines, "isotonic": _fit_curves}


class CalibratedTeacher(Teacher):
    """A teacher whose confidence is calibrated on a few gold labels.

    The likeliest class of a text is that of the teacher; how sure it is of it follows
    how often it was right on the texts whose classes are known.

    Parameters
    ----------
    teacher : Teacher
        The teacher. Its own calibration comes first.
    texts : sequence of str
        Texts with known classes, at least 10, at best a random part of the pool.
    y : sequence of shape (n_texts,)
        Their classes; with several a text lists of them, or an indicator matrix of shape
        (n_texts, n_classes).
    method : {"temperature", "isotonic"}, default="temperature"
        One number, which some 30 labels determine, or a rising curve, which wants a few
        hundred. With several classes a text (`Multilabel`) a factor and an offset of the
        log-odds of each class, or a curve for each: the gold labels then also say how
        frequent a class is.

    See Also
    --------
    EnsembleTeacher : Several teachers as one.

    Examples
    --------
    >>> from skllkd.teachers import CalibratedTeacher, PrecomputedTeacher
    >>> texts = [f"text {i}" for i in range(40)]
    >>> teacher = PrecomputedTeacher(texts, (["ham"] * 40, [0.99] * 40))
    >>> gold = ["ham"] * 30 + ["spam"] * 10
    >>> calibrated = CalibratedTeacher(teacher, texts, gold)
    >>> calibrated.label(texts[:1], ["ham", "spam"]).proba.round(2)
    array([[0.75, 0.25]])
    """

    def __init__(
        self, teacher: Any, texts: Any, y: Any, *, method: str = "temperature"
    ) -> None:
        self.teacher = teacher
        self.texts = texts
        self.y = y
        self.method = method

    @override
    def label(
        self,
        texts: Any,
        classes: Any,
        *,
        class_bias: FloatArray | None = None,
        verbose: int = 0,
    ) -> TeacherLabels:
        check_option(self.method, "method", list(_FITS))
        named = as_classes(classes)
        gold_texts, truth = self._gold(named)
        labels: TeacherLabels = self.teacher.label(
            texts, classes, class_bias=class_bias, verbose=verbose
        )
        gold: TeacherLabels = self.teacher.label(
            gold_texts, classes, class_bias=labels.class_bias, verbose=verbose
        )
        usable = ~gold.missing
        if named.multilabel:
            usable &= ~nan_rows(truth)
        if usable.sum() < _MIN_GOLD:
            raise InvalidParameterError(
                f"`texts` must hold at least {_MIN_GOLD} texts that the teacher has an "
                f"answer for; got {int(usable.sum())}. Label some more by hand."
            )
        fits: dict[str, Any] = _TAG_FITS if named.multilabel else _FITS
        return replace(
            labels,
            recalibration=fits[self.method](gold.proba[usable], truth[usable]),
            n_asked=labels.n_asked + gold.n_asked,
            usage=labels.usage.plus(gold.usage),
            seconds=labels.seconds + gold.seconds,
        )

    def _gold(self, classes: Classes) -> tuple[list[str], Any]:
        """Return the texts with gold labels, and the columns of those.

        With several classes a text these are rows of 0 and 1.
        """
        texts = as_texts(self.texts, "texts")
        if classes.multilabel:
            return texts, np.exp(log_prob_of_output(self.y, len(texts), classes))
        gold = gold_entries(self.y, list(classes.names), len(texts))
        return texts, np.array([classes.names.index(label) for label in gold])

    @override
    def plan(self, texts: Any, classes: Any) -> LabellingPlan:
        every = [*as_texts(texts, "texts"), *as_texts(self.texts, "texts")]
        plan: LabellingPlan = self.teacher.plan(every, classes)
        return plan
