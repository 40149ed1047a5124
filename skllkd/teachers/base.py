"""Base class of the teachers: labels, plans and calibration."""

from __future__ import annotations

import time
import warnings
from abc import ABC
from collections import Counter
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from typing_extensions import override

from skllkd._core.arrays import FloatArray, is_numeric_table
from skllkd._core.classes import Classes, as_classes, refuse_multilabel
from skllkd._core.nested import replace_nested, set_nested, split_nested
from skllkd._core.texts import as_texts, is_blank
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    TruncationWarning,
)
from skllkd.teachers.calibration import BatchCalibration, check_calibration
from skllkd.teachers.class_tree.descent import label_down_tree
from skllkd.teachers.class_tree.planning import plan_down_tree
from skllkd.teachers.comparison import PromptComparison, compare_prompts
from skllkd.teachers.labels import (
    TeacherLabels,
    Usage,
    spread_labels,
    without_quote,
)
from skllkd.teachers.plan import LabellingPlan

#: Number of reasons for missing labels that a warning names.
_REASONS = 3


class Teacher(BaseEstimator, ABC):
    """Base class of the teachers.

    A teacher is a specification, never a live connection or loaded model: it can be
    cloned, compared and pickled at no cost. Parameters of subclasses hold no secrets.

    See Also
    --------
    CallableTeacher : Any function of texts.
    PrecomputedTeacher : Labels or probabilities that exist already.
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

    calibration: BatchCalibration | None = None
    #: Name of the parameter that limits how much of a text is read.
    _window = "max_text_tokens"
    #: Meaning of the probabilities, as in `TeacherLabels.confidence`.
    _confidence = "log-probabilities"
    #: Whether a tree of classes is asked down, group by group, or its classes at once.
    _asks_groups = False
    #: Whether several classes a text can be asked for.
    _is_multilabel = False

    def label(
        self,
        texts: Any,
        classes: Any,
        *,
        class_bias: FloatArray | None = None,
        verbose: int = 0,
    ) -> TeacherLabels:
        """Label texts: a distribution over the classes for each.

        Parameters
        ----------
        texts : sequence of str, or ndarray of shape (n_rows, n_features)
            The texts. Repeats are sent once, empty ones never. Some teachers read rows of
            numbers as well.
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
            The labels.

        Raises
        ------
        InvalidParameterError
            If the input or a parameter is not allowed.
        TeacherOutputError
            If the teacher's answer is no labelling of the texts.

        Warns
        -----
        MissingLabelWarning
            If texts have no label.
        TruncationWarning
            If texts were longer than the model's window.
        BudgetReachedWarning
            If a limit on calls or cost was reached.
        """
        start = time.perf_counter()
        classes = self._classes_of(classes)
        calibration = check_calibration(self.calibration, classes)
        if is_numeric_table(texts):
            labels = self._label_rows(np.asarray(texts), classes)
        else:
            texts = as_texts(texts, "texts")
            labels = self._label_texts(texts, classes, verbose, class_bias)
        labels = replace(labels, multilabel=classes.multilabel)
        if calibration and class_bias is None:
            class_bias = labels.class_bias  # of a tree: one question after the other
        if calibration and class_bias is None:
            class_bias = calibration.class_bias(labels.log_prob, classes)
        seconds = time.perf_counter() - start
        labels = replace(labels, class_bias=class_bias, seconds=seconds)
        self._warn(labels)
        return labels

    def plan(self, texts: Any, classes: Any) -> LabellingPlan:
        """Plan a labelling: calls, tokens, cost and time, before the model is called.

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
        classes = self._classes_of(classes)
        texts = as_texts(texts, "texts")
        if self._asks_down(classes):
            return plan_down_tree(self, texts, classes)
        return self._plan(texts, distinct_texts(texts), classes)

    def compare(
        self,
        prompts: Any,
        texts: Any,
        classes: Any,
        *,
        embed: Any = None,
        verbose: int = 0,
    ) -> PromptComparison:
        """Compare prompts on a sample by signs that need no gold labels.

        Answers are stored as those of any labelling: a prompt chosen here has its sample
        labelled already, and comparing again costs nothing.

        Parameters
        ----------
        prompts : dict of str to dict
            For each name the parameters to set, such as `instruction` and `examples`;
            "classes" is another wording of the classes, in the same order. `{}` is the
            teacher as it is.
        texts : sequence of str
            A random sample of the texts to be labelled, at best 200.
        classes : sequence or mapping
            The class names, or names with descriptions.
        embed : callable, optional
            Function from texts to embeddings of shape (n_texts, n_features), at best
            given: `FrozenEncoderStudent().embed`. The agreement with the class names
            needs one; the predictability is by default that from TF-IDF.
        verbose : int, default=0
            Whether to show progress.

        Returns
        -------
        PromptComparison
            The prompts with scores and costs, sorted by the mean of their ranks.

        Raises
        ------
        InvalidParameterError
            If a prompt sets a parameter that does not exist, before any is asked.
        """
        return compare_prompts(self, prompts, texts, classes, embed, verbose)

    @override
    def set_params(self, **params: Any) -> Self:
        nested, others = split_nested(params, "calibration")
        set_nested(self, others, {})
        replace_nested(self, "calibration", nested)
        return self

    def _classes_of(self, classes: Any) -> Classes:
        """Return the classes, or raise that the teacher gives no several to a text."""
        named = as_classes(classes)
        if not self._is_multilabel:
            refuse_multilabel(named, f"a {type(self).__name__}")
        return named

    def _label_distinct(
        self, texts: list[str], classes: Classes, verbose: int
    ) -> TeacherLabels:
        """Label distinct texts that are not blank, without calibration and warnings."""
        raise NotImplementedError

    def _label_rows(self, rows: FloatArray, classes: Classes) -> TeacherLabels:
        """Label rows of numbers, without calibration and warnings."""
        raise InvalidParameterError(
            f"a {type(self).__name__} reads texts; got rows of numbers, which the student "
            "takes. Use a student that takes texts, or a function of rows as teacher."
        )

    def _prompt_of(self, text: str, classes: Classes) -> str:
        """Return the prompt about a text as it is sent, "" where there is none."""
        return ""

    def _usage_so_far(self, classes: Classes) -> Usage:
        """Return the calls and tokens of answers kept, which count against limits."""
        return Usage()

    def _asks_down(self, classes: Classes) -> bool:
        """Return whether classes are a tree that is asked down."""
        return classes.tree is not None and self._asks_groups

    def _plan(
        self, texts: list[str], distinct: list[str], classes: Classes
    ) -> LabellingPlan:
        """Plan for a teacher whose answers cost nothing."""
        n_blank = sum(map(is_blank, texts))
        return LabellingPlan(len(texts), len(distinct), n_blank, len(distinct), 0, 0)

    def _label_texts(
        self,
        texts: list[str],
        classes: Classes,
        verbose: int,
        class_bias: FloatArray | None = None,
    ) -> TeacherLabels:
        """Label texts in any order, blank and repeated ones among them."""
        row_of = {text: row for row, text in enumerate(distinct_texts(texts))}
        if self._asks_down(classes):
            how = (classes, class_bias, verbose)
            labels = label_down_tree(self, list(row_of), *how)
        else:
            labels = self._label_distinct(list(row_of), classes, verbose)
        rows = np.array([row_of.get(text, -1) for text in texts], dtype=np.int64)
        used = np.unique(rows[rows >= 0])
        spread = spread_labels(labels, rows, "empty or white space")
        n_new = np.count_nonzero(labels.source[used] == "model")
        n_blank = int(np.count_nonzero(rows < 0))
        n_reused = int(np.count_nonzero(~spread.missing) - n_new)
        return replace(spread, n_blank=n_blank, n_reused=n_reused)

    def _warn(self, labels: TeacherLabels) -> None:
        """Warn of texts that have no label or were cut."""
        n_missing = int(labels.missing.sum())
        if n_missing:
            warnings.warn(
                f"{n_missing} of {len(labels)} texts have no teacher label "
                f"({_reasons(labels)}). They take part in training only with the "
                "labels that a refinement gives them.",
                MissingLabelWarning,
                stacklevel=3,
            )
        if labels.n_truncated:
            is_pair = isinstance(getattr(self, self._window, None), (tuple, list))
            part = "beginning and end were" if is_pair else "beginning was"
            warnings.warn(
                f"{labels.n_truncated} of the texts sent to the teacher were longer than "
                f"its window; only their {part} read. Raise `{self._window}`, or "
                "shorten the texts.",
                TruncationWarning,
                stacklevel=3,
            )


def distinct_texts(texts: list[str]) -> list[str]:
    """List each text that is not blank once."""
    return list(dict.fromkeys(text for text in texts if not is_blank(text)))


def _reasons(labels: TeacherLabels) -> str:
    """Count the reasons for missing labels, the frequent ones first."""
    counts = Counter(map(without_quote, labels.error[labels.missing]))
    parts = [f"{n} {why}" for why, n in counts.most_common(_REASONS)]
    n_others = labels.missing.sum() - sum(n for _, n in counts.most_common(_REASONS))
    return ", ".join([*parts, *([f"{n_others} other"] if n_others else [])])
