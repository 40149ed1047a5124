"""Calibration of class log-probabilities, applied after they are stored.

A language model prefers some labels whatever the text says: by their frequency, by
their place in the prompt, by the last example. That preference is an offset per class
in log-probability, and calibrating subtracts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skllkd._validation import Classes, FloatArray, nan_rows
from skllkd.exceptions import InvalidParameterError

#: How far below a text's likeliest class, in nats, a class counts as impossible when
#: averages are taken: a label without a confidence puts probability 0 on the others.
_FLOOR = float(np.log(1e-12))

#: Texts without content, for contextual calibration (Zhao et al. 2021).
CONTENT_FREE_TEXTS = ("N/A", "[MASK]", "...")


def normalise(log_prob: FloatArray, class_bias: FloatArray | None) -> FloatArray:
    """Return distributions from log-probabilities less a bias per class.

    Parameters
    ----------
    log_prob : ndarray of shape (n_texts, n_classes)
        Log-probabilities in nats; NaN rows stay NaN.
    class_bias : ndarray of shape (n_classes,) or None
        What to subtract; None for nothing.

    Returns
    -------
    ndarray of shape (n_texts, n_classes)
        Rows summing to 1.
    """
    score = log_prob if class_bias is None else log_prob - class_bias
    score = score - score.max(axis=1, keepdims=True)
    weight = np.exp(score)
    proba: FloatArray = weight / weight.sum(axis=1, keepdims=True)
    return proba


def mean_bias(log_prob: FloatArray, class_prior: FloatArray | None) -> FloatArray:
    r"""Return the bias that makes the mean log-probability match the prior.

    Batch calibration, Zhou et al. 2024 (arXiv:2309.17249), and with content-free
    texts contextual calibration, Zhao et al. 2021 (arXiv:2102.09690):
    :math:`b_k = \mathrm{mean}_x \log p(k \mid x) - \log \pi_k`, to be subtracted.

    Parameters
    ----------
    log_prob : ndarray of shape (n_texts, n_classes)
        Log-probabilities in nats; NaN rows are left out.
    class_prior : ndarray of shape (n_classes,) or None
        The expected share of each class; None for equal shares.

    Returns
    -------
    ndarray of shape (n_classes,)
        The bias in nats.
    """
    known = log_prob[~nan_rows(log_prob)]
    if not len(known):
        return np.zeros(log_prob.shape[1])
    floor = known.max(axis=1, keepdims=True) + _FLOOR
    bias: FloatArray = np.maximum(known, floor).mean(axis=0)
    if class_prior is not None:
        bias = bias - np.log(class_prior)
    return bias


def as_class_prior(class_prior: Any, classes: Classes) -> FloatArray | None:
    """Return the expected share of each class as an array.

    Parameters
    ----------
    class_prior : mapping, sequence or None
        A share for each class, by name or in order.
    classes : Classes
        The classes.

    Returns
    -------
    ndarray of shape (n_classes,) or None
        Shares summing to 1.

    Raises
    ------
    InvalidParameterError
        If a class has no share, or a share is not positive.
    """
    if class_prior is None:
        return None
    if isinstance(class_prior, Mapping):
        if set(class_prior) != set(classes.names):
            raise InvalidParameterError(
                "`class_prior` must give a share for every class and no other; got "
                f"{sorted(map(str, class_prior))}, classes are {list(classes.words)}."
            )
        shares: Sequence[Any] = [class_prior[name] for name in classes.names]
    else:
        shares = list(np.atleast_1d(class_prior))
    prior = np.asarray(shares, dtype=np.float64)
    if prior.shape != (len(classes),) or not (np.isfinite(prior) & (prior > 0)).all():
        raise InvalidParameterError(
            f"`class_prior` must hold {len(classes)} positive shares, one a class; got "
            f"{shares!r}. E.g. {{{classes.names[0]!r}: 0.8, ...}}."
        )
    normalised: FloatArray = prior / prior.sum()
    return normalised
