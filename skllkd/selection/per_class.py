"""A selection for each of the classes of which a text has several."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import RandomState
from sklearn.base import clone
from typing_extensions import override

from skllkd._core.arrays import BoolArray, FloatArray
from skllkd.selection.base import Selection
from skllkd.selection.batch import Batch, Pool, Selected


class PerClass(Selection):
    """A selection for each class, where a text has none, one or several of them.

    Whether a text has a class is a problem of two classes, no and yes; a copy of the
    selection decides on it as if there were no other. A text is trained on if it is
    selected for any class, with weight 0 for the others.

    Parameters
    ----------
    selection : Selection
        The selection, as of one class a text.

    Attributes
    ----------
    selections_ : list of Selection
        The copy of each class. What they learned can be read here for all of them, with
        an axis for the classes after the first: `teacher_thresholds_` of an
        `LLKDSelection` is of shape (n_steps, n_classes, 2), the thresholds of no and yes.

    Notes
    -----
    The copies draw the same random numbers, so that few texts are trained on for a few
    of their classes.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Batch, ConfidenceThreshold, Pool
    >>> from skllkd.selection.per_class import PerClass
    >>> teacher = np.array([[0.9, 0.6], [0.4, 0.05]])
    >>> rule = PerClass(ConfidenceThreshold(0.8))
    >>> rule.begin(Pool(teacher), 1, np.random.RandomState(0))
    >>> rule.select(Batch(np.arange(2), teacher)).mask
    array([[ True, False],
           [False,  True]])
    """

    selections_: list[Selection]

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        """Return a learned array of all classes."""
        if name.startswith("_") or not name.endswith("_") or name == "selections_":
            raise AttributeError(name)
        return np.stack([getattr(part, name) for part in self.selections_], axis=1)

    @property
    def uses_student(self) -> bool:  # type: ignore[override]
        """Whether `select` reads the student's probabilities."""
        return self.selection.uses_student

    @property
    def n_folds(self) -> int:  # type: ignore[override]
        """Number of folds for the out-of-fold predictions; 0: none."""
        return self.selection.n_folds

    @override
    def check(self) -> None:
        self.selection.check()

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        n_classes, student_proba = pool.n_classes, pool.student_proba
        if first_step == 0:
            self.selections_ = [clone(self.selection) for _ in range(n_classes)]
        seed = random_state.randint(2**31 - 1)
        for k, part in enumerate(self.selections_):
            known = None if student_proba is None else answers(student_proba[:, k])
            own = Pool(answers(pool.teacher_proba[:, k]), known)
            part.begin(own, n_steps, RandomState(seed), first_step)

    @override
    def candidates(self, batch: Batch) -> BoolArray:
        masks = [
            part.candidates(own)
            for part, own in zip(self.selections_, _batches(batch), strict=True)
        ]
        self._candidates: BoolArray | None = np.column_stack(masks)
        return np.asarray(self._candidates.any(axis=1))

    @override
    def select(self, batch: Batch) -> Selected:
        known, self._candidates = getattr(self, "_candidates", None), None
        batches = _batches(batch, known)
        parts = [
            part.select(own)
            for part, own in zip(self.selections_, batches, strict=True)
        ]
        mask = np.column_stack([part.mask for part in parts])
        weight = np.column_stack([part.weight for part in parts])
        targets = [
            own.pseudo_label if part.target is None else part.target[:, 1]
            for part, own in zip(parts, batches, strict=True)
        ]
        weight = np.where(mask, weight, 0.0)
        return Selected(mask, weight, np.column_stack(targets).astype(np.float64))

    @override
    def state(self) -> dict[str, npt.NDArray[Any]]:
        arrays = {
            f"{k}.{name}": array
            for k, part in enumerate(self.selections_)
            for name, array in part.state().items()
        }
        return arrays | {"n_classes": np.array([len(self.selections_)])}

    @override
    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        n_classes = int(state["n_classes"][0])
        self.selections_ = [clone(self.selection) for _ in range(n_classes)]
        for k, part in enumerate(self.selections_):
            prefix = f"{k}."
            part.set_state(
                {
                    name.removeprefix(prefix): array
                    for name, array in state.items()
                    if name.startswith(prefix)
                }
            )


def one_selection(selection: Selection) -> Selection:
    """Return a selection as of one class a text."""
    return selection.selection if isinstance(selection, PerClass) else selection


def answers(proba: FloatArray) -> FloatArray:
    """Return probabilities of a class as distributions over no and yes."""
    return np.column_stack([1 - proba, proba])


def _batches(batch: Batch, known: BoolArray | None = None) -> list[Batch]:
    """Return the batch of each class; the student's answers are NaN where not known."""
    batches = []
    for k, teacher_proba in enumerate(batch.teacher_proba.T):
        student_proba = None
        if batch.student_proba is not None:
            student_proba = answers(batch.student_proba[:, k])
            if known is not None:
                student_proba[~known[:, k]] = np.nan
        own = Batch(batch.rows, answers(teacher_proba), student_proba, batch.step)
        batches.append(own)
    return batches
