"""Likeness of texts to class names, as log-probabilities of the classes."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from skllkd._core.arrays import Float32Array, FloatArray
from skllkd._core.classes import Classes
from skllkd._core.log_odds import log_prob_of_odds


def class_texts(classes: Classes) -> list[str]:
    """Write each class as a text to embed: its name, and its description if it has one."""
    pairs = zip(classes.words, classes.descriptions, strict=True)
    return [
        f"{_spelled(name)}: {text}" if text else _spelled(name) for name, text in pairs
    ]


def class_name_log_prob(
    text_embeddings: FloatArray | Float32Array,
    class_embeddings: FloatArray | Float32Array,
    temperature: float,
    *,
    centred: bool = True,
    multilabel: bool = False,
) -> FloatArray:
    """Return log-probabilities of classes from the cosine of texts and class names.

    Parameters
    ----------
    text_embeddings : ndarray of shape (n_texts, n_features)
        Embeddings of the texts, of any length; a row of NaN is a text without one.
    class_embeddings : ndarray of shape (n_classes, n_features)
        Embeddings of the class names, of any length.
    temperature : float
        Difference of cosines that multiplies the odds by e, above 0.
    centred : bool, default=True
        Whether to subtract each class's mean over the texts, since some names are close
        to every text.
    multilabel : bool, default=False
        Whether each class is a question of its own, with log-odds of the cosine over the
        temperature, rather than one of those a text has one of.

    Returns
    -------
    ndarray of shape (n_texts, n_classes)
        Log-probabilities in nats, each row normalised unless multilabel; NaN rows stay.
    """
    cosine = _unit(text_embeddings) @ _unit(class_embeddings).T
    logits = cosine / temperature
    known = ~np.isnan(logits).any(axis=1)
    if centred and known.any():
        logits = logits - logits[known].mean(axis=0)
    log_prob: FloatArray = (
        log_prob_of_odds(logits) if multilabel else log_softmax(logits, axis=1)
    )
    return log_prob


def _spelled(name: str) -> str:
    """Spell a class name as words: `card_arrival` and `card-arrival` as `card arrival`."""
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def _unit(rows: FloatArray | Float32Array) -> FloatArray:
    """Scale rows to length 1; rows of zeros stay."""
    rows = np.asarray(rows, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length == 0, 1.0, length)
