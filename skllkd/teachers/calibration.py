"""Calibration of class log-probabilities, applied after they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skllkd._core.arrays import FloatArray, nan_rows, normalise
from skllkd._core.classes import Classes
from skllkd._core.params import shown
from skllkd.exceptions import InvalidParameterError

#: How far below a text's likeliest class, in nats, a class counts as impossible when
#: averages are taken: a label without a confidence puts probability 0 on the others.
_FLOOR = float(np.log(1e-12))

#: Limits of the iterations of `pool_bias`: their number, and the smallest step in nats.
_EM_STEPS, _EM_TOLERANCE = 500, 1e-6


@dataclass(frozen=True, repr=False)
class BatchCalibration(BaseEstimator):
    r"""Subtract the mean log-probability of each class over the pool.

    Batch calibration, Zhou et al. 2024 (arXiv:2309.17249). It assumes a pool in which the
    classes are equally frequent, unless a prior says otherwise.

    Parameters
    ----------
    class_prior : mapping, sequence or "em", optional
        Expected share of each class, by name or in order; "em" to have it estimated from
        the pool. The mean is then taken over a pool weighted to hold as much of each class.

    Examples
    --------
    >>> from skllkd.teachers import BatchCalibration, PrecomputedTeacher
    >>> teacher = PrecomputedTeacher(
    ...     ["x", "y"], [[0.9, 0.1], [0.6, 0.4]], calibration=BatchCalibration()
    ... )
    >>> teacher.label(["x", "y"], ["ham", "spam"]).proba.round(2)
    array([[0.71, 0.29],
           [0.29, 0.71]])
    """

    class_prior: Any = None

    def class_bias(self, log_prob: FloatArray, classes: Classes) -> FloatArray:
        """Estimate the bias of each class, in nats, to be subtracted.

        Parameters
        ----------
        log_prob : ndarray of shape (n_texts, n_classes)
            The log-probabilities of a pool, rows of NaN for texts without an answer.
        classes : Classes
            The classes, in the order of the columns.

        Returns
        -------
        ndarray of shape (n_classes,)
            The bias.
        """
        if self.class_prior is None:
            return mean_bias(log_prob, None)
        return pool_bias(log_prob, as_class_prior(self.class_prior, classes))


def check_calibration(calibration: Any, classes: Classes) -> BatchCalibration | None:
    """Check a teacher's calibration; raise InvalidParameterError if it is none."""
    if calibration is None:
        return None
    if not isinstance(calibration, BatchCalibration):
        raise InvalidParameterError(
            "`calibration` must be BatchCalibration(...) or None; got "
            f"{shown(calibration)}."
        )
    as_class_prior(calibration.class_prior, classes)
    return calibration


def floored(log_prob: FloatArray) -> FloatArray:
    """Raise log-probabilities to at least log(1e-12) below their row's highest."""
    floor: FloatArray = log_prob.max(axis=1, keepdims=True) + _FLOOR
    return np.maximum(log_prob, floor)


def mean_bias(log_prob: FloatArray, class_prior: FloatArray | None) -> FloatArray:
    """Average the log-probability of each class, less the logarithm of its share."""
    known = log_prob[~nan_rows(log_prob)]
    if not len(known):
        return np.zeros(log_prob.shape[1])
    bias: FloatArray = floored(known).mean(axis=0)
    if class_prior is not None:
        bias = bias - np.log(class_prior)
    return bias


def pool_bias(log_prob: FloatArray, class_prior: FloatArray | None) -> FloatArray:
    r"""Estimate the bias of a pool whose classes are not equally frequent.

    The mean is taken over the pool weighted to hold as much of each class,
    :math:`b_k = \sum_x w_x \log p(k \mid x) / \sum_x w_x` with
    :math:`w_x = \sum_k q_k(x) / \mathrm{mean}_x\, q_k(x)`, where the posterior
    :math:`q_k(x) \propto \pi_k\, p(k \mid x)\, e^{-b_k}` is that of the bias, in turns
    until neither moves. A prior that is not given is estimated on the way, as in
    expectation-maximisation for the shares of classes (Saerens, Latinne and
    Decaestecker 2002, doi:10.1162/089976602753284446):
    :math:`\pi_k \leftarrow (\mathrm{mean}_x\, q_k(x) + \lambda / C) / (1 + \lambda)`, with
    one text more in each class so that none vanishes.

    Where a teacher hardly tells the classes apart, plain expectation-maximisation gives
    all to one class. So the estimate is drawn to equal shares by
    :math:`\lambda = ((1 - I) / I)^2`, where
    :math:`I = 1 - \mathrm{mean}_x\, H(q(x)) / \log C` of the first posterior is how much
    the teacher says, between 0 and 1. The weights and the draw are our own additions,
    measured in `benchmarks/teacher_calibration.py`.
    """
    known = log_prob[~nan_rows(log_prob)]
    n_texts, n_classes = known.shape
    if not n_texts:
        return np.zeros(n_classes)
    known = floored(known)
    bias = known.mean(axis=0)
    equal = np.full(n_classes, 1 / n_classes)
    prior = equal if class_prior is None else class_prior
    draw = _draw_to_equal_shares(normalise(known, bias))
    for _ in range(_EM_STEPS):
        posterior = normalise(known, bias - np.log(prior))
        share = (posterior.sum(axis=0) + 1) / (n_texts + n_classes)
        weight = (posterior / share).sum(axis=1)
        before, bias = bias, weight @ known / weight.sum()
        if class_prior is None:
            prior = (share + draw * equal) / (1 + draw)
        if np.abs(bias - before).max() < _EM_TOLERANCE:
            break
    total: FloatArray = bias - np.log(prior)
    return total


def _draw_to_equal_shares(posterior: FloatArray) -> float:
    """Compute how strongly estimated shares are drawn to equal ones."""
    surprise = np.log(np.maximum(posterior, 1e-12))
    entropy = -(posterior * surprise).sum(axis=1).mean()
    said = max(1 - entropy / np.log(posterior.shape[1]), 1e-3)
    return float(((1 - said) / said) ** 2)


def as_class_prior(class_prior: Any, classes: Classes) -> FloatArray | None:
    """Turn the expected shares into an array; None for equal or estimated shares."""
    if class_prior is None or (isinstance(class_prior, str) and class_prior == "em"):
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
    try:
        prior = np.asarray(shares, dtype=np.float64)
    except (TypeError, ValueError):
        prior = np.empty(0)
    if prior.shape != (len(classes),) or not (np.isfinite(prior) & (prior > 0)).all():
        raise InvalidParameterError(
            f"`class_prior` must hold {len(classes)} positive shares, one a class; got "
            f'{shares!r}. E.g. {{{classes.names[0]!r}: 0.8, ...}}, or "em" to have them '
            "estimated."
        )
    normalised: FloatArray = prior / prior.sum()
    return normalised
