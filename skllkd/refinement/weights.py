"""Weights of evidence, estimated from the teacher's labels or from gold labels."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from skllkd._core.arrays import FloatArray, IntArray

#: Precision of the normal priors around 0 of the weights and of the offsets: about so
#: many texts must speak for a weight. Without them a handful of texts has no estimate.
_WEIGHT_PRECISION, _OFFSET_PRECISION = 10.0, 1.0
#: The same with gold labels, of the weights around those without.
_GOLD_WEIGHT_PRECISION, _GOLD_OFFSET_PRECISION = 50.0, 4.0


def evidence_weights(evidence: FloatArray, label: IntArray) -> FloatArray:
    r"""Estimate the weight of each source by multinomial logistic regression.

    The labels :math:`y` of the teacher are regressed on the evidence :math:`z_j`:
    maximise over :math:`b_j \ge 0` and offsets :math:`a_k` of the classes

    .. math:: \sum_x \log \mathrm{softmax}_k\bigl(a_k + \sum_j b_j\, z_j(x, k)\bigr)_{y(x)}

    `evidence` has shape (n_sources, n_texts, n_classes), `label` (n_texts,).
    """
    n_sources = len(evidence)
    start, centre = np.full(n_sources, 0.5), np.zeros(n_sources)
    precision = (_WEIGHT_PRECISION, _OFFSET_PRECISION)
    return _most_probable(evidence, label, start, centre, *precision)[0]


def gold_weights(
    evidence: FloatArray, gold: IntArray, prior: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Estimate weights and offsets from gold labels, drawn to the weights without them.

    The regression of `evidence_weights`, of gold labels. Offsets are what a few labels
    determine first: the classes a teacher is too fond of. Labels of one class alone do
    not tell, as they were hardly drawn at random: offsets are then 0.
    """
    precision = (_GOLD_WEIGHT_PRECISION, _GOLD_OFFSET_PRECISION)
    most = np.inf if len(np.unique(gold)) > 1 else 0.0
    return _most_probable(evidence, gold, prior, prior, *precision, most)


def _most_probable(
    evidence: FloatArray,
    label: IntArray,
    start: FloatArray,
    centre: FloatArray,
    weight_precision: float,
    offset_precision: float,
    largest_offset: float = np.inf,
) -> tuple[FloatArray, FloatArray]:
    """Return the most probable weights >= 0 and offsets under normal priors."""
    from scipy.optimize import minimize  # slow to import

    n_sources, n_texts, n_classes = evidence.shape
    one_hot = np.eye(n_classes)[label]

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        weight, offset = parameters[:n_sources], parameters[n_sources:]
        log_prob = log_softmax(offset + np.tensordot(weight, evidence, 1), axis=1)
        shift = weight - centre
        prior = weight_precision * shift @ shift + offset_precision * offset @ offset
        error = np.exp(log_prob) - one_hot
        gradient = np.concatenate(
            [
                np.tensordot(evidence, error, 2) + weight_precision * shift,
                error.sum(axis=0) + offset_precision * offset,
            ]
        )
        loss = prior / 2 - log_prob[np.arange(n_texts), label].sum()
        return loss / max(n_texts, 1), gradient / max(n_texts, 1)

    first = np.concatenate([start, np.zeros(n_classes)])
    bounds = [(0, None)] * n_sources + [(-largest_offset, largest_offset)] * n_classes
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:n_sources], found.x[n_sources:]
