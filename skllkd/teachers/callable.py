"""Any function of texts as a teacher."""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes
from skllkd._core.cloning import clone_sharing
from skllkd._core.params import check_number
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.base import Answers
from skllkd.teachers.metered.teacher import AskedTeacher
from skllkd.teachers.metered.usage import Answer
from skllkd.teachers.outputs import log_prob_of_output

#: Answers of functions without a `cache_key`, by identity and for as long as the
#: function lives: a grid search clones the teacher, but the function stays the same.
_answers_of: dict[int, dict[tuple[str, ...], dict[str, Answer]]] = {}


class CallableTeacher(AskedTeacher):
    """Any function of texts as a teacher.

    A plain function passed as `LLKDClassifier(teacher=...)` is wrapped in this.

    Parameters
    ----------
    function : callable
        Takes a list of str (or an array of shape (n, n_features), with a student that
        takes numbers) and returns, for n texts, an array of shape
        (n, n_classes) of probabilities whose columns follow `classes`; or n labels;
        or a pair (labels, confidences). None, NaN or a row of NaN is a text without
        an answer. It must be deterministic, or nearly so: its answers are reused.
    cache_key : str, optional
        A name for what the function does, e.g. "gpt-4o-mini, prompt 3". With a name
        answers go to the label store on disk and are reused by every later process:
        change the name when the function changes. Without, they are reused within
        this process, as long as the function lives; the worker processes of
        `n_jobs=2` are others.
    batch_size : int, default=64
        How many texts the function is given at once.
    calibration : {"batch", "contextual", None}, default=None
        Whether to take out a preference for some labels: see `LlamaCppTeacher`.
    class_prior : mapping, sequence or "em", optional
        The expected share of each class, for calibration; "em" to have it estimated.
    max_calls : int, optional
        At most so many texts are asked about, over all runs that share the store. What
        was answered until then is kept, and the rest reported as missing.
    store : str, Path or False, optional
        The label store's file; False keeps no answers at all.

    See Also
    --------
    PrecomputedTeacher : Labels or probabilities that are there already.

    Examples
    --------
    >>> from skllkd.teachers import CallableTeacher
    >>> def keyword_teacher(texts):
    ...     return ["spam" if "prize" in text else "ham" for text in texts]
    >>> labels = CallableTeacher(keyword_teacher).label(
    ...     ["you won a prize", "see you at noon"], ["ham", "spam"]
    ... )
    >>> labels.proba.argmax(axis=1)
    array([1, 0])
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        cache_key: str | None = None,
        batch_size: int = 64,
        calibration: str | None = None,
        class_prior: Any = None,
        max_calls: int | None = None,
        store: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        self.function = function
        self.cache_key = cache_key
        self.batch_size = batch_size
        self.calibration = calibration
        self.class_prior = class_prior
        self.max_calls = max_calls
        self.store = store

    def __sklearn_clone__(self) -> CallableTeacher:
        """Return a clone that shares the function."""
        return clone_sharing(self, "function")

    def _specification(self, classes: Classes) -> dict[str, Any] | None:
        """Return the name the user gave the function, with the classes."""
        if self.cache_key is None:
            return None
        if not isinstance(self.cache_key, str) or not self.cache_key.strip():
            raise InvalidParameterError(
                "`cache_key` must be a name for what the function does, or None; got "
                f"{self.cache_key!r}."
            )
        names = list(map(repr, classes.names))
        return {"teacher": "callable", "key": self.cache_key, "classes": names}

    def _memory(self, classes: Classes) -> dict[str, Answer]:
        """Return the answers the function gave earlier in this process."""
        if self.store is False:
            return {}
        key = id(self.function)
        if key not in _answers_of:
            try:
                weakref.finalize(self.function, _answers_of.pop, key, None)
            except TypeError:  # cannot be referred to weakly
                return {}
            _answers_of[key] = {}
        return _answers_of[key].setdefault(tuple(map(repr, classes.names)), {})

    def _label_rows(self, rows: FloatArray, classes: Classes) -> tuple[FloatArray, int]:
        """Return the function's answers for rows of numbers."""
        self._check_function()
        log_prob = log_prob_of_output(self.function(rows), len(rows), classes)
        return log_prob, len(rows)

    def _check_function(self) -> None:
        """Raise unless the function is one."""
        if not callable(self.function):
            raise InvalidParameterError(
                f"`function` must be callable; got {type(self.function).__name__}."
            )

    def _ask(self, texts: Iterable[str], classes: Classes) -> Iterator[Answers]:
        """Yield the function's answers, batch by batch."""
        self._check_function()
        check_number(self.batch_size, "batch_size", 1, integer=True)
        batches = iter(texts)
        start = 0
        while some := list(itertools.islice(batches, self.batch_size)):
            log_prob = log_prob_of_output(self.function(some), len(some), classes)
            unknown_mass = np.full(len(some), np.nan)
            yield Answers(np.arange(start, start + len(some)), log_prob, unknown_mass)
            start += len(some)
