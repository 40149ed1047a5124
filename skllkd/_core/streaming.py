"""Predicting texts as they come, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy.typing as npt

from skllkd._core.params import check_number, check_option
from skllkd.exceptions import InvalidTextsError

_METHODS = ["predict", "predict_proba"]


def predict_in_chunks(
    classifier: Any, texts: Iterable[str], chunk_size: int, method: str
) -> Iterator[npt.NDArray[Any]]:
    """Return a generator of a classifier's predictions, a chunk of texts at a time.

    Parameters
    ----------
    classifier : estimator
        The fitted classifier.
    texts : iterable of str
        The texts.
    chunk_size : int
        Texts a chunk.
    method : {"predict", "predict_proba"}
        What to return of each chunk.

    Returns
    -------
    generator of ndarray
        The predictions of each chunk.

    Raises
    ------
    InvalidParameterError
        If a parameter has a value that is not allowed.
    InvalidTextsError
        If `texts` is a bare string or no iterable; while generating, if an item is no
        string.
    """
    check_number(chunk_size, "chunk_size", 1, integer=True)
    check_option(method, "method", _METHODS)
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise InvalidTextsError(
            "`texts` must be an iterable of texts, such as a generator or an open file; "
            f"got {type(texts).__name__}. Put a single text in a list: [text]."
        )
    return _chunks(getattr(classifier, method), iter(texts), chunk_size)


def _chunks(
    predict: Any, texts: Iterator[str], chunk_size: int
) -> Iterator[npt.NDArray[Any]]:
    """Generate the predictions."""
    n_before = 0
    while chunk := list(islice(texts, chunk_size)):
        for position, text in enumerate(chunk, start=n_before):
            if not isinstance(text, str):
                raise InvalidTextsError(
                    f"`texts` must hold strings only; got {text!r:.60} "
                    f"({type(text).__name__}) at position {position}, counted from 0. "
                    "What came before its chunk is predicted already."
                )
        n_before += len(chunk)
        yield predict(chunk)
