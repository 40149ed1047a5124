"""Labels of a teacher: a distribution over the classes for every text."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows, normalise
from skllkd._core.atomic_files import replacing_file
from skllkd._core.log_odds import log_odds, log_prob_of_odds
from skllkd._core.params import check_number, optional_import
from skllkd._core.texts import as_texts
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.features import features_of_texts, sure_and_diverse

#: The reason for a missing answer where none is given.
NO_ANSWER = "without a usable answer"
#: Reasons that a model itself is the cause of.
NAMES_NO_CLASS = "the model answered with none of the classes"
LISTS_NO_CODE = "none of the answer codes is among the likeliest tokens"
DECLINED = "the model declined to answer"
FILTERED = "a filter of the server kept the answer back"
CUT_SHORT = "the model did not come to an answer within the tokens it has"
ENDED = "the model ended without an answer"
_REASONS = {
    *(NO_ANSWER, NAMES_NO_CLASS, LISTS_NO_CODE, DECLINED, FILTERED, CUT_SHORT, ENDED)
}


class Usage(NamedTuple):
    """Calls, tokens and time of labelling.

    Parameters
    ----------
    n_calls : int
        Calls of a model, for most teachers one for each text.
    input_tokens, output_tokens : int
        Tokens it read and wrote, as far as it says.
    seconds : float
        Wall time, in seconds.

    Examples
    --------
    >>> from skllkd.teachers import CallableTeacher
    >>> teacher = CallableTeacher(lambda texts: ["ham"] * len(texts), store=False)
    >>> teacher.label(["a prize", "at noon"], ["spam", "ham"]).usage.n_calls
    2
    """

    n_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0

    def plus(self, other: Usage) -> Usage:
        """Add another usage."""
        return Usage(*(a + b for a, b in zip(self, other, strict=True)))  # type: ignore[arg-type]

    def minus(self, other: Usage) -> Usage:
        """Take another usage off."""
        return Usage(*(a - b for a, b in zip(self, other, strict=True)))  # type: ignore[arg-type]


#: Correction of confidences, learned from gold labels; the likeliest classes stay.
Recalibration = Callable[[FloatArray], FloatArray]


#: Stands for a column to be filled in.
LEFT_OUT: Any = None


@dataclass(frozen=True)
class TeacherLabels:
    """Distribution over the classes for each of a list of texts.

    Parameters
    ----------
    classes : tuple
        The class names, in the order of the columns.
    log_prob : ndarray of shape (n_texts, n_classes)
        Raw log-probability of each class, in nats and before any calibration; NaN rows
        where the teacher gave no usable answer.
    label_mass : ndarray of shape (n_texts,)
        Probability the model put on any of the labels before renormalising, in [0, 1]:
        low where the model prefers to say something else altogether. NaN where unknown.
    class_bias : ndarray of shape (n_classes,) or None
        Bias that calibration subtracts from `log_prob`, in nats; None for none.
    n_asked : int
        Number of texts sent to the model.
    n_reused : int
        Number of texts with an answer that needed no call: stored before, or repeats.
    n_blank : int
        Number of texts that are empty or white space, which are never sent.
    n_truncated : int
        Number of texts sent that were longer than the model's window.
    seconds : float
        Wall time, in seconds.
    source : ndarray of shape (n_texts,), object
        "model" for an answer given just now, "store" for one that was known, "" for none.
    error : ndarray of shape (n_texts,), object
        Reason for a missing answer, "" where there is one.
    usage : Usage
        Calls and tokens.
    confidence : str
        Meaning of the probabilities: "log-probabilities" of the labels, share of "votes",
        or "none", for labels without a confidence.
    recalibration : callable or None
        Correction learned from gold labels, applied last: see `CalibratedTeacher`.
    multilabel : bool
        Whether a text has none, one or several of the classes. Each column is then a
        probability by itself: `log_prob` that of the class against its absence, and
        `class_bias` is subtracted from its log-odds. The label mass is that of the
        answers yes and no, a mean over the classes.

    Examples
    --------
    >>> from skllkd.teachers import CallableTeacher
    >>> teacher = CallableTeacher(lambda texts: [[0.7, 0.3]] * len(texts), store=False)
    >>> labels = teacher.label(["hm", "hm"], ["yes", "no"])
    >>> labels.proba.round(2)
    array([[0.7, 0.3],
           [0.7, 0.3]])
    >>> labels.n_asked, labels.n_reused
    (1, 1)
    """

    classes: tuple[Any, ...]
    log_prob: FloatArray
    label_mass: FloatArray
    class_bias: FloatArray | None = None
    n_asked: int = 0
    n_reused: int = 0
    n_blank: int = 0
    n_truncated: int = 0
    seconds: float = field(default=0.0, compare=False)
    source: npt.NDArray[np.object_] = field(default=LEFT_OUT, repr=False)
    error: npt.NDArray[np.object_] = field(default=LEFT_OUT, repr=False)
    usage: Usage = field(default_factory=Usage)
    confidence: str = "log-probabilities"
    recalibration: Recalibration | None = None
    multilabel: bool = False

    def __post_init__(self) -> None:
        """Fill in sources and reasons."""
        for name, words in (("source", ["model", ""]), ("error", ["", NO_ANSWER])):
            if getattr(self, name) is None:
                # One object for all texts, not one each: a pool may hold millions.
                column = np.array(words, dtype=object)[self.missing.astype(int)]
                object.__setattr__(self, name, column)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.log_prob)

    @property
    def proba(self) -> FloatArray:
        """Calibrated distribution of each text, NaN rows where missing."""
        proba = self._proba(self.class_bias)
        return proba if self.recalibration is None else self.recalibration(proba)

    @property
    def raw_proba(self) -> FloatArray:
        """Distribution of each text before calibration."""
        return self._proba(None)

    def _proba(self, class_bias: FloatArray | None) -> FloatArray:
        """Return the probabilities less a bias."""
        if not self.multilabel:
            return normalise(self.log_prob, class_bias)
        odds = log_odds(self.log_prob)
        odds = odds if class_bias is None else odds - class_bias
        proba: FloatArray = np.exp(log_prob_of_odds(odds))
        return proba

    @property
    def missing(self) -> BoolArray:
        """Mask of the texts without a usable answer."""
        return nan_rows(self.log_prob)

    def propose_examples(
        self, texts: Any, n_per_class: int = 1, *, embed: Any = None
    ) -> list[tuple[str, Any]]:
        """Propose examples for a prompt: the surest, most diverse texts of each class.

        Of each class the surest text is taken, then of the surest ones the text that is
        the least like those taken. Texts longer than half of the others are left out:
        examples are evaluated, or paid for, with each prompt. Read them and mend what
        the teacher got wrong; a wrong example teaches the error.

        Parameters
        ----------
        texts : sequence of str of shape (n_texts,)
            The texts of these labels.
        n_per_class : int, default=1
            Number of examples of each class.
        embed : callable, optional
            Function from texts to features of shape (n_texts, n_features) that tell how
            alike texts are, such as `FrozenEncoderStudent().embed`. TF-IDF by default.

        Returns
        -------
        list of (str, class)
            The examples, class by class in turns, for the parameter `examples` of a
            teacher. A class with too few texts has fewer. With several classes a text,
            the pairs are of a text and the list of its classes, that of a text without
            any among them.

        Raises
        ------
        InvalidParameterError
            If the texts are not those of the labels, or none has a label.

        Examples
        --------
        >>> from skllkd.teachers import PrecomputedTeacher
        >>> texts = ["a goal", "a match", "the vote", "the law"]
        >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9]]
        >>> labels = PrecomputedTeacher(texts, proba).label(texts, ["sports", "politics"])
        >>> labels.propose_examples(texts)
        [('a goal', 'sports'), ('the law', 'politics')]
        """
        check_number(n_per_class, "n_per_class", 1, integer=True)
        texts = self._texts_of_these(texts)
        if self.missing.all():
            raise InvalidParameterError(
                "no text has a label; there is nothing to choose."
            )
        lengths = np.array([len(text) for text in texts])
        is_short = lengths <= np.median(lengths[~self.missing])
        proba = self.proba
        if self.multilabel:  # and the texts without a class
            proba = np.column_stack([proba, 1 - proba.max(axis=1)])
        features = features_of_texts(texts, embed)
        rows = sure_and_diverse(
            proba, features, n_per_class, is_short, multilabel=self.multilabel
        )
        chosen = [
            (int(of_class[i]), place)
            for i in range(n_per_class)
            for place, of_class in enumerate(rows)
            if i < len(of_class)
        ]
        if not self.multilabel:
            return [(texts[row], self.classes[place]) for row, place in chosen]
        names = names_of_proba(proba[:, :-1], self.classes)
        return [(texts[row], names[row]) for row in dict(chosen)]

    def _texts_of_these(self, texts: Any) -> list[str]:
        """Return texts as a list, or raise that they are others than the labels'."""
        found = as_texts(texts, "texts")
        if len(found) != len(self):
            raise InvalidParameterError(
                f"`texts` must be the {len(self)} texts of these labels; got {len(found)}."
            )
        return found

    def to_pandas(self, texts: Any = None) -> Any:
        """Make a table of the labels.

        Parameters
        ----------
        texts : sequence of str, optional
            The texts, for a column of their own.

        Returns
        -------
        pandas.DataFrame
            A row a text: `text` where given, `label` (missing where there is none),
            `proba_<class>` for each class, `label_mass`, `source` and `error`.
        """
        pandas = optional_import("pandas", "table")
        columns = {} if texts is None else {"text": self._texts_of_these(texts)}
        return pandas.DataFrame(columns | label_columns(self))

    def to_parquet(self, path: str | os.PathLike[str], texts: Any = None) -> None:
        """Write the answers to a parquet file, which `PrecomputedTeacher` reads.

        Parameters
        ----------
        path : str or Path
            The file. It is replaced when all is written.
        texts : sequence of str, optional
            The texts, for a column of their own.
        """
        optional_import("pyarrow", "table")
        with replacing_file(path) as unfinished:
            self.to_pandas(texts).to_parquet(unfinished)


