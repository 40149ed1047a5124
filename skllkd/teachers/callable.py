"""Any function of texts as a teacher."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes
from skllkd._core.cloning import clone_sharing
from skllkd._core.params import check_number
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.calibration import BatchCalibration
from skllkd.teachers.labels import TeacherLabels
from skllkd.teachers.metered.cache import Memory
from skllkd.teachers.metered.scores import Scores
from skllkd.teachers.metered.teacher import MeteredTeacher
from skllkd.teachers.outputs import log_prob_of_output

#: Answers of functions without a `cache_key`, by identity and for as long as the
#: function lives: a grid search clones the teacher, but the function stays the same.
_answers_of: dict[int, dict[tuple[str, ...], Memory]] = {}


class CallableTeacher(MeteredTeacher):
    """Any function of texts as a teacher.

    A plain function passed as `LLKDClassifier(teacher=...)` is wrapped in this.

    Parameters
    ----------
    function : callable
        Takes a list of str (or an array of shape (n, n_features), with a student that
        takes numbers) and returns, for n texts, an array of shape
        (n, n_classes) of probabilities whose columns follow `classes`; or n labels;
        or a pair (labels, confidences), where a confidence c leaves 1 - c to the other
        classes in equal parts; or the dicts of a text-classification pipeline of
        transformers; or a data frame or a dict with a column for each class, which are
        found by their names. Tensors may have gradients or be on a GPU. None, NaN or a
        row of NaN is a text without an answer. With several classes a text
        (`Multilabel`) n lists or sets of classes, an array of shape (n, n_classes) of
        probabilities or of 0 and 1, or dicts and tables as before; an empty list is a
        text with none of the classes.
        It must be deterministic, or nearly so: its answers are reused.
    cache_key : str, optional
        A name for what the function does, e.g. "gpt-4o-mini, prompt 3". With a name
        answers go to the label store on disk and are reused by every later process:
        change the name when the function changes. Without, they are reused within
        this process, as long as the function lives; the worker processes of
        `n_jobs=2` are others.
    batch_size : int, default=64
        Number of texts given to the function at once.
    calibration : BatchCalibration, optional
        Correction of a preference for some labels; None, the default, for none.
    max_calls : int, optional
        Maximum number of texts given to the function, over all runs that share the store;
        without a `cache_key`, over all runs in this process. Answers until then are kept,
        and the rest reported as missing.
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

    _is_multilabel = True
    _in_any_order = False  # columns of probabilities have no names

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        cache_key: str | None = None,
        batch_size: int = 64,
        calibration: BatchCalibration | None = None,
        max_calls: int | None = None,
        store: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        self.function = function
        self.cache_key = cache_key
        self.batch_size = batch_size
        self.calibration = calibration
        self.max_calls = max_calls
        self.store = store

    def __sklearn_clone__(self) -> CallableTeacher:
        """Clone; the function is shared."""
        return clone_sharing(self, "function")

    @property
    def _chunk_size(self) -> int:  # type: ignore[override]
        return self.batch_size

    @override
    def fingerprint(self, classes: Classes) -> dict[str, Any] | None:
        if self.cache_key is None:
            return None
        if not isinstance(self.cache_key, str) or not self.cache_key.strip():
            raise InvalidParameterError(
                "`cache_key` must be a name for what the function does, or None; got "
                f"{self.cache_key!r}."
            )
        names = list(map(repr, classes.names))
        own = {"teacher": "callable", "key": self.cache_key, "classes": names}
        return own | {"multilabel": True} if classes.multilabel else own

    @override
    def score_batch(self, texts: list[str], classes: Classes) -> Scores:
        return Scores(log_prob_of_output(self.function(texts), len(texts), classes))

    @override
    def _memory(self, classes: Classes) -> Memory:
        if self.store is False:
            return Memory()
        key = id(self.function)
        if key not in _answers_of:
            try:
                weakref.finalize(self.function, _answers_of.pop, key, None)
            except TypeError:  # cannot be referred to weakly
                return Memory()
            _answers_of[key] = {}
        kind = ("multilabel",) if classes.multilabel else ()
        names = tuple(map(repr, classes.names))
        return _answers_of[key].setdefault((*names, *kind), Memory())

    @override
    def _label_rows(self, rows: FloatArray, classes: Classes) -> TeacherLabels:
        self._check_parameters(classes)
        log_prob = log_prob_of_output(self.function(rows), len(rows), classes)
        mass = np.full(len(rows), np.nan)
        return TeacherLabels(classes.names, log_prob, mass, n_asked=len(rows))

    @override
    def _check_parameters(self, classes: Classes) -> None:
        if not callable(self.function):
            raise InvalidParameterError(
                f"`function` must be callable; got {type(self.function).__name__}."
            )
        check_number(self.batch_size, "batch_size", 1, integer=True)
