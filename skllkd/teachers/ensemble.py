"""Several teachers, or several prompts of one model, as one teacher."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, is_numeric_table, nan_rows
from skllkd._core.classes import Classes, as_classes
from skllkd._core.cloning import clone_sharing
from skllkd._core.params import check_option
from skllkd._core.texts import as_texts, is_blank
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    TruncationWarning,
)
from skllkd.teachers.base import Found, Teacher
from skllkd.teachers.calibration import (
    CONTENT_FREE_TEXTS,
    floored,
    normalise,
)
from skllkd.teachers.labels import TeacherLabels
from skllkd.teachers.metered.budget import LabellingPlan
from skllkd.teachers.metered.usage import Answer, Usage


@dataclass(frozen=True)
class VoteLabels(TeacherLabels):
    """Shares of votes.

    `log_prob` holds the logarithm of the shares, and `class_bias`, of shape
    (n_members, n_classes), what calibration subtracted for each member before it voted.
    """

    @property
    def proba(self) -> FloatArray:
        """The share of votes of each class, NaN rows where missing."""
        share = normalise(self.log_prob, None)
        return share if self.recalibration is None else self.recalibration(share)


class EnsembleTeacher(Teacher):
    """Several teachers, or several prompts of one model, as one teacher.

    Several prompts of one model are several teachers that differ in `instruction` or
    `examples`. Each member answers from the store what it answered before.

    Parameters
    ----------
    teachers : sequence of Teacher, callable or fitted classifier
        The members.
    weights : sequence of float of shape (n_members,), optional
        How much each counts; equally by default.
    combine : {"log_mean", "vote"}, default="log_mean"
        How the members' answers become one. The weighted mean of their log-probabilities
        before calibration, which heeds how sure each is. Or the weighted share of their
        votes, each for its likeliest class after its own calibration: with n members
        and C classes (votes + 1 / C) / (n + 1), so that no class is impossible.
    calibration : {"batch", "contextual", None}, default="batch"
        How a preference for some labels is taken out of the mean: see
        `LlamaCppTeacher`. Batch calibration is linear in log-probabilities, so that of
        the mean is the mean of the members', where each has answered every text. It
        does not apply to votes, which are calibrated by each member.
    class_prior : mapping, sequence, "em" or None, default=None
        The expected share of each class, for calibration.

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

    def __init__(
        self,
        teachers: Sequence[Teacher | Callable[[list[str]], Any]],
        *,
        weights: Sequence[float] | None = None,
        combine: str = "log_mean",
        calibration: str | None = "batch",
        class_prior: Any = None,
    ) -> None:
        self.teachers = teachers
        self.weights = weights
        self.combine = combine
        self.calibration = calibration
        self.class_prior = class_prior

    def __sklearn_clone__(self) -> EnsembleTeacher:
        """Return a clone; members that are functions or fitted are shared with it."""
        return clone_sharing(self, "teachers")

    def label(
        self,
        texts: Any,
        classes: Any,
        *,
        class_bias: FloatArray | None = None,
        verbose: int = 0,
    ) -> TeacherLabels:
        """Return the ensemble's distribution over the classes for every text.

        Parameters
        ----------
        texts : sequence of str, or ndarray of shape (n_rows, n_features)
            The texts, or rows of numbers if every member reads them.
        classes : sequence or mapping
            The class names, or names with descriptions.
        class_bias : ndarray, optional
            The calibration of an earlier pool (`TeacherLabels.class_bias`): of shape
            (n_classes,), for votes (n_members, n_classes).
        verbose : int, default=0
            Whether to show progress.

        Returns
        -------
        TeacherLabels
            The answers.
        """
        check_option(self.combine, "combine", ["log_mean", "vote"])
        check_option(self.calibration, "calibration", ["batch", "contextual", None])
        if self.combine == "vote":
            labels = self._vote(texts, as_classes(classes), class_bias, verbose)
            self._warn(labels)
            return labels
        return super().label(texts, classes, class_bias=class_bias, verbose=verbose)

    def plan(self, texts: Any, classes: Any) -> LabellingPlan:
        """Return what labelling texts would take of all members together.

        Parameters
        ----------
        texts : sequence of str
            The texts.
        classes : sequence or mapping
            The class names, or names with descriptions.

        Returns
        -------
        LabellingPlan
            Texts, calls, tokens, cost and time.
        """
        plans = [member.plan(texts, classes) for member in self._members()]
        return functools.reduce(LabellingPlan.plus, plans)

    def close(self) -> None:
        """Free the models of the members that have one loaded."""
        for member in self._members():
            getattr(member, "close", lambda: None)()

    def _answer(self, texts: list[str], classes: Classes, verbose: int) -> Found:
        """Return the mean of the members' log-probabilities."""
        if not texts:
            return Found({})
        parts = self._parts(texts, classes, self._no_bias(classes), verbose)
        self._check_contextual(texts, parts)
        log_prob, joined = self._log_mean(parts), _joined(parts)
        known = ~nan_rows(log_prob)
        found = {
            text: Answer(log_prob[row], joined["label_mass"][row])
            for row, text in enumerate(texts)
            if known[row]
        }
        fresh = {
            t
            for t, where in zip(texts, joined["source"], strict=True)
            if where == "model"
        }
        return Found(
            found,
            {t: w for t, w in zip(texts, joined["error"], strict=True) if w},
            frozenset(fresh & found.keys()),
            joined["n_asked"],
            joined["n_truncated"],
            joined["usage"],
        )

    def _check_contextual(self, texts: list[str], parts: list[TeacherLabels]) -> None:
        """Raise if contextual calibration would be that of some members only."""
        if self.calibration != "contextual" or texts != list(CONTENT_FREE_TEXTS):
            return
        silent = [place for place, labels in enumerate(parts) if labels.missing.any()]
        if silent:
            raise InvalidParameterError(
                '`calibration="contextual"` needs teachers that can be asked about texts '
                f"without content; that at place {silent[0]} has no answer. Use "
                '"batch".'
            )

    def _label_rows(self, rows: FloatArray, classes: Classes) -> tuple[FloatArray, int]:
        """Return the mean of the members' log-probabilities for rows of numbers."""
        parts = self._parts(rows, classes, self._no_bias(classes), 0)
        return self._log_mean(parts), _joined(parts)["n_asked"]

    def _log_mean(self, parts: list[TeacherLabels]) -> FloatArray:
        """Return the weighted mean of log-probabilities over those who answered."""
        for place, labels in enumerate(parts):
            if labels.recalibration is not None:
                raise InvalidParameterError(
                    f'`teachers` must not hold a CalibratedTeacher with combine="log_mean" '
                    f"(place {place}): the mean is of log-probabilities before any "
                    "calibration. Calibrate the ensemble: "
                    "EnsembleTeacher([...]).calibrate(texts, y)."
                )
        answered = np.array([~labels.missing for labels in parts])
        weight = self._weights()[:, None] * answered
        total = weight.sum(axis=0)
        mean = np.full(parts[0].log_prob.shape, np.nan)
        known = total > 0
        mean[known] = 0
        for labels, w in zip(parts, weight, strict=True):
            rows = np.flatnonzero(w)
            log_prob = floored(labels.log_prob[rows])
            log_prob -= np.logaddexp.reduce(log_prob, axis=1, keepdims=True)
            mean[rows] += log_prob * (w[rows] / total[rows])[:, None]
        return mean

    def _vote(
        self, texts: Any, classes: Classes, class_bias: Any, verbose: int
    ) -> TeacherLabels:
        """Return the shares of the members' votes."""
        if self.class_prior is not None:
            raise InvalidParameterError(
                '`class_prior` does not apply to combine="vote". Set that of the members.'
            )
        start = time.perf_counter()
        numeric = is_numeric_table(texts)
        texts = np.asarray(texts) if numeric else as_texts(texts, "texts")
        given = self._biases(class_bias, classes)
        parts = self._parts(texts, classes, given, verbose)
        weights, n_classes = self._weights(), len(classes)
        votes, total = np.zeros((len(texts), n_classes)), np.zeros(len(texts))
        for labels, weight in zip(parts, weights, strict=True):
            rows = np.flatnonzero(~labels.missing)
            votes[rows, labels.proba[rows].argmax(axis=1)] += weight
            total[rows] += weight
        share = (votes + 1 / n_classes) / (total + 1)[:, None]
        share[total == 0] = np.nan
        joined = _joined(parts)
        fresh = {
            texts[row] if not numeric else row
            for row in np.flatnonzero((joined["source"] == "model") & (total > 0))
        }
        zero = np.zeros(n_classes)
        biases = [zero if p.class_bias is None else p.class_bias for p in parts]
        return VoteLabels(
            classes.names,
            np.log(share),
            class_bias=np.array(biases),
            n_reused=int((total > 0).sum()) - len(fresh),
            n_blank=0 if numeric else sum(map(is_blank, texts)),
            seconds=time.perf_counter() - start,
            confidence="votes",
            **joined,
        )

    def _parts(
        self, texts: Any, classes: Classes, biases: list[Any], verbose: int
    ) -> list[TeacherLabels]:
        """Return the labels of each member."""
        parts: list[TeacherLabels] = []
        for member, bias in zip(self._members(), biases, strict=True):
            with warnings.catch_warnings():  # the ensemble warns of what is left
                warnings.simplefilter("ignore", MissingLabelWarning)
                warnings.simplefilter("ignore", TruncationWarning)
                labels = member.label(texts, classes, class_bias=bias, verbose=verbose)
            if isinstance(labels, VoteLabels):
                raise InvalidParameterError(
                    "`teachers` must not hold an ensemble that votes: its members' "
                    "calibration would change with the texts. Put its members in."
                )
            parts.append(labels)
        return parts

    def _members(self) -> list[Teacher]:
        """Return the members as teachers."""
        from skllkd.teachers import as_teacher

        if not isinstance(self.teachers, (list, tuple)) or not self.teachers:
            raise InvalidParameterError(
                f"`teachers` must list at least one teacher; got {self.teachers!r}."
            )
        return [as_teacher(teacher) for teacher in self.teachers]

    def _weights(self) -> FloatArray:
        """Return the members' weights, 1 on average."""
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

    def _no_bias(self, classes: Classes) -> list[Any]:
        """Return what tells the members to calibrate nothing."""
        return [np.zeros(len(classes))] * len(self._members())

    def _biases(self, class_bias: Any, classes: Classes) -> list[Any]:
        """Return the calibration each member is to use; None for its own."""
        n, n_classes = len(self._members()), len(classes)
        if class_bias is None:
            return [None] * n
        biases = np.asarray(class_bias, dtype=np.float64)
        if biases.shape not in ((n, n_classes), (n_classes,)):
            raise InvalidParameterError(
                f"`class_bias` must have shape {(n, n_classes)}, a row a member; got "
                f"{biases.shape}."
            )
        return list(np.broadcast_to(biases, (n, n_classes)))


def _joined(parts: list[TeacherLabels]) -> dict[str, Any]:
    """Return what else is known of the members' answers, as one."""
    mass = np.array([labels.label_mass for labels in parts])
    known = ~np.isnan(mass)
    n_known = known.sum(axis=0)
    mean = np.where(known, mass, 0).sum(axis=0) / np.maximum(n_known, 1)
    missing = np.logical_and.reduce([labels.missing for labels in parts])
    sources = np.array([labels.source for labels in parts], dtype=object)
    source = np.where((sources == "model").any(axis=0), "model", "store").astype(object)
    source[missing] = ""
    reasons = zip(*(labels.error for labels in parts), strict=True)
    error = np.array(
        [
            "; ".join(dict.fromkeys(map(str, why))) if no_one else ""
            for why, no_one in zip(reasons, missing, strict=True)
        ],
        dtype=object,
    )
    return {
        "label_mass": np.where(n_known > 0, mean, np.nan),
        "n_asked": sum(labels.n_asked for labels in parts),
        "n_truncated": max(labels.n_truncated for labels in parts),
        "source": source,
        "error": error,
        "usage": functools.reduce(Usage.plus, (labels.usage for labels in parts)),
    }
