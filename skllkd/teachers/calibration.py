"""Calibration of class log-probabilities, applied after they are stored.

A language model prefers some labels whatever the text says: by their frequency, by
their place in the prompt, by the last example. That preference is an offset per class
in log-probability, and calibrating subtracts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from skllkd._core.arrays import FloatArray, IntArray, nan_rows
from skllkd._core.classes import Classes
from skllkd.exceptions import InvalidParameterError

#: How far below a text's likeliest class, in nats, a class counts as impossible when
#: averages are taken: a label without a confidence puts probability 0 on the others.
_FLOOR = float(np.log(1e-12))

#: When the turns of `pool_bias` end: after so many, or at a step so small in nats.
_EM_STEPS, _EM_TOLERANCE = 500, 1e-6

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
    proba: FloatArray = score - score.max(axis=1, keepdims=True)
    np.exp(proba, out=proba)  # in place: there may be millions of texts
    proba /= proba.sum(axis=1, keepdims=True)
    return proba


def floored(log_prob: FloatArray) -> FloatArray:
    """Return log-probabilities fit for averages, in which one minus infinity is all.

    Parameters
    ----------
    log_prob : ndarray of shape (n_texts, n_classes)
        Log-probabilities in nats, without NaN.

    Returns
    -------
    ndarray of shape (n_texts, n_classes)
        The same, none further than log(1e-12) below its row's highest.
    """
    floor: FloatArray = log_prob.max(axis=1, keepdims=True) + _FLOOR
    return np.maximum(log_prob, floor)


def mean_bias(log_prob: FloatArray, class_prior: FloatArray | None) -> FloatArray:
    r"""Return the mean log-probability of each class, less that of its share.

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
    bias: FloatArray = floored(known).mean(axis=0)
    if class_prior is not None:
        bias = bias - np.log(class_prior)
    return bias


def pool_bias(log_prob: FloatArray, class_prior: FloatArray | None) -> FloatArray:
    r"""Return the bias of a pool whose classes are not equally frequent.

    In such a pool the mean log-probability of a frequent class is high for good
    reason, and batch calibration takes that reason out. So the mean is taken over the
    pool weighted to hold as much of each class,
    :math:`b_k = \sum_x w_x \log p(k \mid x) / \sum_x w_x` with
    :math:`w_x = \sum_k q_k(x) / \mathrm{mean}_x\, q_k(x)`, where the posterior
    :math:`q_k(x) \propto \pi_k\, p(k \mid x)\, e^{-b_k}` is that of the bias, in turns
    until neither moves. A prior that is not given is estimated on the way, as in
    expectation-maximisation for the shares of classes (Saerens, Latinne and
    Decaestecker 2002, doi:10.1162/089976602753284446):
    :math:`\pi_k \leftarrow (\mathrm{mean}_x\, q_k(x) + \lambda / C) / (1 + \lambda)`, with
    one text more in each class so that none vanishes.

    A teacher that hardly tells the classes apart says little about their shares, and
    plain expectation-maximisation then gives all to one class. So the estimate is
    drawn to equal shares by :math:`\lambda = ((1 - I) / I)^2`, where
    :math:`I = 1 - \mathrm{mean}_x\, H(q(x)) / \log C` of the first posterior, between 0
    and 1, is how much the teacher says. The weights and the draw are our own
    additions; `benchmarks/teacher_calibration.py` says what they do.

    Parameters
    ----------
    log_prob : ndarray of shape (n_texts, n_classes)
        Log-probabilities in nats; NaN rows are left out.
    class_prior : ndarray of shape (n_classes,) or None
        The share of each class; None to have it estimated.

    Returns
    -------
    ndarray of shape (n_classes,)
        The bias less the logarithm of the shares, in nats, to be subtracted.
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
    """Return how strongly estimated shares are drawn to equal ones."""
    surprise = np.log(np.maximum(posterior, 1e-12))
    entropy = -(posterior * surprise).sum(axis=1).mean()
    said = max(1 - entropy / np.log(posterior.shape[1]), 1e-3)
    return float(((1 - said) / said) ** 2)


class Recalibration(Protocol):
    """What gold labels teach about a teacher's confidence."""

    def __call__(self, proba: FloatArray) -> FloatArray:
        """Return distributions whose confidence means what it says.

        Parameters
        ----------
        proba : ndarray of shape (n_texts, n_classes)
            The teacher's distributions; NaN rows stay NaN.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
            Distributions with the same likeliest classes.
        """


