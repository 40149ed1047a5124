"""Full-pool distillation, the baseline."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from skllkd.selection.base import Selection, check_target, target_of
from skllkd.selection.batch import Batch, Selected


class SelectAll(Selection):
    """Train on every row: full-pool distillation, the baseline of every table.

    Parameters
    ----------
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

    See Also
    --------
    LLKDSelection : Keeps the confident and still uncertain rows only.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import Batch, SelectAll
    >>> teacher = np.array([[0.9, 0.1], [0.4, 0.6]])
    >>> SelectAll().select(Batch(np.arange(2), teacher)).mask
    array([ True,  True])
    """

    uses_student = False

    def __init__(self, target: str = "hard") -> None:
        self.target = target

    @override
    def check(self) -> None:
        check_target(self.target)

    @override
    def select(self, batch: Batch) -> Selected:
        n_rows = len(batch.rows)
        mask, weight = np.ones(n_rows, dtype=bool), np.ones(n_rows)
        return Selected(mask, weight, target_of(batch, self.target))
