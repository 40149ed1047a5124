"""Features of texts where no encoder is at hand, and examples chosen by features."""

from __future__ import annotations

from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.params import shown
from skllkd.exceptions import InvalidParameterError

#: Texts to choose from, for each example wanted: the surest of a class.
_CANDIDATES = 8


def features_of_texts(texts: list[str], embed: Any = None) -> Any:
    """Return features with rows of length 1: embedded, or TF-IDF, which is sparse."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    if embed is None:
        words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+")
        return words.fit_transform(texts)
    if not callable(embed):
        raise InvalidParameterError(
            f"`embed` must be a function from texts to features; got {shown(embed)}. "
            "E.g. FrozenEncoderStudent().embed."
        )
    rows = np.asarray(embed(texts), dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
        raise InvalidParameterError(
            "`embed` must return a row of finite numbers for each text; got shape "
            f"{rows.shape} for {len(texts)} texts."
        )
    return normalize(rows)


def sure_and_diverse(
    proba: FloatArray,
    features: Any,
    n_per_class: int,
    is_allowed: Any,
    *,
    multilabel: bool = False,
) -> list[IntArray]:
    """Choose rows for each class: the surest first, then those unlike the chosen ones.

    Of the surest of a class, each next one is the farthest from those chosen for it.
    With several classes a text, only texts that have the class are chosen for it.
    """
    chosen = []
    known = np.flatnonzero(~nan_rows(proba) & is_allowed)
    known_proba = proba[known]
    has = known_proba >= 0.5
    if not multilabel:
        has = known_proba == known_proba.max(axis=1, keepdims=True)
    for k in range(proba.shape[1]):
        order = np.argsort(-(known_proba[:, k] + has[:, k]), kind="stable")
        if multilabel:
            order = order[: np.count_nonzero(has[:, k])]
        surest = known[order]
        candidates = surest[: _CANDIDATES * n_per_class]
        if len(candidates):
            candidates = _spread_out(features[candidates], candidates, n_per_class)
        chosen.append(candidates)
    return chosen


def _spread_out(features: Any, rows: IntArray, n: int) -> IntArray:
    """Choose the first row, then again and again the one least like those chosen."""
    likeness = features @ features.T
    cosine = np.asarray(
        likeness.todense() if hasattr(likeness, "todense") else likeness
    )
    taken = [0]
    while len(taken) < min(n, len(rows)):
        nearest = cosine[:, taken].max(axis=1)
        nearest[taken] = np.inf
        taken.append(int(nearest.argmin()))
    return rows[taken]