@dataclass(frozen=True)
class Temperature:
    r"""Temperature scaling, Guo et al. 2017 (arXiv:1706.04599): :math:`p_k^{1/T}`.

    Parameters
    ----------
    temperature : float
        :math:`T`, above 1 where the teacher is too sure of itself.
    """

    temperature: float

    @classmethod
    def fitted(cls, proba: FloatArray, gold: IntArray) -> Temperature:
        """Return the temperature under which the gold labels are the likeliest.

        Parameters
        ----------
        proba : ndarray of shape (n_texts, n_classes)
            The teacher's distributions.
        gold : ndarray of shape (n_texts,), int
            The right columns.

        Returns
        -------
        Temperature
            Between 0.05 and 20.
        """
        from scipy.optimize import minimize_scalar

        rows = np.arange(len(gold))

        def loss(log_temperature: float) -> float:
            scaled = cls(float(np.exp(log_temperature)))(proba)
            return -float(np.log(np.maximum(scaled[rows, gold], 1e-12)).mean())

        span = (np.log(0.05), np.log(20.0))
        best = minimize_scalar(loss, bounds=span, method="bounded")
        return cls(float(np.exp(best.x)))

    def __call__(self, proba: FloatArray) -> FloatArray:
        """Return the distributions at this temperature."""
        with np.errstate(divide="ignore"):
            return normalise(np.log(proba) / self.temperature, None)


@dataclass(frozen=True)
class Isotonic:
    """Isotonic regression of being right on the confidence.

    Zadrozny and Elkan 2002 (doi:10.1145/775047.775151), on the likeliest class: the
    others share what it leaves as they did before, and it stays the likeliest.

    Parameters
    ----------
    confidence : ndarray of shape (n_points,)
        Confidences of the teacher, rising.
    accuracy : ndarray of shape (n_points,)
        How often it is right there; linear between the points.
    """

    confidence: FloatArray
    accuracy: FloatArray

    @classmethod
    def fitted(cls, proba: FloatArray, gold: IntArray) -> Isotonic:
        """Return the rising curve that fits the gold labels best.

        Parameters
        ----------
        proba : ndarray of shape (n_texts, n_classes)
            The teacher's distributions.
        gold : ndarray of shape (n_texts,), int
            The right columns.

        Returns
        -------
        Isotonic
            Between 1 / (n + 2) and (n + 1) / (n + 2): few labels make no one certain.
        """
        from sklearn.isotonic import IsotonicRegression

        right = (proba.argmax(axis=1) == gold).astype(np.float64)
        margin = 1 / (len(gold) + 2)
        curve = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
        curve.fit(proba.max(axis=1), right)
        return cls(curve.X_thresholds_, curve.y_thresholds_)

    def __call__(self, proba: FloatArray) -> FloatArray:
        """Return the distributions with the confidence the curve gives."""
        rows = np.arange(len(proba))
        top = proba.argmax(axis=1)
        before = proba[rows, top]
        rest = np.maximum(1 - before, 1e-12)
        others = proba.copy()
        others[rows, top] = 0
        share = others / rest[:, None]  # of what the likeliest class leaves
        second = share.max(axis=1)
        wanted = np.interp(before, self.confidence, self.accuracy)
        after = np.maximum(wanted, second / (1 + second) + 1e-6)
        spread: FloatArray = share * (1 - after)[:, None]
        spread[rows, top] = 1 - spread.sum(axis=1)
        return spread


def as_class_prior(class_prior: Any, classes: Classes) -> FloatArray | None:
    """Return the expected share of each class as an array.

    Parameters
    ----------
    class_prior : mapping, sequence, "em" or None
        A share for each class, by name or in order; "em" to have it estimated.
    classes : Classes
        The classes.

    Returns
    -------
    ndarray of shape (n_classes,) or None
        Shares summing to 1; None for equal shares, or shares to be estimated.

    Raises
    ------
    InvalidParameterError
        If a class has no share, or a share is not positive.
    """
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
