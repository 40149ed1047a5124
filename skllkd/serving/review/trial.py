"""Trial of a text: probabilities, and the texts of the pool that are nearest to it."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from skllkd._core.arrays import FloatArray
from skllkd.serving.review.pool import ReviewPool

#: Number of texts shown as the nearest.
_N_NEAREST = 5


class Neighbour(NamedTuple):
    """A text of the pool near the text tried."""

    row: int
    likeness: float  # cosine


class Trial(NamedTuple):
    """The student's view of a text, and its neighbours."""

    proba: FloatArray  # (n_classes,)
    nearest: list[Neighbour]


class TextTrials:
    """Trials of texts with a classifier; the pool is read at the first.

    Parameters
    ----------
    classifier : classifier
        The classifier.
    pool : ReviewPool
        The texts to compare with.
    """

    def __init__(self, classifier: Any, pool: ReviewPool) -> None:
        self._classifier, self._pool = classifier, pool
        self._words: TfidfVectorizer | None = None
        self._features: Any = None
        self._lock = threading.Lock()

    def try_text(self, text: str) -> Trial:
        """Return the probabilities of a text and its neighbours, the nearest first."""
        proba = self._classifier.predict_proba([text])[0]
        with self._lock:
            if self._features is None:
                self._features = self._of_pool(self._pool.texts)
        likeness = self._features @ self._of_text(text).T
        likeness = np.asarray(likeness.todense() if self._words else likeness).ravel()
        nearest = np.argsort(-likeness, kind="stable")[:_N_NEAREST].tolist()
        return Trial(proba, [Neighbour(row, float(likeness[row])) for row in nearest])

    def _of_pool(self, texts: list[str]) -> Any:
        """Return the features of texts by the student's encoder, or else by words."""
        student = getattr(self._classifier, "student_", None)
        embedded = None if student is None else student.embed(texts)
        if embedded is not None:
            return normalize(embedded)
        self._words = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]")
        return self._words.fit_transform(texts)

    def _of_text(self, text: str) -> Any:
        """Return the features of a text."""
        if self._words is not None:
            return self._words.transform([text])
        return normalize(self._classifier.student_.embed([text]))
