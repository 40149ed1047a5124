"""Which texts to ask the teacher about, when not all can be asked."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator

from skllkd._core.arrays import FloatArray, IntArray
from skllkd._core.params import check_number, check_option
from skllkd.selection.uncertainty import MEASURES, uncertainty_of


class AcceptReject(BaseEstimator):
    r"""Ask the teacher only about texts the student is unsure of, up to a budget.

    A first part of the budget goes to texts drawn at random. A student learns from the
    surest of their labels in every class [1]_, and says how unsure :math:`u` it is of
    the texts not yet asked about. Texts are then drawn in random order and *accepted*
    with probability :math:`u`, rejected otherwise [2]_, until a round's part of the
    budget is spent; the student learns from all that was bought; and so on. Random
    acceptance keeps texts that are not the most doubtful in, which a ranking by
    uncertainty would never ask about.

    Give it to `LLKDClassifier(acquisition=...)`. The rounds' students are quick ones
    (`Student.fast_proxy`); in the end the classifier's own learns from what was
    bought.

    Parameters
    ----------
    budget : float in (0, 1] or int, default=0.3
        How many texts the teacher is asked about: a share of the pool, or a number.
    initial : float in (0, 1], default=0.3
        The share of the budget that is spent at random first; 1 for all of it.
    n_rounds : int, default=4
        In how many rounds the rest is spent.
    confident_seed : float in (0, 1], default=0.5
        The share of the first labels, the surest of each class, that the first student
        learns from; 1 for all.
    measure : {"entropy", "least_confident", "margin"}, default="entropy"
        What uncertainty is.

    See Also
    --------
    RankedImportance : What is learned from of what was bought.

    Notes
    -----
    The calibration of the teacher is that of the first texts, which alone are a random
    part of the pool.

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
        measure: str = "entropy",
    ) -> None:
        self.budget = budget
        self.initial = initial
        self.n_rounds = n_rounds
        self.confident_seed = confident_seed
        self.measure = measure

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        if isinstance(self.budget, (int, np.integer)):
            check_number(self.budget, "budget", 1, integer=True)
        else:
            check_number(self.budget, "budget", 0, 1, open_low=True)
        for name in ("initial", "confident_seed"):
            check_number(getattr(self, name), name, 0, 1, open_low=True)
        check_number(self.n_rounds, "n_rounds", 1, integer=True)
        check_option(self.measure, "measure", [*MEASURES])

    def parts(self, n_rows: int) -> list[int]:
        """Return how many texts are asked about at first and in each round.

        Parameters
        ----------
        n_rows : int
            The size of the pool.

        Returns
        -------
        list of int
            The numbers, which add up to the budget; rounds without any are left out.
        """
        is_number = isinstance(self.budget, (int, np.integer))
        wanted = self.budget if is_number else np.ceil(self.budget * n_rows - 1e-9)
        wanted = min(int(wanted), n_rows)
        first = min(max(int(np.ceil(self.initial * wanted)), 1), wanted)
        ends = np.linspace(first, wanted, self.n_rounds + 1).round().astype(int)
        return [first, *(int(n) for n in np.diff(ends) if n)]

    def accept(
        self, student_proba: FloatArray, n_wanted: int, rng: np.random.RandomState
    ) -> IntArray:
        """Draw rows in random order, and accept each by how unsure the student is.

        Parameters
        ----------
        student_proba : ndarray of shape (n_rows, n_classes)
            The student's distribution for every row that may be asked about.
        n_wanted : int
            How many to accept.
        rng : RandomState
            The source of order and acceptance.

        Returns
        -------
        ndarray of int
            The rows accepted, in ascending order: as many as wanted, or all there are.
        """
        unsure = uncertainty_of(student_proba, self.measure)
        left = rng.permutation(len(unsure))
        accepted = np.empty(0, dtype=np.int64)
        n_wanted = min(n_wanted, len(unsure))
        while len(accepted) < n_wanted:
            # Scaled to the largest, so that a sure student does not draw for ever.
            highest = unsure[left].max()
            chance = unsure[left] / highest if highest > 0 else np.ones(len(left))
            taken = rng.uniform(size=len(left)) < chance
            accepted = np.concatenate([accepted, left[taken]])
            left = left[~taken]
        return np.sort(accepted[:n_wanted])
