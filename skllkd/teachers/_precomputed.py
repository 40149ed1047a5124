"""Labels or probabilities that are there already as a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np

from skllkd._validation import Classes, FloatArray, as_texts
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers._base import Found, Teacher
from skllkd.teachers._outputs import log_prob_of_output
from skllkd.teachers._stored import Answer


class PrecomputedTeacher(Teacher):
    """Labels or probabilities that are there already as a teacher.

    Parameters
    ----------
    texts : sequence of str, or ndarray of shape (n_rows, n_features)
        The texts that were labelled, or the rows with a student that takes numbers.
        Answers are looked up by text, so that folds and shuffles of a pool find
        theirs. A text that is not here has no label; one that is here more than once
        has the mean of its answers.
    answers : array-like or tuple
        For each text: a row of probabilities whose columns follow `classes`; or a
        label; or, as a pair of sequences, labels and confidences. None, NaN or a row
        of NaN is a text without an answer.
    calibration : {"batch", None}, default=None
        Whether to take out a preference for some labels: see `LlamaCppTeacher`.
    class_prior : mapping, sequence or "em", optional
        The expected share of each class, for calibration; "em" to have it estimated.

    See Also
    --------
    CallableTeacher : Any function of texts.

    Examples
    --------
    >>> from skllkd.teachers import PrecomputedTeacher
    >>> teacher = PrecomputedTeacher(
    ...     ["see you at noon", "you won a prize"], (["ham", "spam"], [0.9, 0.7])
    ... )
    >>> teacher.label(["you won a prize"], ["ham", "spam"]).proba.round(2)
    array([[0.3, 0.7]])
    """

    def __init__(
        self,
        texts: Any,
        answers: Any,
        *,
        calibration: str | None = None,
        class_prior: Any = None,
    ) -> None:
        self.texts = texts
        self.answers = answers
        self.calibration = calibration
        self.class_prior = class_prior

    def _label_rows(self, rows: FloatArray, classes: Classes) -> tuple[FloatArray, int]:
        """Look rows of numbers up."""
        labelled = np.ascontiguousarray(self.texts, dtype=np.float64)
        known = self._mean_answers([row.tobytes() for row in labelled], classes)
        nothing = np.full(len(classes), np.nan)
        wanted = np.ascontiguousarray(rows, dtype=np.float64)
        return np.array([known.get(row.tobytes(), nothing) for row in wanted]), 0

    def _answer(self, texts: list[str], classes: Classes, verbose: int) -> Found:
        """Look the texts up."""
        if self.calibration == "contextual":
            raise InvalidParameterError(
                '`calibration="contextual"` needs a teacher that can be asked about '
                'texts without content; got precomputed answers. Use "batch".'
            )
        known = self._mean_answers(as_texts(self.texts, "texts"), classes)
        return Found({t: Answer(known[t], np.nan) for t in texts if t in known})

    def _mean_answers(self, keys: list[Any], classes: Classes) -> dict[Any, FloatArray]:
        """Return the log of the mean probability of each text that has an answer."""
        log_prob = log_prob_of_output(self.answers, len(keys), classes)
        proba_of: dict[Any, list[FloatArray]] = {}
        for key, row in zip(keys, np.exp(log_prob), strict=True):
            if not np.isnan(row).any():
                proba_of.setdefault(key, []).append(row)
        with np.errstate(divide="ignore"):
            return {key: np.log(np.mean(p, axis=0)) for key, p in proba_of.items()}
