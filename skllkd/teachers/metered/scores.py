"""Scores of a chunk of texts, as a back end returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows
from skllkd.teachers.labels import LEFT_OUT, NO_ANSWER, Usage


@dataclass(eq=False)
class Scores:
    """Answers for a chunk of texts, one row for each text in the order given.

    Parameters
    ----------
    log_prob : ndarray of shape (n, n_classes)
        Raw log-probabilities in nats; NaN rows where there is no usable answer.
    label_mass : ndarray of shape (n,), optional
        Probability on any of the labels; NaN, the default, where unknown.
    error : ndarray of shape (n,), object, optional
        Reason for each missing answer, "" elsewhere.
    n_tokens : ndarray of shape (n, 2), int, optional
        Tokens read and written; 0 where unknown.
    is_final : ndarray of shape (n,), bool, optional
        Rows for which the model itself has no usable answer and would not have one
        another time: they are stored as unanswered and not sent again. Other missing
        rows are sent again in the next run.
    is_truncated : ndarray of shape (n,), bool, optional
        Rows whose text was longer than the model's window.
    n_calls : ndarray of shape (n,), int, optional
        Calls of the model; by default one for each text.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.teachers import Scores
    >>> scores = Scores(np.log([[0.9, 0.1], [np.nan, np.nan]]))
    >>> scores.error.tolist(), scores.usage.n_calls
    (['', 'without a usable answer'], 2)
    """

    log_prob: FloatArray
    label_mass: FloatArray = LEFT_OUT
    error: npt.NDArray[np.object_] = LEFT_OUT
    n_tokens: IntArray = LEFT_OUT
    is_final: BoolArray = LEFT_OUT
    is_truncated: BoolArray = LEFT_OUT
    n_calls: IntArray = LEFT_OUT

    def __post_init__(self) -> None:
        """Fill in the columns that were left out."""
        self.log_prob = np.asarray(self.log_prob, dtype=np.float64)
        n = len(self.log_prob)
        reasons = np.array(["", NO_ANSWER], dtype=object)
        columns = {
            "label_mass": np.full(n, np.nan),
            "error": reasons[nan_rows(self.log_prob).astype(int)],
            "n_tokens": np.zeros((n, 2), dtype=np.int64),
            "is_final": np.zeros(n, dtype=bool),
            "is_truncated": np.zeros(n, dtype=bool),
            "n_calls": np.ones(n, dtype=np.int64),
        }
        for name, column in columns.items():
            if getattr(self, name) is None:
                setattr(self, name, column)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.log_prob)

    @property
    def answered(self) -> BoolArray:
        """Mask of the rows with a usable answer."""
        return ~nan_rows(self.log_prob)

    @property
    def usage(self) -> Usage:
        """Calls and tokens of all rows."""
        n_read, n_written = self.n_tokens.sum(axis=0)
        return Usage(int(self.n_calls.sum()), int(n_read), int(n_written))


def unknown_scores(n: int, n_classes: int) -> Scores:
    """Make rows without answers that took nothing."""
    rows = np.full((n, n_classes), np.nan)
    return Scores(rows, n_calls=np.zeros(n, dtype=np.int64))


def concatenate_scores(parts: Sequence[Scores]) -> Scores:
    """Put chunks, at least one, one after the other."""
    columns: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Scores)
    }
    return Scores(**columns)


def overwrite_rows(pool: Scores, rows: IntArray, scores: Scores) -> None:
    """Overwrite rows of a pool's scores."""
    for field in fields(Scores):
        getattr(pool, field.name)[rows] = getattr(scores, field.name)
