"""Weights of evidence, estimated from its agreement with the teacher."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from skllkd._core.arrays import FloatArray, IntArray

#: Precision of the normal priors around 0 of the weights and of the offsets: about so
#: many texts must speak for a weight. Without them a handful of texts has no estimate.
_WEIGHT_PRECISION, _OFFSET_PRECISION = 10.0, 1.0


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
