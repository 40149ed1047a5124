"""The seam every teacher fills, and the asking, storing and calibrating they share."""

from __future__ import annotations

import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from skllkd._core.arrays import FloatArray, IntArray, is_numeric_table
from skllkd._core.classes import Classes, as_classes
from skllkd._core.params import check_option
from skllkd._core.texts import as_texts, is_blank
from skllkd.exceptions import (
    BudgetReachedWarning,
    InvalidParameterError,
    MissingLabelWarning,
    TruncationWarning,
)
from skllkd.teachers.calibration import (
    CONTENT_FREE_TEXTS,
    as_class_prior,
    mean_bias,
    pool_bias,
)
from skllkd.teachers.labels import TeacherLabels
from skllkd.teachers.metered.budget import LabellingPlan
from skllkd.teachers.metered.usage import Answer, Usage

#: How many texts a worker is given at once.
_CHUNK = 256
#: How many reasons for missing labels a warning names.
_REASONS = 3
_memory_lock = threading.RLock()


class Answers(NamedTuple):
    """Some of the answers to a question, as they come.

    Parameters
    ----------
    places : ndarray of shape (n,), int
        Which of the texts asked about these are, in the order they were drawn.
    log_prob : ndarray of shape (n, n_classes)
        Raw log-probabilities in nats; a row of NaN is a text without a usable answer.
    label_mass : ndarray of shape (n,)
        The probability on any of the labels; NaN where unknown.
    n_truncated : int
        How many of these texts were longer than the window.
    errors : mapping of int to str
        Why there is no usable answer, by place.
    refused : collection of int
        The places the model itself has no usable answer for, and would have none
        again: they are stored as such. Other failures are not stored.
    n_calls : int or None
        How often the model was called for these; None for once a text.
    input_tokens, output_tokens : int
        The tokens it read and wrote for these, where that is known.

    Examples
    --------
    The answers to the third and the first text asked about, two classes:

    >>> import numpy as np
    >>> from skllkd.teachers import Answers
    >>> log_prob = np.log([[0.9, 0.1], [0.2, 0.8]])
    >>> answers = Answers(np.array([2, 0]), log_prob, label_mass=np.array([0.7, 0.9]))
    >>> dict(answers.errors)
    {}
    """

    places: IntArray
    log_prob: FloatArray
    label_mass: FloatArray
    n_truncated: int = 0
    errors: Mapping[int, str] = MappingProxyType({})
    refused: Collection[int] = ()
    n_calls: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class Found(NamedTuple):
    """Answers by text, and what it took to get them."""

    found: dict[str, Answer]
    errors: Mapping[str, str] = MappingProxyType({})  # why a text has no answer
    fresh: frozenset[str] = frozenset()  # answered just now
    n_asked: int = 0
    n_truncated: int = 0
    usage: Usage = Usage()
    stopped_by: str = ""  # the budget that was reached


