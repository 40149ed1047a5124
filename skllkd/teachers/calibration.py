"""Calibration of class log-probabilities, applied after they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skllkd._core.arrays import FloatArray, nan_rows, normalise
from skllkd._core.classes import Classes
from skllkd._core.log_odds import log_odds, yes_no_columns
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
        With several classes a text, the share of the texts that have each class; by
        default 1 / n_classes, for texts with one class on average.

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
        prior = as_class_prior(self.class_prior, classes)
        if classes.multilabel:
            return tag_bias(log_prob, prior, is_estimated=_is_em(self.class_prior))
        if self.class_prior is None:
            return mean_bias(log_prob, None)
        return pool_bias(log_prob, prior)


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


def floored_odds(log_prob: FloatArray) -> FloatArray:
    """Return the log-odds of log-probabilities, as far as those of 1e-12."""
    odds: FloatArray = np.clip(log_odds(log_prob), _FLOOR, -_FLOOR)
    return odds


def mean_bias(log_prob: FloatArray, class_prior: FloatArray | None) -> FloatArray:
    """Average the log-probability of each class, less the logarithm of its share."""
    known = log_prob[~nan_rows(log_prob)]
    if not len(known):
        return np.zeros(log_prob.shape[1])
    bias: FloatArray = floored(known).mean(axis=0)
    if class_prior is not None:
        bias = bias - np.log(class_prior)
    return bias


def pool_bias(
    log_prob: FloatArray,
    class_prior: FloatArray | None,
    drawn_to: FloatArray | None = None,
) -> FloatArray:
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
    all to one class. So the estimate is drawn to equal shares, or those of `drawn_to`, by
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
    equal = np.full(n_classes, 1 / n_classes) if drawn_to is None else drawn_to
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


def tag_bias(
    log_prob: FloatArray, share: FloatArray | None, *, is_estimated: bool = False
) -> FloatArray:
    """Estimate the bias of the log-odds of each class, of which a text may have several.

    Each class is a question of its own, with the answers yes and no: its bias is that of
    yes less that of no in `pool_bias`, with the share given for yes, or estimated.
    """
    n_classes = log_prob.shape[1]
    if share is None:
        share = np.full(n_classes, 1 / max(n_classes, 2))
    known = log_prob[~nan_rows(log_prob)]
    bias = np.empty(n_classes)
    for k in range(n_classes):
        shares = np.array([1 - share[k], share[k]])
        prior = None if is_estimated else shares
        of_no, of_yes = pool_bias(yes_no_columns(known[:, k]), prior, shares)
        bias[k] = of_yes - of_no
    return bias


def _draw_to_equal_shares(posterior: FloatArray) -> float:
    """Compute how strongly estimated shares are drawn to equal ones."""
    surprise = np.log(np.maximum(posterior, 1e-12))
    entropy = -(posterior * surprise).sum(axis=1).mean()
    said = max(1 - entropy / np.log(posterior.shape[1]), 1e-3)
    return float(((1 - said) / said) ** 2)


def _is_em(class_prior: Any) -> bool:
    """Return whether the shares are to be estimated."""
    return isinstance(class_prior, str) and class_prior == "em"


def as_class_prior(class_prior: Any, classes: Classes) -> FloatArray | None:
    """Turn the expected shares into an array; None for equal or estimated shares.

    They sum to 1, but with several classes a text.
    """
    if class_prior is None or _is_em(class_prior):
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
    right = np.isfinite(prior) & (prior > 0)
    if classes.multilabel:
        right &= prior < 1
    if prior.shape != (len(classes),) or not right.all():
        kind = "shares between 0 and 1" if classes.multilabel else "positive shares"
        raise InvalidParameterError(
            f"`class_prior` must hold {len(classes)} {kind}, one a class; got "
            f'{shares!r}. E.g. {{{classes.names[0]!r}: 0.8, ...}}, or "em" to have them '
            "estimated."
        )
    normalised: FloatArray = prior if classes.multilabel else prior / prior.sum()
    return normalised
