"""The predictions of a classifier of texts, at once or as texts come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skllkd._core.arrays import FloatArray
from skllkd._core.class_tree import Level
from skllkd._core.params import check_number, check_option
from skllkd.exceptions import InvalidParameterError


class PredictMixin(ABC):
    """`predict` and `predict_stream` of a classifier that has `predict_proba`."""

    classes_: npt.NDArray[Any]

    @abstractmethod
    def predict_proba(self, X: Any, level: int | None = None) -> FloatArray:
        """Return the probabilities of the classes for each text.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.
        level : int, optional
            With `classes` in a tree: the level whose groups are told apart, 1 at the
            top. A group has the sum of the probabilities of its classes.

        Returns
        -------
        ndarray of shape (n_texts, n_classes) or (n_texts, n_groups)
            Distributions, columns as `classes_`, or as `level_classes_[level]`; rows
            summing to 1. Of several classes a text, the probability of each by itself.

        Raises
        ------
        InvalidParameterError
            If there is no such level.

        Warns
        -----
        TruncationWarning
            If texts are longer than the model's window.
        """

    @abstractmethod
    def _level(self, level: Any) -> Level:
        """Return the groups at a level of the tree of classes, or raise without one."""

    def predict(self, X: Any, level: int | None = None) -> npt.NDArray[Any]:
        """Return the class of each text.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
            The texts.
        level : int, optional
            With `classes` in a tree: the level whose groups are told apart, 1 at the
            top.

        Returns
        -------
        ndarray of shape (n_texts,) or (n_texts, n_classes)
            Names of classes, or of groups; of several classes a text, 1 for those it
            has, columns as `classes_`: those whose probability reaches `thresholds_`.

        Raises
        ------
        InvalidParameterError
            If there is no such level.
        """
        if level is None:
            proba = self.predict_proba(X)  # which knows whether there was a fit
            names = self.classes_
        else:
            proba = self.predict_proba(X, level=level)
            names = self._level(level).names
        predicted: npt.NDArray[Any]
        thresholds = getattr(self, "thresholds_", None)
        if thresholds is None:
            predicted = names[proba.argmax(axis=1)]
        else:
            predicted = (proba >= thresholds).astype(np.int64)
        return predicted

    def predict_stream(
        self, texts: Iterable[str], *, chunk_size: int = 4096, method: str = "predict"
    ) -> Iterator[npt.NDArray[Any]]:
        """Predict texts as they come, in memory that does not grow.

        Parameters
        ----------
        texts : iterable of str
            The texts: a generator, an open file, or another iterable. It is read a
            chunk at a time, when that chunk is asked for.
        chunk_size : int, default=4096
            Texts a chunk.
        method : {"predict", "predict_proba"}, default="predict"
            The method applied to each chunk.

        Returns
        -------
        iterator of ndarray of shape (chunk_size,) or (chunk_size, n_classes)
            Class names, or distributions, of the texts of a chunk; the last may be
            shorter.

        Raises
        ------
        InvalidParameterError
            If the classifier takes numbers, or an item is no string; its position is
            named.
        """
        check_is_fitted(self)
        if not get_tags(self).input_tags.string:
            raise InvalidParameterError(
                "`predict_stream` reads texts, and this `student` takes numbers. Give "
                "`predict` the rows in arrays."
            )
        check_number(chunk_size, "chunk_size", 1, integer=True)
        check_option(method, "method", ["predict", "predict_proba"])
        if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
            raise InvalidParameterError(
                "`texts` must be an iterable of texts, such as a generator or an open "
                f"file; got {type(texts).__name__}. Put a single text in a list: [text]."
            )
        return _predicted(getattr(self, method), iter(texts), chunk_size)


def _predicted(
    predict: Any, texts: Iterator[str], chunk_size: int
) -> Iterator[npt.NDArray[Any]]:
    """Generate the predictions, a chunk at a time."""
    n_before = 0
    while chunk := list(islice(texts, chunk_size)):
        for position, text in enumerate(chunk, start=n_before):
            if not isinstance(text, str):
                raise InvalidParameterError(
                    f"`texts` must hold strings only; got {text!r:.60} "
                    f"({type(text).__name__}) at position {position}, counted from 0. "
                    "The chunks before it are predicted already."
                )
        n_before += len(chunk)
        yield predict(chunk)
