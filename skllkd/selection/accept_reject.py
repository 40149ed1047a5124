"""Choice of the texts to label within a budget of teacher calls."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.params import check_number
from skllkd.selection.uncertainty import normalised_entropy


class AcceptReject(BaseEstimator):
    r"""Label only texts the student is uncertain of, up to a budget of teacher calls.

    A first part of the budget goes to texts drawn at random. A student is trained on the
    most confident of their labels in every class [1]_ and gives the uncertainty
    :math:`u = H(p_S) / \log C` of each unlabelled text. Texts are then drawn in random
    order and *accepted* with probability :math:`u`, rejected otherwise [2]_, until a
    round's part of the budget is spent; the student is trained on all labels so far;
    and so on. Random acceptance also labels texts that are not the most uncertain, which
    a ranking by uncertainty would never do.

    Pass it as `LLKDClassifier(acquisition=...)`. The rounds use quick students
    (`Student.fast_proxy`); the classifier's own student is trained at the end, on
    the texts that were labelled.

    Parameters
    ----------
    budget : float in (0, 1] or int, default=0.3
        The number of texts to label: a share of the pool, or a count.
    initial : float in (0, 1], default=0.3
        The share of the budget that is spent at random first; 1 for all of it.
    n_rounds : int, default=4
        The number of rounds the rest is spent in.
    confident_seed : float in (0, 1], default=0.5
        The share of the first labels, the most confident of each class, that the first
        student is trained on; 1 for all.

    See Also
    --------
    RankedImportance : Selection among the texts that were labelled.

    Notes
    -----
    The teacher is calibrated on the first texts, which alone are a random part of the
    pool.

    References
    ----------
    .. [1] LAUD, arXiv:2511.14738: start from a class-balanced seed of the most
       confident labels.
    .. [2] M-RARU, arXiv:2511.11574: accept a text for labelling with a probability
       that is the student's uncertainty.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.selection import AcceptReject
    >>> student = np.array([[0.5, 0.5], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    >>> AcceptReject().accept(student, 2, np.random.RandomState(0))
    array([0, 2])
    """

    def __init__(
        self,
        budget: float = 0.3,
        *,
        initial: float = 0.3,
        n_rounds: int = 4,
        confident_seed: float = 0.5,
    ) -> None:
        self.budget = budget
        self.initial = initial
        self.n_rounds = n_rounds
        self.confident_seed = confident_seed

    def check(self) -> None:
        """Raise `InvalidParameterError` if a parameter's value is not allowed."""
        if isinstance(self.budget, (int, np.integer)):
            check_number(self.budget, "budget", 1, integer=True)
        else:
            check_number(self.budget, "budget", 0, 1, open_low=True)
        for name in ("initial", "confident_seed"):
            check_number(getattr(self, name), name, 0, 1, open_low=True)
        check_number(self.n_rounds, "n_rounds", 1, integer=True)

    def parts(self, n_rows: int) -> list[int]:
        """Return the number of texts to label at first and in each round.

        Parameters
        ----------
        n_rows : int
            The size of the pool.

        Returns
        -------
        list of int
            The numbers, which add up to the budget; rounds without any are left out.
        """
        is_count = isinstance(self.budget, (int, np.integer))
        budget = self.budget if is_count else np.ceil(self.budget * n_rows - 1e-9)
        budget = min(int(budget), n_rows)
        first = min(max(int(np.ceil(self.initial * budget)), 1), budget)
        ends = np.linspace(first, budget, self.n_rounds + 1).round().astype(int)
        return [first, *(int(n) for n in np.diff(ends) if n)]

    def accept(
        self, student_proba: FloatArray, n_wanted: int, rng: np.random.RandomState
    ) -> IntArray:
        """Draw rows in random order, and accept each with its uncertainty.

        Parameters
        ----------
        student_proba : ndarray of shape (n_rows, n_classes)
            The student's distribution for every row that can be labelled.
        n_wanted : int
            The number of rows to accept.
        rng : RandomState
            The source of order and acceptance.

        Returns
        -------
        ndarray of int
            The accepted rows, in ascending order: as many as wanted, or all there are.
        """
        uncertainty = normalised_entropy(student_proba)
        left = rng.permutation(len(uncertainty))
        accepted = np.empty(0, dtype=np.int64)
        n_wanted = min(n_wanted, len(uncertainty))
        while len(accepted) < n_wanted:
            # Scaled to the largest, so that a certain student ends, too.
            highest = uncertainty[left].max()
            ones = np.ones(len(left))
            probability = uncertainty[left] / highest if highest > 0 else ones
            is_accepted = rng.uniform(size=len(left)) < probability
            accepted = np.concatenate([accepted, left[is_accepted]])
            left = left[~is_accepted]
        return np.sort(accepted[:n_wanted])
