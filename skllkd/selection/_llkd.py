"""LLKD: learn from what the teacher is sure of and the student is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._validation import (
    BoolArray,
    FloatArray,
    IntArray,
    check_number,
    check_option,
)
from skllkd.selection._base import Selected, Selection, check_target
from skllkd.selection._thresholds import AdaptiveThreshold, reaches


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
        The weight of a kept row: :math:`c u`, :math:`(c + u) / 2`, or 1.
    target : {"hard", "soft"}, default="hard"
        Train towards the pseudo-label, or towards the teacher's distribution.

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
    ) -> None:
        self.momentum = momentum
        self.start = start
        self.class_term = class_term
        self.teacher_threshold = teacher_threshold
        self.student_class = student_class
        self.uncertainty_over = uncertainty_over
        self.weight = weight
        self.target = target

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
            Unused: the rule has no randomness.
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
            Unused: the rule has no randomness.
        teacher_proba : ndarray of shape (n_rows, n_classes)
            The teacher's distribution for every new row.
        """
        for threshold in (self._teacher, self._student):
            threshold.set_momentum(self.momentum)
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
        if self.uncertainty_over == "batch":
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
        if student_proba is None:
            raise TypeError("LLKDSelection.select needs `student_proba`; got None.")
        confidence = teacher_proba.max(axis=1)
        tau_teacher = self._ahead.pop(step, None)
        if tau_teacher is None:
            tau_teacher = self._teacher_thresholds(
                confidence, pseudo_label, teacher_proba
            )
        mask: BoolArray = reaches(confidence, tau_teacher[pseudo_label])
        over = mask if self.uncertainty_over == "confident" else np.ones_like(mask)

        uncertainty = np.zeros(len(mask))
        uncertainty[over] = normalised_entropy(student_proba[over])
        student_label = pseudo_label.copy()
        if self.student_class == "student":
            student_label[over] = student_proba[over].argmax(axis=1)
        tau_student = self._student.update(
            uncertainty[over], student_label[over], student_proba[over]
        )
        self.teacher_thresholds_[step] = tau_teacher
        self.student_thresholds_[step] = tau_student

        mask = mask & over & reaches(uncertainty, tau_student[student_label])
        target = teacher_proba if self.target == "soft" else None
        return Selected(mask, self._weights(confidence, uncertainty), target)

    def _teacher_thresholds(
        self, confidence: FloatArray, label: IntArray, proba: FloatArray
    ) -> FloatArray:
        """Learn from a batch and return the teacher's thresholds after it."""
        moving = self._teacher.update(confidence, label, proba)
        return moving if self._pool is None else self._pool

    def _weights(self, confidence: FloatArray, uncertainty: FloatArray) -> FloatArray:
        """Return the weight of each row's loss."""
        if self.weight == "product":
            return confidence * uncertainty
        if self.weight == "sum":
            return (confidence + uncertainty) / 2
        return np.ones(len(confidence))


def normalised_entropy(proba: FloatArray) -> FloatArray:
    """Return the entropy of each distribution as a share of the largest possible.

    Parameters
    ----------
    proba : ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1.

    Returns
    -------
    ndarray of shape (n_rows,)
        The entropies divided by log(n_classes), in [0, 1].
    """
    entropy_nats = -(proba * np.log(np.maximum(proba, 1e-12))).sum(axis=1)
    share: FloatArray = entropy_nats / np.log(proba.shape[1])
    return np.clip(share, 0.0, 1.0)
