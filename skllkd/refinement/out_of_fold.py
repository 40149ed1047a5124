"""Predictions by a model trained on the other texts as evidence about labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray, nan_rows
from skllkd._core.params import check_number
from skllkd.refinement.base import Evidence, EvidenceContext
from skllkd.selection import Pool
from skllkd.selection.ranked_importance import rank_weights


@dataclass(frozen=True, repr=False)
class OutOfFold(Evidence):
    """Predictions of each text by a model trained on the other texts.

    The model is a linear one on the features of the student's encoder, or the
    student's `fast_proxy` if it has no encoder. It learns the most probable class so
    far of each text that the teacher labelled, weighted by the rank of its probability
    among those of the class. A label that the other texts contradict is probably wrong.

    A student without an encoder knows of the texts only what the labels taught it, and
    repeats their errors: of texts with a teacher's label it is heard only if gold
    labels or other evidence speak as well.

    Parameters
    ----------
    n_folds : int, default=4
        Number of parts; each is predicted by a model trained on the others.

    See Also
    --------
    ClassNames : The likeness of texts and class names.

    Examples
    --------
    >>> from skllkd.refinement import OutOfFold, Refinement
    >>> Refinement([OutOfFold(n_folds=10)])
    Refinement(evidence=[OutOfFold(n_folds=10)])
    """

    n_folds: int = 4
    uses_labels = True
    of_encoder = True
    requirement = "the student's pretrained encoder"

    @override
    def check(self) -> None:
        check_number(self.n_folds, "n_folds", 2, integer=True)

    @override
    def log_prob(self, context: EvidenceContext) -> FloatArray | None:
        # The rest, labelled by class names alone, would teach the errors of these.
        is_known = ~nan_rows(context.teacher_proba)
        if context.gold is not None:
            is_known |= context.gold >= 0
        known = np.flatnonzero(is_known)
        label = np.full(len(context.labels), -1)
        weight = np.zeros(len(context.labels))
        pool = Pool(context.labels[known])
        label[known], weight[known] = pool.pseudo_label, rank_weights(pool, 1.0)
        proba = context.out_of_fold(label, weight, self.n_folds)
        if proba is None:
            return None
        with np.errstate(divide="ignore"):
            return np.log(proba)
