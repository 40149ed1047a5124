"""Labels or probabilities that are there already as a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes
from skllkd._core.params import shown
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.base import Teacher
from skllkd.teachers.calibration import BatchCalibration
from skllkd.teachers.containers import unpacked
from skllkd.teachers.labels import NO_ANSWER, TeacherLabels
from skllkd.teachers.outputs import log_prob_of_output, single
from skllkd.teachers.tables import answers_in_table
from skllkd.teachers.tag_outputs import tags_in_cell


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
        its probabilities, in any order. With several classes a text (`Multilabel`) a
        list or set of classes, empty for none of them; a string that lists them, as
        "billing;urgent" or a JSON list; or a row or columns of probabilities or of 0 and
        1.
    calibration : BatchCalibration, optional
        Correction of a preference for some labels; None, the default, for none.

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

    _is_multilabel = True

    def __init__(
        self,
        texts: Any,
        answers: Any,
        *,
        calibration: BatchCalibration | None = None,
    ) -> None:
        self.texts = texts
        self.answers = answers
        self.calibration = calibration

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        text: str = "text",
        label: str | None = None,
        confidence: str | None = None,
        proba: Mapping[Any, str] | None = None,
        calibration: BatchCalibration | None = None,
    ) -> PrecomputedTeacher:
        """Make a teacher from a table.

        Parameters
        ----------
        table : str, Path, pandas.DataFrame, polars.DataFrame or pyarrow.Table
            The table, or its file: .csv, .tsv, .jsonl, .json, .parquet, .arrow, .feather
            or .xlsx, compressed (.gz, .zst) or not.
        text : str, default="text"
            The column of the texts, or a field of objects in it: "data.text".
        label : str, optional
            The column of the labels. By default the columns `proba_<class>` are read,
            as `TeacherLabels.to_pandas` and `to_parquet` write them, and where there are
            none the column "label", or else a column for each class.
        confidence : str, optional
            The column of the labels' confidences, in [0, 1].
        proba : mapping of class to str, optional
            The column of each class's probability.
        calibration : BatchCalibration, optional
            Correction of a preference for some labels.

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
        return cls(texts, answers, calibration=calibration)

    @override
    def _label_rows(self, rows: FloatArray, classes: Classes) -> TeacherLabels:
        wanted = np.ascontiguousarray(rows, dtype=np.float64)
        try:
            labelled = np.ascontiguousarray(self.texts, dtype=np.float64)
        except (TypeError, ValueError):
            labelled = np.empty(0)
        if labelled.shape[1:] != wanted.shape[1:]:
            raise InvalidParameterError(
                f"`texts` must hold rows of {wanted.shape[1]} numbers, as those that are "
                f"asked about; got {shown(self.texts)}."
            )
        keys = [row.tobytes() for row in labelled]
        return self._labels(keys, [row.tobytes() for row in wanted], classes)

    @override
    def _label_distinct(
        self, texts: list[str], classes: Classes, verbose: int
    ) -> TeacherLabels:
        return self._labels(as_texts(self.texts, "texts"), texts, classes)

    def _labels(
        self, keys: list[Any], wanted: list[Any], classes: Classes
    ) -> TeacherLabels:
        """Look up the mean answers of some keys."""
        known = self._mean_answers(keys, classes)
        nothing = np.full(len(classes), np.nan)
        is_known = np.array([key in known for key in wanted], dtype=int)
        return TeacherLabels(
            classes.names,
            np.array([known.get(key, nothing) for key in wanted]).reshape(
                -1, len(classes)
            ),
            np.full(len(wanted), np.nan),
            source=np.array(["", "store"], dtype=object)[is_known],
            error=np.array([NO_ANSWER, ""], dtype=object)[is_known],
        )

    def _mean_answers(self, keys: list[Any], classes: Classes) -> dict[Any, FloatArray]:
        """Average the answers of each key that has one; in log-probabilities."""
        answers = _in_order(self.answers, classes)
        log_prob = log_prob_of_output(answers, len(keys), classes)
        proba_of: dict[Any, list[FloatArray]] = {}
        for key, row in zip(keys, np.exp(log_prob), strict=True):
            if not np.isnan(row).any():
                proba_of.setdefault(key, []).append(row)
        with np.errstate(divide="ignore"):
            return {key: np.log(np.mean(p, axis=0)) for key, p in proba_of.items()}


def _in_order(answers: Any, classes: Classes) -> Any:
    """Put answers in the order of the classes.

    A file may have made strings of numbers, or numbers of strings: where a class is not
    found by its name, it is found by its word.
    """
    if classes.multilabel:
        answers = unpacked(answers)
    if isinstance(answers, Mapping):
        by_word = {str(name): column for name, column in answers.items()}
        absent = [word for word in classes.words if word not in by_word]
        if absent:
            raise InvalidParameterError(
                f"`answers` must have a column for every class; got {list(by_word)}, none "
                f"for {absent}. Name the columns with `proba={{class: column}}`."
            )
        return {word: by_word[word] for word in classes.words}
    if classes.multilabel and isinstance(answers, (list, tuple)):
        return [tags_in_cell(answer, classes) for answer in answers]
    if isinstance(answers, tuple) and len(answers) == 2:
        return _named(answers[0], classes), answers[1]
    return _named(answers, classes)


def _named(labels: Any, classes: Classes) -> Any:
    """Give labels the type of the class names; anything else stays as it is."""
    if not isinstance(labels, list):
        return labels
    name_of = dict(zip(classes.words, classes.names, strict=True))

    def named(label: Any) -> Any:
        label = single(label)
        if not isinstance(label, (str, int)) or label in classes.names:
            return label
        word = str(label)
        whole = word.removesuffix(".0")  # a gap turns a column of integers into floats
        return name_of.get(word, name_of.get(whole, label))

    return [named(label) for label in labels]
