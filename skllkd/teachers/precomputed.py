"""Labels or probabilities that are there already as a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.base import Found, Teacher
from skllkd.teachers.metered.usage import Answer
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.tables import answers_in_table


class PrecomputedTeacher(Teacher):
    """Labels or probabilities that are there already as a teacher.

    Parameters
    ----------
    texts : sequence of str, or ndarray of shape (n_rows, n_features)
        The texts that were labelled, or the rows with a student that takes numbers.
        Answers are looked up by text, so that folds and shuffles of a pool find
        theirs. A text that is not here has no label; one that is here more than once
        has the mean of its answers.
    answers : array-like, tuple or mapping
        For each text: a row of probabilities whose columns follow `classes`; or a
        label; or, as a pair of sequences, labels and confidences. None, NaN or a row
        of NaN is a text without an answer. Or a mapping of each class to the column of
        its probabilities, in any order.
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

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        text: str = "text",
        label: str | None = None,
        confidence: str | None = None,
        proba: Mapping[Any, str] | None = None,
        calibration: str | None = None,
        class_prior: Any = None,
    ) -> PrecomputedTeacher:
        """Return the teacher whose answers are in a table.

        Parameters
        ----------
        table : str, Path, pandas.DataFrame or polars.DataFrame
            The table, or its file: .parquet, .csv, or .jsonl, .ndjson or .json with one
            object a line.
        text : str, default="text"
            The column of the texts.
        label : str, optional
            The column of the labels. By default the columns `proba_<class>` are read,
            as `TeacherLabels.to_pandas` and `to_parquet` write them, and where there are
            none the column "label".
        confidence : str, optional
            The column of the labels' confidences, in [0, 1].
        proba : mapping of class to str, optional
            The column of each class's probability.
        calibration : {"batch", None}, default=None
            Whether to take out a preference for some labels.
        class_prior : mapping, sequence, "em" or None, default=None
            The expected share of each class, for calibration.

        Returns
        -------
        PrecomputedTeacher
            The teacher. It holds what the table held, not the path.

        Raises
        ------
        InvalidParameterError
            If the file cannot be read, or a column is not there.

        Examples
        --------
        >>> import pandas
        >>> from skllkd.teachers import PrecomputedTeacher
        >>> table = pandas.DataFrame({"text": ["see you", "a prize"],
        ...                           "label": ["ham", "spam"], "sure": [0.9, 0.7]})
        >>> teacher = PrecomputedTeacher.from_table(
        ...     table, label="label", confidence="sure"
        ... )
        >>> teacher.label(["a prize"], ["ham", "spam"]).proba.round(2)
        array([[0.3, 0.7]])
        """
        texts, answers = answers_in_table(table, text, label, confidence, proba)
        return cls(texts, answers, calibration=calibration, class_prior=class_prior)

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
        answers = _in_order(self.answers, classes)
        log_prob = log_prob_of_output(answers, len(keys), classes)
        proba_of: dict[Any, list[FloatArray]] = {}
        for key, row in zip(keys, np.exp(log_prob), strict=True):
            if not np.isnan(row).any():
                proba_of.setdefault(key, []).append(row)
        with np.errstate(divide="ignore"):
            return {key: np.log(np.mean(p, axis=0)) for key, p in proba_of.items()}


def _in_order(answers: Any, classes: Classes) -> Any:
    """Return answers with the classes as they are named, and columns in their order.

    A file may have made strings of numbers, or numbers of strings: where a class is not
    found by its name, it is found by its word.
    """
    if isinstance(answers, Mapping):
        by_word = {str(name): column for name, column in answers.items()}
        absent = [word for word in classes.words if word not in by_word]
        if absent:
            raise InvalidParameterError(
                f"`answers` must have a column for every class; got {list(by_word)}, none "
                f"for {absent}. Name the columns with `proba={{class: column}}`."
            )
        return np.array([by_word[w] for w in classes.words], dtype=np.float64).T
    if isinstance(answers, tuple) and len(answers) == 2:
        return _named(answers[0], classes), answers[1]
    return _named(answers, classes)


def _named(labels: Any, classes: Classes) -> Any:
    """Return labels by the names of the classes; anything else as it is."""
    if not isinstance(labels, list):
        return labels
    name_of = dict(zip(classes.words, classes.names, strict=True))

    def named(label: Any) -> Any:
        if not isinstance(label, (str, int)) or label in classes.names:
            return label
        word = str(label)
        whole = word.removesuffix(".0")  # a gap turns a column of integers into floats
        return name_of.get(word, name_of.get(whole, label))

    return [named(label) for label in labels]
