"""A second teacher as evidence about labels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd.exceptions import MissingLabelWarning, TruncationWarning
from skllkd.refinement.base import Evidence, EvidenceContext
from skllkd.teachers.wrapping import as_teacher


@dataclass(frozen=True, repr=False)
class AnotherTeacher(Evidence):
    """The calibrated distributions of a second teacher.

    It is asked about every text, from its store where it knows the answer. Its weight
    follows from its agreement with the first teacher: unlike an `EnsembleTeacher`,
    which takes the mean of its members.

    Parameters
    ----------
    teacher : Teacher, callable or fitted classifier
        The teacher.

    See Also
    --------
    skllkd.teachers.EnsembleTeacher : Several teachers as one.

    Notes
    -----
    It is left behind in files, as the classifier's own teacher is. Its calls are not
    counted in `n_teacher_calls_`.

    Examples
    --------
    >>> from skllkd.refinement import AnotherTeacher, ClassNames, OutOfFold, Refinement
    >>> def by_word(texts):
    ...     return [[0.9, 0.1] if "goal" in text else [0.5, 0.5] for text in texts]
    >>> refinement = Refinement([ClassNames(), AnotherTeacher(by_word), OutOfFold()])
    """

    teacher: Any
    requirement = "a teacher that has an answer"

    @override
    def check(self) -> None:
        as_teacher(self.teacher)

    @override
    def log_prob(self, context: EvidenceContext) -> FloatArray | None:
        with warnings.catch_warnings():  # the evidence is silent about these texts
            warnings.simplefilter("ignore", MissingLabelWarning)
            warnings.simplefilter("ignore", TruncationWarning)
            labels = as_teacher(self.teacher).label(
                context.texts, context.classes, verbose=context.verbose
            )
        if labels.missing.all():
            return None
        with np.errstate(divide="ignore"):
            return np.log(labels.proba)

    @override
    def portable(self) -> None:
        return None
