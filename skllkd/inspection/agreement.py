"""Agreement of a student with its teacher, and with the class names alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, IntArray, nan_rows
from skllkd._core.intervals import wilson_interval
from skllkd._core.similarity import class_name_log_prob, class_texts
from skllkd._fitted import FittedState
from skllkd.exceptions import SavedModelError
from skllkd.refinement.answers import most_probable
from skllkd.training.training_set import in_class_order


@dataclass(frozen=True)
class Agreement:
    """Agreement of student and teacher on the texts of a class.

    Parameters
    ----------
    name : object
        The teacher's class, or "all classes".
    n_texts : int
        The number of texts the teacher gives it.
    share : float
        The share of them for which the student predicts the same, in [0, 1].
    low, high : float
        The 95 % Wilson interval of that share.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.inspection.agreement import agreement_of
    >>> agreement_of("sports", np.array([True, True, True, False])).share
    0.75
    """

    name: Any
    n_texts: int
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the agreement with its interval, "-" if there are no texts."""
        if not self.n_texts:
            return "-  of 0 texts"
        return (
            f"{self.share:.1%}  [{self.low:.1%}, {self.high:.1%}]  of "
            f"{self.n_texts:,} texts"
        )


def agreement_of(name: Any, agrees: BoolArray) -> Agreement:
    """Return the share of texts student and teacher agree on, with its interval."""
    n_texts, n_same = len(agrees), int(np.sum(agrees))
    share = n_same / n_texts if n_texts else float("nan")
    return Agreement(name, n_texts, share, *wilson_interval(n_same, n_texts))


def held_out_agreement(state: FittedState) -> Agreement | None:
    """Return the agreement of the teacher with predictions out of fold."""
    if state.out_of_fold is None:
        return None
    predicted = state.out_of_fold
    if state.multilabel:  # all classes of a text must be the same
        has, known = state.teacher_proba >= 0.5, ~nan_rows(state.teacher_proba)
        known &= (predicted >= 0).all(axis=1)
        if not known.any():
            return None
        return agreement_of("held out", (has == predicted)[known].all(axis=1))
    label = most_probable(state.teacher_proba)
    known = (label >= 0) & (predicted >= 0)
    if not known.any():
        return None
    return agreement_of("held out", label[known] == predicted[known])


def closest_class_names(state: FittedState, texts: list[str]) -> IntArray | None:
    """Return the column of the class whose name is the closest to each text.

    By the student's encoder before it was trained; None where it has none.
    """
    if not state.student.takes_text or not len(texts):
        return None
    try:
        features = state.student.embed([*texts, *class_texts(state.given_classes)])
    except SavedModelError:  # a student that was moved without what it came from
        return None
    if features is None:
        return None
    n = len(texts)
    log_prob = class_name_log_prob(features[:n], features[n:], 1.0)
    closest: IntArray = in_class_order(log_prob, state.given_classes).argmax(axis=1)
    return closest


def class_names_agreement(
    state: FittedState, X: Any, known: IntArray, label: IntArray, chosen: IntArray
) -> dict[str, Agreement]:
    """Compare the class names alone with teacher and student, where there is an encoder."""
    closest = closest_class_names(state, [X[row] for row in known])
    if closest is None:
        return {}
    others = {"teacher": label, "student": chosen}
    return {
        name: agreement_of(name, closest == other) for name, other in others.items()
    }