def without_quote(error: str, otherwise: str | None = None) -> str:
    """Take the model's words, which may repeat the text, off a reason of our own."""
    reason = error.partition(":")[0]
    return reason if reason in _REASONS else otherwise or error


def label_column_names(words: Sequence[str]) -> list[str]:
    """Return the names of the columns of a table of labels, that of the label first."""
    proba = [f"proba_{word}" for word in words]
    return ["label", *proba, "label_mass", "source", "error"]


def label_columns(labels: TeacherLabels) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a table of labels."""
    proba, known = labels.proba, ~labels.missing
    label = np.full(len(labels), None, dtype=object)
    if labels.multilabel:
        lists = names_of_proba(proba, labels.classes)
        label[known] = lists[known]
    else:
        names = np.empty(len(labels.classes), dtype=object)
        names[:] = labels.classes
        label[known] = names[proba[known].argmax(axis=1)]
    columns = [label, *proba.T, labels.label_mass, labels.source, labels.error]
    written = label_column_names(list(map(str, labels.classes)))
    return dict(zip(written, columns, strict=True))


def names_of_proba(proba: FloatArray, classes: Sequence[Any]) -> Any:
    """Return the list of classes of each text with a probability of one half or more."""
    lists = np.empty(len(proba), dtype=object)
    for row, has in enumerate(proba >= 0.5):
        lists[row] = [name for name, it in zip(classes, has, strict=True) if it]
    return lists


def spread_labels(labels: TeacherLabels, rows: IntArray, error: str) -> TeacherLabels:
    """Return the labels of rows; row -1 is a text without one, for the reason given."""

    def column(values: Any, missing: Any) -> Any:
        return np.append(values, [missing], axis=0)[rows]

    return replace(
        labels,
        log_prob=column(labels.log_prob, np.full(len(labels.classes), np.nan)),
        label_mass=column(labels.label_mass, np.nan),
        source=column(labels.source, ""),
        error=column(labels.error, error),
    )
