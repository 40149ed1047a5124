"""What a teacher returns: a distribution over the classes for every text."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import BoolArray, FloatArray, nan_rows
from skllkd._core.params import optional_import
from skllkd.teachers.calibration import Recalibration, normalise
from skllkd.teachers.metered.usage import Usage


def _no_entries() -> npt.NDArray[np.object_]:
    """Return an empty array."""
    return np.empty(0, dtype=object)


@dataclass(frozen=True)
class TeacherLabels:
    """A teacher's answers for a list of texts.

    Parameters
    ----------
    classes : tuple
        The class names, in the order of the columns.
    log_prob : ndarray of shape (n_texts, n_classes)
        The raw log-probability of each class, in nats and before any calibration;
        NaN rows where the teacher gave no usable answer.
    label_mass : ndarray of shape (n_texts,)
        The probability the model put on any of the labels before renormalising,
        in [0, 1]: a model that wants to say something else altogether shows here.
        NaN where it is not known.
    class_bias : ndarray of shape (n_classes,) or None
        What calibration subtracts from `log_prob`, in nats; None for nothing. Of votes,
        shape (n_members, n_classes): what was subtracted before each member voted.
    n_asked : int
        How many texts the model was asked about for this, those without content that
        contextual calibration needs included.
    n_reused : int
        How many texts have an answer that needed no call: stored before, or repeats.
    n_blank : int
        How many texts were empty or white space and so never asked about.
    n_truncated : int
        How many of the texts asked about were longer than the model's window.
    seconds : float
        The wall time of the asking, in seconds.
    source : ndarray of shape (n_texts,), object
        Where each answer is from: "model" for one asked for now, "store" for one that
        was known, "" for none.
    error : ndarray of shape (n_texts,), object
        Why a text has no answer, "" where it has one.
    usage : Usage
        The calls and tokens of the asking.
    confidence : str
        What the probabilities are: "log-probabilities" of the labels, the share of
        "votes", or "none", for labels without a confidence.
    recalibration : Recalibration or None
        What was learned from gold labels, applied last: see `Teacher.calibrate`.

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
    source: npt.NDArray[np.object_] = field(default_factory=_no_entries, repr=False)
    error: npt.NDArray[np.object_] = field(default_factory=_no_entries, repr=False)
    usage: Usage = field(default_factory=Usage)
    confidence: str = "log-probabilities"
    recalibration: Recalibration | None = None

    def __post_init__(self) -> None:
        """Fill in what is known of texts without answers."""
        if len(self.error) != len(self.log_prob):
            missing = nan_rows(self.log_prob).astype(int)
            # One object for all texts, not one each: a pool may hold millions.
            error = np.array(["", "without a usable answer"], dtype=object)[missing]
            source = np.array(["model", ""], dtype=object)[missing]
            object.__setattr__(self, "error", error)
            object.__setattr__(self, "source", source)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.log_prob)

    @property
    def proba(self) -> FloatArray:
        """The calibrated distribution of each text, NaN rows where missing."""
        proba = normalise(self.log_prob, self.class_bias)
        return proba if self.recalibration is None else self.recalibration(proba)

    @property
    def raw_proba(self) -> FloatArray:
        """The distribution of each text before calibration."""
        return normalise(self.log_prob, None)

    @property
    def missing(self) -> BoolArray:
        """Which texts have no usable answer."""
        return nan_rows(self.log_prob)

    def to_pandas(self, texts: Any = None) -> Any:
        """Return the answers as a table.

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
        proba, known = self.proba, ~self.missing
        label = np.full(len(self), None, dtype=object)
        names = np.empty(len(self.classes), dtype=object)
        names[:] = self.classes
        label[known] = names[proba[known].argmax(axis=1)]
        columns: dict[str, Any] = {} if texts is None else {"text": list(texts)}
        columns |= {"label": label}
        columns |= {
            f"proba_{name}": column
            for name, column in zip(self.classes, proba.T, strict=True)
        }
        columns |= {
            "label_mass": self.label_mass,
            "source": self.source,
            "error": self.error,
        }
        return pandas.DataFrame(columns)

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
        partial = Path(path).with_name(Path(path).name + ".partial")
        self.to_pandas(texts).to_parquet(partial)
        partial.replace(path)
