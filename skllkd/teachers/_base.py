"""The seam every teacher fills, and the asking, storing and calibrating they share."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from skllkd._progress import progress_bar
from skllkd._validation import (
    Classes,
    FloatArray,
    IntArray,
    as_classes,
    as_texts,
    check_option,
    is_blank,
    is_numeric_table,
    nan_rows,
)
from skllkd.exceptions import (
    InvalidParameterError,
    MissingLabelWarning,
    TruncationWarning,
)
from skllkd.teachers._calibration import (
    CONTENT_FREE_TEXTS,
    as_class_prior,
    mean_bias,
)
from skllkd.teachers._labels import TeacherLabels
from skllkd.teachers._store import Answer, LabelStore

_memory_lock = threading.RLock()


class Answers(NamedTuple):
    """Some of the answers to a question, as they come.

    Parameters
    ----------
    places : ndarray of shape (n,), int
        Which of the texts asked about these are.
    log_prob : ndarray of shape (n, n_classes)
        Raw log-probabilities in nats; a row of NaN is a text without a usable answer.
    label_mass : ndarray of shape (n,)
        The probability on any of the labels; NaN where unknown.
    n_truncated : int
        How many of these texts were longer than the window.
    """

    places: IntArray
    log_prob: FloatArray
    label_mass: FloatArray
    n_truncated: int = 0


class Found(NamedTuple):
    """Answers by text, and what it took to get them."""

    found: dict[str, Answer]
    n_asked: int = 0
    n_fresh: int = 0  # of those asked about, how many were answered
    n_truncated: int = 0


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
    """

    calibration: str | None
    class_prior: Any

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
        if prior is not None and self.calibration is None:
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

        n_classes = len(classes)
        nothing = Answer(np.full(n_classes, np.nan), np.nan)
        rows = [answers.found.get(text, nothing) for text in texts]
        log_prob = np.array([row.log_prob for row in rows]).reshape(-1, n_classes)
        n_asked = answers.n_asked
        if class_bias is None and self.calibration == "batch":
            class_bias = mean_bias(log_prob, prior)
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
            n_reused=sum(text in answers.found for text in texts) - answers.n_fresh,
            n_blank=sum(map(is_blank, texts)),
            n_truncated=answers.n_truncated,
            seconds=time.perf_counter() - start,
        )
        self._warn(labels)
        return labels

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
            class_bias = mean_bias(log_prob, prior)
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
                f"({labels.n_blank} empty or white space, "
                f"{n_missing - labels.n_blank} without a usable answer). They take no "
                "part in training.",
                MissingLabelWarning,
                stacklevel=3,
            )
        if labels.n_truncated:
            warnings.warn(
                f"{labels.n_truncated} of the texts the teacher was asked about were "
                "longer than its window; only their beginning was "
                "read. Raise `max_text_tokens`, or shorten the texts.",
                TruncationWarning,
                stacklevel=3,
            )


class AskedTeacher(Teacher):
    """Base class of the teachers that are asked text by text, and are paid for it.

    Answers are stored as they come, under what determines them, and never asked for
    again.
    """

    store: Any

    @abstractmethod
    def _specification(self, classes: Classes) -> dict[str, Any] | None:
        """Return all that determines an answer beside the text; None if unknown."""

    @abstractmethod
    def _ask(self, texts: Sequence[str], classes: Classes) -> Iterator[Answers]:
        """Yield the answers of the model, in any order, as they come."""

    def _memory(self, classes: Classes) -> dict[str, Answer]:
        """Return where answers without a specification are kept."""
        return {}

    def _answer(self, texts: list[str], classes: Classes, verbose: int) -> Found:
        """Answer from the store, and ask for the rest."""
        determines = self._specification(classes) if self.store is not False else None
        if determines is None:
            with _memory_lock:  # threads ask one at a time, as processes do
                memory = self._memory(classes)
                known = {text: memory[text] for text in texts if text in memory}
                return self._complete(texts, classes, verbose, known, memory.update)
        name = specification_key(determines)
        with LabelStore(self.store) as store:
            known = store.get(name, texts)
            if len(known) == len(texts):
                return Found(known)

            def keep(fresh: dict[str, Answer]) -> None:
                log_prob = np.array([answer.log_prob for answer in fresh.values()])
                mass = np.array([answer.label_mass for answer in fresh.values()])
                store.put(name, list(fresh), log_prob, mass)

            # One process asks at a time; the next finds what this one stored.
            with store.asking(name, verbose):
                known = store.get(name, texts)
                return self._complete(texts, classes, verbose, known, keep)

    def _complete(
        self,
        texts: list[str],
        classes: Classes,
        verbose: int,
        known: dict[str, Answer],
        keep: Any,
    ) -> Found:
        """Ask about the texts not known yet, keeping every answer as it comes."""
        missing = [text for text in texts if text not in known]
        n_known, n_truncated = len(known), 0
        if missing:
            with progress_bar(len(missing), "teacher", "text", verbose) as bar:
                for answers in self._ask(missing, classes):
                    usable = ~nan_rows(answers.log_prob)
                    fresh = {
                        missing[place]: Answer(log_prob, float(mass))
                        for place, log_prob, mass, use in zip(
                            answers.places,
                            answers.log_prob,
                            answers.label_mass,
                            usable,
                            strict=True,
                        )
                        if use
                    }
                    if fresh:
                        keep(fresh)
                    known |= fresh
                    n_truncated += answers.n_truncated
                    bar.update(len(answers.places))
        return Found(known, len(missing), len(known) - n_known, n_truncated)


def specification_key(determines: dict[str, Any]) -> str:
    """Return the name a specification is stored under.

    Parameters
    ----------
    determines : dict
        All that determines an answer beside the text, as JSON values.

    Returns
    -------
    str
        A SHA-256 in hexadecimal.
    """
    text = json.dumps(determines, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