class Teacher(BaseEstimator, ABC):
    """Base class of the teachers.

    A teacher is a specification of who answers and how, never a live connection or
    loaded model: it can be cloned, compared and pickled at no cost. Parameters of
    subclasses hold no secrets.

    See Also
    --------
    CallableTeacher : Any function of texts.
    PrecomputedTeacher : Labels or probabilities that are there already.
    LlamaCppTeacher : A local language model in GGUF format.
    OpenAITeacher : A language model behind the OpenAI API.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from skllkd.teachers import LlamaCppTeacher, Teacher
    >>> teacher = LlamaCppTeacher("model.gguf")  # nothing is loaded
    >>> isinstance(clone(teacher), Teacher)
    True
    """

    calibration: str | None
    class_prior: Any
    #: The parameter that says how much of a text is read.
    _window = "max_text_tokens"

    def label(
        self,
        texts: Any,
        classes: Any,
        *,
        class_bias: FloatArray | None = None,
        verbose: int = 0,
    ) -> TeacherLabels:
        """Return the teacher's distribution over the classes for every text.

        Parameters
        ----------
        texts : sequence of str, or ndarray of shape (n_rows, n_features)
            The texts. Repeats are asked about once; empty ones are not asked about.
            Some teachers read rows of numbers as well.
        classes : sequence or mapping
            The class names, or names with descriptions.
        class_bias : ndarray of shape (n_classes,), optional
            The calibration of an earlier pool (`TeacherLabels.class_bias`) to use
            instead of calibrating on these texts.
        verbose : int, default=0
            Whether to show progress.

        Returns
        -------
        TeacherLabels
            The answers.

        Raises
        ------
        InvalidTextsError, InvalidClassesError, InvalidParameterError
            If the input or a parameter is not allowed.
        TeacherOutputError
            If the teacher's answer is no labelling of the texts.

        Warns
        -----
        MissingLabelWarning
            If texts have no label.
        TruncationWarning
            If texts were longer than the model's window.
        """
        classes = as_classes(classes)
        check_option(self.calibration, "calibration", ["batch", "contextual", None])
        prior = as_class_prior(self.class_prior, classes)
        if (
            self.class_prior is not None
            and prior is None
            and self.calibration != "batch"
        ):
            raise InvalidParameterError(
                '`class_prior="em"` is estimated by batch calibration only, and '
                f'`calibration` is {self.calibration!r}. Set calibration="batch", or '
                "give the shares."
            )
        if self.class_prior is not None and self.calibration is None:
            raise InvalidParameterError(
                "`class_prior` is used by calibration only, and `calibration` is None. "
                'Set calibration="batch", or leave the prior out.'
            )
        if is_numeric_table(texts):
            return self._labels_of_rows(np.asarray(texts), classes, class_bias, prior)
        texts = as_texts(texts, "texts")
        start = time.perf_counter()
        distinct = list(dict.fromkeys(text for text in texts if not is_blank(text)))
        answers = self._answer(distinct, classes, verbose)
        if answers.stopped_by:
            _warn_of_budget(answers)

        n_classes = len(classes)
        nothing = Answer(np.full(n_classes, np.nan), np.nan)
        rows = [answers.found.get(text, nothing) for text in texts]
        log_prob = np.array([row.log_prob for row in rows]).reshape(-1, n_classes)
        n_asked = answers.n_asked
        if class_bias is None and self.calibration == "batch":
            class_bias = self._bias(log_prob, prior)
        elif class_bias is None and self.calibration == "contextual":
            neutral = self._answer(list(CONTENT_FREE_TEXTS), classes, 0)
            n_asked += neutral.n_asked
            known = [answer.log_prob for answer in neutral.found.values()]
            class_bias = mean_bias(np.array(known).reshape(-1, n_classes), prior)
        labels = TeacherLabels(
            classes=classes.names,
            log_prob=log_prob,
            label_mass=np.array([row.label_mass for row in rows]),
            class_bias=class_bias,
            n_asked=n_asked,
            n_reused=sum(text in answers.found for text in texts) - len(answers.fresh),
            n_blank=sum(map(is_blank, texts)),
            n_truncated=answers.n_truncated,
            seconds=time.perf_counter() - start,
            source=np.array([_source(text, answers) for text in texts], dtype=object),
            error=np.array([_error(text, answers) for text in texts], dtype=object),
            usage=answers.usage,
            confidence=self._confidence(),
        )
        self._warn(labels)
        return labels

    def plan(self, texts: Any, classes: Any) -> LabellingPlan:
        """Return what labelling texts would take, before the model is called.

        Parameters
        ----------
        texts : sequence of str
            The texts.
        classes : sequence or mapping
            The class names, or names with descriptions.

        Returns
        -------
        LabellingPlan
            Texts, calls, tokens, cost and time. Printed, it is a table.
        """
        classes = as_classes(classes)
        texts = as_texts(texts, "texts")
        distinct = list(dict.fromkeys(text for text in texts if not is_blank(text)))
        return self._plan(texts, distinct, classes)

    def _plan(
        self, texts: list[str], distinct: list[str], classes: Classes
    ) -> LabellingPlan:
        """Return the plan of a teacher whose answers cost nothing."""
        n_blank = sum(map(is_blank, texts))
        return LabellingPlan(len(texts), len(distinct), n_blank, len(distinct), 0, 0)

    def _confidence(self) -> str:
        """Return what the probabilities are, as `TeacherLabels.confidence` says it."""
        return "log-probabilities"

    def _bias(self, log_prob: FloatArray, prior: FloatArray | None) -> FloatArray:
        """Return the class bias of a pool, for batch calibration."""
        if self.class_prior is None:
            return mean_bias(log_prob, None)
        return pool_bias(log_prob, prior)

    def calibrate(self, texts: Any, y: Any, *, method: str = "temperature") -> Any:
        """Return this teacher with its confidence calibrated on a few gold labels.

        Parameters
        ----------
        texts : sequence of str
            Some texts, at best a random part of the pool.
        y : sequence of shape (n_texts,)
            Their right classes.
        method : {"temperature", "isotonic"}, default="temperature"
            How: one number, which some 30 labels determine, or a rising curve, which
            wants a few hundred.

        Returns
        -------
        CalibratedTeacher
            It asks this teacher, from whose stored answers it learns.
        """
        from skllkd.teachers.recalibration import CalibratedTeacher

        return CalibratedTeacher(self, texts, y, method=method)

    @abstractmethod
    def _answer(self, texts: list[str], classes: Classes, verbose: int) -> Found:
        """Return the answers for distinct, non-blank texts."""

    def _labels_of_rows(
        self,
        rows: FloatArray,
        classes: Classes,
        class_bias: FloatArray | None,
        prior: FloatArray | None,
    ) -> TeacherLabels:
        """Return the teacher's distributions for rows of numbers; none is stored."""
        if self.calibration == "contextual":
            raise InvalidParameterError(
                '`calibration="contextual"` needs texts; got rows of numbers. Use "batch".'
            )
        log_prob, n_asked = self._label_rows(rows, classes)
        if class_bias is None and self.calibration == "batch":
            class_bias = self._bias(log_prob, prior)
        unknown_mass = np.full(len(rows), np.nan)
        labels = TeacherLabels(
            classes.names, log_prob, unknown_mass, class_bias, n_asked=n_asked
        )
        self._warn(labels)
        return labels

    def _label_rows(self, rows: FloatArray, classes: Classes) -> tuple[FloatArray, int]:
        """Return log-probabilities for rows of numbers, and how many were asked."""
        raise InvalidParameterError(
            f"a {type(self).__name__} reads texts; got rows of numbers, which the student "
            "takes. Use a student that takes texts, or a function of rows as teacher."
        )

    def _warn(self, labels: TeacherLabels) -> None:
        """Warn of texts that have no label or were cut."""
        n_missing = int(labels.missing.sum())
        if n_missing:
            warnings.warn(
                f"{n_missing} of {len(labels)} texts have no teacher label "
                f"({_reasons(labels)}). They take no part in training.",
                MissingLabelWarning,
                stacklevel=3,
            )
        if labels.n_truncated:
            warnings.warn(
                f"{labels.n_truncated} of the texts the teacher was asked about were "
                "longer than its window; only their beginning was "
                f"read. Raise `{self._window}`, or shorten the texts.",
                TruncationWarning,
                stacklevel=3,
            )


def _source(text: str, answers: Found) -> str:
    """Return where a text's answer is from."""
    if text in answers.found:
        return "model" if text in answers.fresh else "store"
    return ""


def _error(text: str, answers: Found) -> str:
    """Return why a text has no answer, "" where it has one."""
    if text in answers.found:
        return ""
    if is_blank(text):
        return "empty or white space"
    return answers.errors.get(text, "without a usable answer")


def _reasons(labels: TeacherLabels) -> str:
    """Return how many texts have no label for which reason, the frequent ones first."""
    counts = Counter(labels.error[labels.missing])
    parts = [f"{n} {why}" for why, n in counts.most_common(_REASONS)]
    n_others = labels.missing.sum() - sum(n for _, n in counts.most_common(_REASONS))
    return ", ".join([*parts, *([f"{n_others} other"] if n_others else [])])


def _warn_of_budget(answers: Found) -> None:
    """Warn that a limit was reached."""
    n_left = sum(why.startswith("not asked") for why in answers.errors.values())
    warnings.warn(
        f"{answers.stopped_by} is reached: {n_left} distinct texts were not asked about. "
        "What was answered so far is kept; raise the limit to go on from there.",
        BudgetReachedWarning,
        stacklevel=3,
    )
