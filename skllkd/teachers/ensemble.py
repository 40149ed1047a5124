"""Several teachers, or several prompts of one model, as one teacher."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.classes import Classes
from skllkd._core.cloning import clone_sharing
from skllkd._core.log_odds import log_prob_of_odds
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    TruncationWarning,
)
from skllkd.teachers.base import Teacher
from skllkd.teachers.calibration import BatchCalibration, floored, floored_odds
from skllkd.teachers.labels import TeacherLabels, Usage
from skllkd.teachers.plan import LabellingPlan, joint_plan
from skllkd.teachers.wrapping import as_teacher


class EnsembleTeacher(Teacher):
    """Several teachers, or several prompts of one model, as one teacher.

    The weighted mean of their log-probabilities before calibration, which heeds how sure
    each member is; with several classes a text (`Multilabel`) of their log-odds.

    Several prompts of one model are several teachers that differ in `instruction` or
    `examples`. Each member answers from the store what it answered before.

    Parameters
    ----------
    teachers : sequence of Teacher, callable or fitted classifier
        The members.
    weights : sequence of float of shape (n_members,), optional
        Weight of each member; equal by default.
    calibration : BatchCalibration, default=BatchCalibration()
        Correction of a preference for some labels in the mean; None for none. Batch
        calibration is linear in log-probabilities, so that of the mean is the mean of the
        members', where each has answered every text.

    See Also
    --------
    LlamaCppTeacher : A local language model.

    Notes
    -----
    A text has no label only where no member has an answer for it; elsewhere the mean is
    over those that have one. A class that a member finds impossible, as one that gives
    labels without a confidence does, counts as 1e-12 times its likeliest.

    Examples
    --------
    >>> from skllkd.teachers import EnsembleTeacher
    >>> def by_word(texts):
    ...     return [[0.1, 0.9] if "prize" in text else [0.6, 0.4] for text in texts]
    >>> def by_length(texts):
    ...     return [[0.7, 0.3] if len(text) < 9 else [0.4, 0.6] for text in texts]
    >>> teacher = EnsembleTeacher([by_word, by_length], calibration=None)
    >>> teacher.label(["a prize for you", "at noon"], ["ham", "spam"]).proba.round(2)
    array([[0.21, 0.79],
           [0.65, 0.35]])
    """

    _is_multilabel = True

    def __init__(
        self,
        teachers: Sequence[Teacher | Callable[[list[str]], Any]],
        *,
        weights: Sequence[float] | None = None,
        calibration: BatchCalibration | None = BatchCalibration(),  # noqa: B008  (frozen)
    ) -> None:
        self.teachers = teachers
        self.weights = weights
        self.calibration = calibration

    def __sklearn_clone__(self) -> EnsembleTeacher:
        """Clone; members that are functions or fitted are shared."""
        return clone_sharing(self, "teachers")

    @override
    def plan(self, texts: Any, classes: Any) -> LabellingPlan:
        plans = [member.plan(texts, classes) for member in self._members()]
        return functools.reduce(joint_plan, plans)

    def close(self) -> None:
        """Free the models that members have loaded."""
        for member in self._members():
            getattr(member, "close", lambda: None)()

    @override
    def _label_distinct(
        self, texts: list[str], classes: Classes, verbose: int
    ) -> TeacherLabels:
        if not texts:
            self._members()
            nothing = np.empty((0, len(classes)))
            return TeacherLabels(classes.names, nothing, np.empty(0))
        parts = self._parts(texts, classes, verbose)
        return self._joined(parts, classes)

    @override
    def _label_rows(self, rows: FloatArray, classes: Classes) -> TeacherLabels:
        return self._joined(self._parts(rows, classes, 0), classes)

    def _parts(self, texts: Any, classes: Classes, verbose: int) -> list[TeacherLabels]:
        """Label with each member, without its calibration."""
        parts: list[TeacherLabels] = []
        no_bias = np.zeros(len(classes))
        for member in self._members():
            with warnings.catch_warnings():  # the ensemble warns of missing labels
                warnings.simplefilter("ignore", MissingLabelWarning)
                warnings.simplefilter("ignore", TruncationWarning)
                labels = member.label(
                    texts, classes, class_bias=no_bias, verbose=verbose
                )
            if labels.recalibration is not None:
                raise InvalidParameterError(
                    "`teachers` must not hold a CalibratedTeacher (place "
                    f"{len(parts)}): the mean is of log-probabilities before any "
                    "calibration. Calibrate the ensemble: "
                    "CalibratedTeacher(EnsembleTeacher([...]), texts, y)."
                )
            parts.append(labels)
        return parts

    def _joined(self, parts: list[TeacherLabels], classes: Classes) -> TeacherLabels:
        """Join the members' labels: means, sums, and the reasons of all."""
        mass = np.array([labels.label_mass for labels in parts])
        known = ~np.isnan(mass)
        n_known = known.sum(axis=0)
        mean_mass = np.where(known, mass, 0).sum(axis=0) / np.maximum(n_known, 1)
        missing = np.logical_and.reduce([labels.missing for labels in parts])
        sources = np.array([labels.source for labels in parts], dtype=object)
        is_new = (sources == "model").any(axis=0)
        source = np.where(is_new, "model", "store").astype(object)
        source[missing] = ""
        error = np.full(len(missing), "", dtype=object)
        for row in np.flatnonzero(missing):
            reasons = dict.fromkeys(str(labels.error[row]) for labels in parts)
            error[row] = "; ".join(reasons)
        return TeacherLabels(
            classes.names,
            self._log_mean(parts),
            np.where(n_known > 0, mean_mass, np.nan),
            n_asked=sum(labels.n_asked for labels in parts),
            n_truncated=max(labels.n_truncated for labels in parts),
            source=source,
            error=error,
            usage=functools.reduce(Usage.plus, (labels.usage for labels in parts)),
        )

    def _log_mean(self, parts: list[TeacherLabels]) -> FloatArray:
        """Average log-probabilities over the members that answered, by weight."""
        answered = np.array([~labels.missing for labels in parts])
        weight = self._weights()[:, None] * answered
        total = weight.sum(axis=0)
        mean = np.full(parts[0].log_prob.shape, np.nan)
        mean[total > 0] = 0
        for labels, w in zip(parts, weight, strict=True):
            rows = np.flatnonzero(w)
            mean[rows] += _score(labels, rows) * (w[rows] / total[rows])[:, None]
        return log_prob_of_odds(mean) if parts[0].multilabel else mean

    def _members(self) -> list[Teacher]:
        """Wrap the members as teachers."""
        if not isinstance(self.teachers, (list, tuple)) or not self.teachers:
            raise InvalidParameterError(
                f"`teachers` must list at least one teacher; got {self.teachers!r}."
            )
        return [as_teacher(teacher) for teacher in self.teachers]

    def _weights(self) -> FloatArray:
        """Scale the members' weights to 1 on average."""
        n = len(self.teachers)
        try:
            weights = (
                np.ones(n) if self.weights is None else np.array(self.weights, float)
            )
        except (TypeError, ValueError):
            weights = np.empty(0)
        if weights.shape != (n,) or not (np.isfinite(weights) & (weights > 0)).all():
            raise InvalidParameterError(
                f"`weights` must hold {n} positive numbers, one a teacher; got "
                f"{self.weights!r}."
            )
        scaled: FloatArray = weights / weights.mean()
        return scaled


def _score(labels: TeacherLabels, rows: IntArray) -> FloatArray:
    """Return the log-probabilities of some rows, or log-odds with several classes a text.

    A class that is impossible counts as 1e-12 times the likeliest, or as its absence.
    """
    if labels.multilabel:
        return floored_odds(labels.log_prob[rows])
    log_prob = floored(labels.log_prob[rows])
    normalised: FloatArray = log_prob - np.logaddexp.reduce(
        log_prob, axis=1, keepdims=True
    )
    return normalised
