"""Weights of evidence, estimated from the teacher's labels or from gold labels."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from skllkd._core.arrays import FloatArray, IntArray

#: Precision of the normal priors around 0 of the weights and of the offsets: about so
#: many texts must speak for a weight. Without them a handful of texts has no estimate.
_WEIGHT_PRECISION, _OFFSET_PRECISION = 10.0, 1.0

#: The same with gold labels: of the logarithm of the common factor, of the weights
#: around those without gold labels, and of the offsets.
_FACTOR_PRECISION, _GOLD_WEIGHT_PRECISION, _GOLD_OFFSET_PRECISION = 1.0, 50.0, 4.0


def evidence_weights(evidence: FloatArray, label: IntArray) -> FloatArray:
    r"""Estimate the weight of each source by multinomial logistic regression.

    The labels :math:`y` of the teacher are regressed on the evidence :math:`z_j`:
    maximise over :math:`b_j \ge 0` and offsets :math:`a_k` of the classes

    .. math:: \sum_x \log \mathrm{softmax}_k\bigl(a_k + \sum_j b_j\, z_j(x, k)\bigr)_{y(x)}

    `evidence` has shape (n_sources, n_texts, n_classes), `label` (n_texts,).
    """
    from scipy.optimize import minimize  # slow to import

    n_sources, n_texts, n_classes = evidence.shape
    one_hot = np.eye(n_classes)[label]

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        weight, offset = parameters[:n_sources], parameters[n_sources:]
        log_prob = log_softmax(offset + np.tensordot(weight, evidence, 1), axis=1)
        prior = (
            _WEIGHT_PRECISION * weight @ weight + _OFFSET_PRECISION * offset @ offset
        )
        error = np.exp(log_prob) - one_hot
        gradient = np.concatenate(
            [
                np.tensordot(evidence, error, 2) + _WEIGHT_PRECISION * weight,
                error.sum(axis=0) + _OFFSET_PRECISION * offset,
            ]
        )
        loss = prior / 2 - log_prob[np.arange(n_texts), label].sum()
        return loss / n_texts, gradient / n_texts

    start = np.concatenate([np.full(n_sources, 0.5), np.zeros(n_classes)])
    bounds = [(0, None)] * n_sources + [(None, None)] * n_classes
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    weights: FloatArray = found.x[:n_sources]
    return weights


def gold_weights(
    evidence: FloatArray, gold: IntArray, prior: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Estimate weights and offsets from gold labels, drawn to the weights without them.

    Maximise over :math:`b_j \ge 0`, offsets :math:`a_k` and a common factor :math:`s`

    .. math:: \sum_x \log \mathrm{softmax}_k\bigl(s\, (a_k + \sum_j b_j\, z_j(x, k))
        \bigr)_{y(x)} - \frac{1}{2} (\log s)^2 - 25 \lVert b - b_0 \rVert^2
        - 2 \lVert a \rVert^2

    and return :math:`s b` and :math:`s a`. The factor says how sure the sum of all
    evidence may be. It is what a few labels determine first, and changes no label;
    without it the surest source would lose its weight. Labels of one class alone were
    hardly drawn at random: offsets are then 0.
    """
    from scipy.optimize import minimize  # slow to import

    n_sources, n_texts, n_classes = evidence.shape
    one_hot = np.eye(n_classes)[gold]

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        log_factor, weight, offset = np.split(parameters, [1, 1 + n_sources])
        factor = np.exp(log_factor)
        logit = offset + np.tensordot(weight, evidence, 1)
        log_prob = log_softmax(factor * logit, axis=1)
        error = factor * (np.exp(log_prob) - one_hot)
        shift = weight - prior
        penalty = (
            _FACTOR_PRECISION * log_factor @ log_factor
            + _GOLD_WEIGHT_PRECISION * shift @ shift
            + _GOLD_OFFSET_PRECISION * offset @ offset
        )
        gradient = np.concatenate(
            [
                np.sum(error * logit) + _FACTOR_PRECISION * log_factor,
                np.tensordot(evidence, error, 2) + _GOLD_WEIGHT_PRECISION * shift,
                error.sum(axis=0) + _GOLD_OFFSET_PRECISION * offset,
            ]
        )
        return penalty / 2 - log_prob[np.arange(n_texts), gold].sum(), gradient

    limit = 0.0 if len(np.unique(gold)) < 2 else np.inf
    bounds = [(-5, 5), *[(0, np.inf)] * n_sources, *[(-limit, limit)] * n_classes]
    start = np.concatenate([[0.0], prior, np.zeros(n_classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    log_factor, weight, offset = np.split(found.x, [1, 1 + n_sources])
    return np.exp(log_factor) * weight, np.exp(log_factor) * offset
