"""LLKD: learn from what the teacher is sure of and the student is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._core.arrays import BoolArray, FloatArray, IntArray
from skllkd._core.params import check_number, check_option
from skllkd.selection.base import Selected, Selection, check_target
from skllkd.selection.thresholds import AdaptiveThreshold, reaches
from skllkd.selection.uncertainty import MEASURES, uncertainty_of


class LLKDSelection(Selection):
    r"""Keep rows whose teacher is confident and whose student is uncertain.

    For a batch with teacher distribution :math:`p_T`, student distribution
    :math:`p_S` and pseudo-label :math:`y = \arg\max p_T`, the signals are the
    teacher's confidence :math:`c = \max p_T` and the student's uncertainty
    :math:`u = H(p_S) / \log C`, both in [0, 1]. For each signal :math:`s`

    .. math::

        g_s \leftarrow \lambda g_s + (1 - \lambda)\, \mathrm{mean}_B\, s, \quad
        q_s(k) \leftarrow \lambda q_s(k) + (1 - \lambda)\,
        \mathrm{mean}_{i \in B: y_i = k}\, s_i, \quad
        \tau_s(k) = g_s \, q_s(k) / \max_j q_s(j)

    and row :math:`i` is kept when :math:`c_i > \tau_c(y_i)` and
    :math:`u_i > \tau_u(y_i)` (a tie counts as above), with a weight that rises in
    both.

    Parameters
    ----------
    momentum : float in [0, 1), default=0.9
        :math:`\lambda`, the share of the old averages kept at each step.
    start : {"corrected", "uniform"}, default="corrected"
        The averages before the first step: none, with the bias corrected
        (the first batch is the first average), or those of a uniform teacher
        (1/C) and of a wholly uncertain student (1).
    class_term : {"signal", "probability", None}, default="signal"
        :math:`q_s(k)`: the class mean of the signal, FreeMatch's mean probability
        of the class, or none (one threshold for all classes).
    teacher_threshold : {"moving", "pool"}, default="moving"
        The teacher is frozen, so what its moving thresholds converge to can be
        computed from the whole pool at once: "pool" does that.
    student_class : {"teacher", "student"}, default="teacher"
        Whether the student's threshold of a row is that of its pseudo-label or
        that of the class the student itself finds likeliest.
    uncertainty_over : {"batch", "confident"}, default="batch"
        The rows of a batch the student's averages are taken over: all, or those
        above the teacher's threshold. "confident" needs no scoring pass of the others,
        which cannot be kept.
    weight : {"product", "sum", None}, default="product"
        The weight of a kept row: :math:`c u`, :math:`(c + u) / 2`, or 1. With one of
        the signals only, it alone.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.
    signals : {"both", "teacher", "student"}, default="both"
        Which thresholds a row must reach: an ablation of the rule. With "teacher" the
        student is not asked.
    uncertainty : {"entropy", "least_confident", "margin"}, default="entropy"
        :math:`u`: the normalised entropy, :math:`(1 - \max p_S) C / (C - 1)`, or one
        minus the distance of the two largest probabilities.
    rejected : {"drop", "rescale", "candidates"}, default="drop"
        What becomes of the rows that are not kept: nothing; each is kept with
        probability `rejected_share` and its weight divided by it, so that the gradient
        is that of all rows in expectation, as in InfoBatch [3]_; or those the student
        is unsure of and the teacher too are trained towards the *set* of classes that
        the teacher finds plausible, :math:`-\log \sum_{k \in S} p_S(k)` [4]_. The
        set is the smallest that holds `coverage` of the teacher's distribution.
    rejected_share : float in (0, 1], default=0.2
        The share of the rejected that is kept with "rescale".
    coverage : float in (0, 1], default=0.9
        The probability a set of candidates holds at least.

    Attributes
    ----------
    teacher_thresholds_ : ndarray of shape (n_steps, n_classes), float32
        :math:`\tau_c` of every class after every step.
    student_thresholds_ : ndarray of shape (n_steps, n_classes), float32
        :math:`\tau_u` of every class after every step.

    See Also
    --------
    SelectAll : No selection, the baseline.

    Notes
    -----
    The rule is that of [1]_, whose moving thresholds follow [2]_. The paper leaves
    open what the parameters above name; the defaults are this package's reading.

    References
    ----------
    .. [1] Li et al., "Learning with Less: Knowledge Distillation from Large
       Language Models via Unlabeled Data", Findings of NAACL 2025,
       arXiv:2411.08028.
    .. [2] Wang et al., "FreeMatch: Self-adaptive Thresholding for Semi-supervised
       Learning", ICLR 2023, arXiv:2205.07246.
    .. [3] Qin et al., "InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data
       Pruning", ICLR 2024, arXiv:2303.04947.
    .. [4] Feng et al., "Provably Consistent Partial-Label Learning", NeurIPS 2020,
       arXiv:2007.08929; for language models as annotators CanDist, arXiv:2506.03857.

    Examples
    --------
    The teacher is sure of the first two rows, the student unsure of the last two:

    >>> import numpy as np
    >>> from skllkd.selection import LLKDSelection
    >>> teacher = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
    >>> student = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    >>> rule = LLKDSelection()
    >>> rule.reset(2, 1, np.random.RandomState(0), teacher)
    >>> rule.select(teacher.argmax(axis=1), teacher, student, 0, np.arange(3)).mask
    array([False,  True, False])
    """

    def __init__(
        self,
        momentum: float = 0.9,
        start: str = "corrected",
        class_term: str | None = "signal",
        teacher_threshold: str = "moving",
        student_class: str = "teacher",
        uncertainty_over: str = "batch",
        weight: str | None = "product",
        target: str = "hard",
        signals: str = "both",
        uncertainty: str = "entropy",
        rejected: str = "drop",
        rejected_share: float = 0.2,
        coverage: float = 0.9,
    ) -> None:
        self.momentum = momentum
        self.start = start
        self.class_term = class_term
        self.teacher_threshold = teacher_threshold
        self.student_class = student_class
        self.uncertainty_over = uncertainty_over
        self.weight = weight
        self.target = target
        self.signals = signals
        self.uncertainty = uncertainty
        self.rejected = rejected
        self.rejected_share = rejected_share
        self.coverage = coverage

    @property
    def uses_student(self) -> bool:  # type: ignore[override]
        """Whether `select` reads the student's probabilities."""
        return self.signals != "teacher" or self.rejected == "candidates"

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        """
        check_number(self.momentum, "momentum", 0, 1, open_high=True)
        check_option(self.start, "start", ["corrected", "uniform"])
        check_option(self.class_term, "class_term", ["signal", "probability", None])
        check_option(self.teacher_threshold, "teacher_threshold", ["moving", "pool"])
        check_option(self.student_class, "student_class", ["teacher", "student"])
        check_option(self.uncertainty_over, "uncertainty_over", ["batch", "confident"])
        check_option(self.weight, "weight", ["product", "sum", None])
        check_target(self.target)
        check_option(self.signals, "signals", ["both", "teacher", "student"])
        check_option(self.uncertainty, "uncertainty", [*MEASURES])
        check_option(self.rejected, "rejected", ["drop", "rescale", "candidates"])
        for name in ("rejected_share", "coverage"):
            check_number(getattr(self, name), name, 0, 1, open_low=True)

    def reset(
        self,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Forget the thresholds and prepare for a training run.

        Parameters
        ----------
        n_classes : int
            The number of classes.
        n_steps : int
            How often `select` will be called.
        random_state : RandomState
            The source of what is kept of the rejected.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every row of the pool.
        """
        self._begin(n_classes)
        shape = (0, n_classes)
        self.teacher_thresholds_ = np.empty(shape, dtype=np.float32)
        self.student_thresholds_ = np.empty(shape, dtype=np.float32)
        self.extend(0, n_classes, n_steps, random_state, teacher_proba)

    def extend(
        self,
        n_steps_done: int,
        n_classes: int,
        n_steps: int,
        random_state: np.random.RandomState,
        teacher_proba: FloatArray,
    ) -> None:
        """Prepare to go on with new texts, from the thresholds reached.

        Parameters
        ----------
        n_steps_done : int
            How many steps there were; the next has this number.
        n_classes : int
            The number of classes.
        n_steps : int
            How many steps there will be in addition.
        random_state : RandomState
            The source of what is kept of the rejected.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every new row.
        """
        for threshold in (self._teacher, self._student):
            threshold.set_momentum(self.momentum)
        if self.rejected == "rescale":
            self._random = np.random.RandomState(random_state.randint(2**31 - 1))
        self._ahead: dict[int, FloatArray] = {}  # thresholds by step, not used yet
        self._pool: FloatArray | None = None
        if self.teacher_threshold == "pool":
            whole = AdaptiveThreshold(n_classes, 0.0, None, self.class_term)
            self._pool = whole.update(
                teacher_proba.max(axis=1), teacher_proba.argmax(axis=1), teacher_proba
            )
        unknown = np.full((n_steps, n_classes), np.nan, dtype=np.float32)
        for name in ("teacher_thresholds_", "student_thresholds_"):
            done = getattr(self, name)[:n_steps_done]
            setattr(self, name, np.concatenate([done, unknown]))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the thresholds and the averages they come from.

        Returns
        -------
        dict of str to ndarray
            Arrays.
        """
        return {
            "teacher_thresholds_": self.teacher_thresholds_,
            "student_thresholds_": self.student_thresholds_,
            "teacher_averages": self._teacher.averages,
            "student_averages": self._student.averages,
        }

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Take back what `state` returned.

        Parameters
        ----------
        state : dict of str to ndarray
            Arrays.
        """
        self.teacher_thresholds_ = state["teacher_thresholds_"]
        self.student_thresholds_ = state["student_thresholds_"]
        self._begin(self.teacher_thresholds_.shape[1])
        self._teacher.averages = state["teacher_averages"]
        self._student.averages = state["student_averages"]

    def _begin(self, n_classes: int) -> None:
        """Begin with the averages before the first step."""
        uniform = self.start == "uniform"
        start = 1 / n_classes if uniform else None
        self._teacher = AdaptiveThreshold(
            n_classes, self.momentum, start, self.class_term
        )
        start = 1.0 if uniform else None
        self._student = AdaptiveThreshold(
            n_classes, self.momentum, start, self.class_term
        )

    def candidates(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        step: int,
        rows: IntArray,
    ) -> BoolArray:
        """Return which rows of a batch the student has to be asked about.

        Parameters
        ----------
        pseudo_label : ndarray of shape (n_rows,), int
            The class the teacher finds likeliest, in [0, n_classes).
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution, rows summing to 1.
        step : int
            The step, from 0.
        rows : ndarray of shape (n_rows,), int
            Which rows of the pool they are.

        Returns
        -------
        ndarray of shape (n_rows,), bool
            All rows, or with `uncertainty_over="confident"` those above the teacher's
            threshold.
        """
        if not self._asks_only_confident:
            return super().candidates(pseudo_label, teacher_proba, step, rows)
        confidence = teacher_proba.max(axis=1)
        tau_teacher = self._teacher_thresholds(confidence, pseudo_label, teacher_proba)
        self._ahead[step] = tau_teacher
        return reaches(confidence, tau_teacher[pseudo_label])

    def select(
        self,
        pseudo_label: IntArray,
        teacher_proba: FloatArray,
        student_proba: FloatArray | None,
        step: int,
        rows: IntArray,
    ) -> Selected:
        """Keep the rows above both thresholds.

        Parameters
        ----------
        pseudo_label : ndarray of shape (n_rows,), int
            The class the teacher finds likeliest, in [0, n_classes).
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution, rows summing to 1.
        student_proba : ndarray of shape (n_rows, n_classes)
            The student's distribution, rows summing to 1; of rows below the teacher's
            threshold not read with `uncertainty_over="confident"`.
        step : int
            The step, from 0.
        rows : ndarray of shape (n_rows,), int
            Which rows of the pool they are.

        Returns
        -------
        Selected
            The rows kept, with their weights and targets.
        """
        if student_proba is None and self.uses_student:
            raise TypeError("LLKDSelection.select needs `student_proba`; got None.")
        confidence = teacher_proba.max(axis=1)
        tau_teacher = self._ahead.pop(step, None)
        if tau_teacher is None:
            tau_teacher = self._teacher_thresholds(
                confidence, pseudo_label, teacher_proba
            )
        self.teacher_thresholds_[step] = tau_teacher
        sure = reaches(confidence, tau_teacher[pseudo_label])
        over = sure if self._asks_only_confident else np.ones_like(sure)
        uncertainty, unsure = np.zeros(len(sure)), np.ones_like(sure)
        if student_proba is not None:
            uncertainty, unsure = self._unsure(pseudo_label, student_proba, over, step)

        mask = {"both": sure & unsure, "teacher": sure, "student": unsure}[self.signals]
        weight = self._weights(confidence, uncertainty)
        target = teacher_proba if self.target == "soft" else None
        if self.rejected == "rescale":
            drawn = ~mask & (self._random.uniform(size=len(mask)) < self.rejected_share)
            weight = np.where(mask, weight, weight / self.rejected_share)
            mask = mask | drawn
        elif self.rejected == "candidates":
            assert student_proba is not None  # uses_student
            in_set = ~sure & unsure & ~mask
            hard = np.eye(teacher_proba.shape[1])[pseudo_label]
            target = (hard if target is None else target).copy()
            target[in_set] = among_candidates(
                student_proba[in_set], teacher_proba[in_set], self.coverage
            )
            mask = mask | in_set
        return Selected(mask, weight, target)

    @property
    def _asks_only_confident(self) -> bool:
        """Whether the student is asked about the teacher's confident rows only."""
        can_be_kept = self.signals == "both" and self.rejected == "drop"
        return self.uncertainty_over == "confident" and can_be_kept

    def _unsure(
        self,
        pseudo_label: IntArray,
        student_proba: FloatArray,
        over: BoolArray,
        step: int,
    ) -> tuple[FloatArray, BoolArray]:
        """Learn from what the student believes; return its uncertainty, and where high."""
        uncertainty = np.zeros(len(over))
        uncertainty[over] = uncertainty_of(student_proba[over], self.uncertainty)
        label = pseudo_label.copy()
        if self.student_class == "student":
            label[over] = student_proba[over].argmax(axis=1)
        tau = self._student.update(uncertainty[over], label[over], student_proba[over])
        self.student_thresholds_[step] = tau
        return uncertainty, over & reaches(uncertainty, tau[label])

    def _teacher_thresholds(
        self, confidence: FloatArray, label: IntArray, proba: FloatArray
    ) -> FloatArray:
        """Learn from a batch and return the teacher's thresholds after it."""
        moving = self._teacher.update(confidence, label, proba)
        return moving if self._pool is None else self._pool

    def _weights(self, confidence: FloatArray, uncertainty: FloatArray) -> FloatArray:
        """Return the weight of each row's loss."""
        if self.weight is None:
            return np.ones(len(confidence))
        if self.signals == "teacher":
            return confidence
        if self.signals == "student":
            return uncertainty
        if self.weight == "product":
            return confidence * uncertainty
        return (confidence + uncertainty) / 2


def among_candidates(
    student_proba: FloatArray, teacher_proba: FloatArray, coverage: float
) -> FloatArray:
    r"""Return the student's distribution among the classes the teacher finds plausible.

    Cross-entropy towards it, held fixed, has the gradient of
    :math:`-\log \sum_{k \in S} p_S(k)`: it only asks for one of the classes of S.

    Parameters
    ----------
    student_proba, teacher_proba : ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1.
    coverage : float in (0, 1]
        S is the smallest set of the teacher's likeliest classes that holds this much.

    Returns
    -------
    ndarray of shape (n_rows, n_classes)
        Distributions that are 0 outside S.
    """
    order = np.argsort(-teacher_proba, axis=1, kind="stable")
    ordered = np.take_along_axis(teacher_proba, order, axis=1)
    held_by_likelier = ordered.cumsum(axis=1) - ordered
    inside = np.zeros(teacher_proba.shape, dtype=bool)
    np.put_along_axis(inside, order, held_by_likelier < coverage - 1e-9, axis=1)
    among = np.where(inside, np.maximum(student_proba, 1e-12), 0.0)
    target: FloatArray = among / among.sum(axis=1, keepdims=True)
    return target
