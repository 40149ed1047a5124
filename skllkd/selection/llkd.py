"""LLKD: train on rows with a confident teacher and an uncertain student."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import RandomState
from typing_extensions import override

from skllkd._core.arrays import FloatArray
from skllkd._core.params import check_number, check_option
from skllkd.selection.base import Selection, check_target, target_of, with_steps
from skllkd.selection.batch import Batch, Pool, Selected
from skllkd.selection.thresholds import AdaptiveThreshold, reaches
from skllkd.selection.uncertainty import normalised_entropy


class LLKDSelection(Selection):
    r"""Keep rows with a confident teacher and an uncertain student.

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
    both. The averages have their bias corrected: the first batch is the first average.

    Parameters
    ----------
    momentum : float in [0, 1), default=0.9
        :math:`\lambda`, the share of the old averages kept at each step.
    class_term : {"signal", "probability", None}, default="signal"
        :math:`q_s(k)`: the class mean of the signal, FreeMatch's mean probability
        of the class, or none (one threshold for all classes).
    signals : {"both", "teacher", "student"}, default="both"
        The thresholds a row must reach: an ablation of the rule. With "teacher" the
        student scores nothing.
    weight : {"product", "sum", None}, default="product"
        The weight of a kept row: :math:`c u`, :math:`(c + u) / 2`, or 1. With a single
        signal, that signal.
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
    The rule is that of [1]_, whose moving thresholds follow [2]_. The paper leaves the
    parameters above open; their defaults are this package's reading.

    References
    ----------
    .. [1] Li et al., "Learning with Less: Knowledge Distillation from Large
       Language Models via Unlabeled Data", Findings of NAACL 2025,
       arXiv:2411.08028.
    .. [2] Wang et al., "FreeMatch: Self-adaptive Thresholding for Semi-supervised
       Learning", ICLR 2023, arXiv:2205.07246.

    Examples
    --------
    The teacher is confident of the first two rows, the student uncertain of the last
    two:

    >>> import numpy as np
    >>> from skllkd.selection import Batch, LLKDSelection, Pool
    >>> teacher = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
    >>> student = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    >>> rule = LLKDSelection()
    >>> rule.begin(Pool(teacher), 1, np.random.RandomState(0))
    >>> rule.select(Batch(np.arange(3), teacher, student)).mask
    array([False,  True, False])
    """

    learned_arrays = ("teacher_thresholds_", "student_thresholds_")

    def __init__(
        self,
        momentum: float = 0.9,
        class_term: str | None = "signal",
        signals: str = "both",
        weight: str | None = "product",
        target: str = "hard",
    ) -> None:
        self.momentum = momentum
        self.class_term = class_term
        self.signals = signals
        self.weight = weight
        self.target = target

    @property
    def uses_student(self) -> bool:  # type: ignore[override]
        """Whether `select` reads the student's probabilities."""
        return self.signals != "teacher"

    @override
    def check(self) -> None:
        check_number(self.momentum, "momentum", 0, 1, open_high=True)
        check_option(self.class_term, "class_term", ["signal", "probability", None])
        check_option(self.signals, "signals", ["both", "teacher", "student"])
        check_option(self.weight, "weight", ["product", "sum", None])
        check_target(self.target)

    @override
    def begin(
        self, pool: Pool, n_steps: int, random_state: RandomState, first_step: int = 0
    ) -> None:
        if first_step == 0:
            self._new_thresholds(pool.n_classes)
            none = np.empty((0, pool.n_classes), dtype=np.float32)
            self.teacher_thresholds_ = self.student_thresholds_ = none
        for threshold in (self._teacher, self._student):
            threshold.averages.momentum = self.momentum
        for name in self.learned_arrays:
            setattr(self, name, with_steps(getattr(self, name), first_step, n_steps))

    def _new_thresholds(self, n_classes: int) -> None:
        """Start both thresholds anew."""
        kind = (n_classes, self.momentum, self.class_term)
        self._teacher = AdaptiveThreshold(*kind)
        self._student = AdaptiveThreshold(*kind)

    @override
    def select(self, batch: Batch) -> Selected:
        confidence, label = batch.teacher_confidence, batch.pseudo_label
        tau = self._teacher.update(confidence, label, batch.teacher_proba)
        self.teacher_thresholds_[batch.step] = tau
        is_confident = reaches(confidence, tau[label])

        uncertainty = np.zeros_like(confidence)
        is_uncertain = np.ones_like(is_confident)
        if self.uses_student:
            student_proba = self._scored(batch)
            uncertainty = normalised_entropy(student_proba)
            tau = self._student.update(uncertainty, label, student_proba)
            self.student_thresholds_[batch.step] = tau
            is_uncertain = reaches(uncertainty, tau[label])

        mask = is_confident & is_uncertain
        if self.signals == "student":
            mask = is_uncertain
        weight = self._weights(confidence, uncertainty)
        return Selected(mask, weight, target_of(batch, self.target))

    def _weights(self, confidence: FloatArray, uncertainty: FloatArray) -> FloatArray:
        """Return the weight of each row's loss."""
        if self.weight is None:
            return np.ones(len(confidence))
        if self.signals != "both":
            return confidence if self.signals == "teacher" else uncertainty
        if self.weight == "product":
            return confidence * uncertainty
        return (confidence + uncertainty) / 2

    @override
    def state(self) -> dict[str, npt.NDArray[Any]]:
        return super().state() | {
            "teacher_averages": self._teacher.averages.state,
            "student_averages": self._student.averages.state,
        }

    @override
    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        super().set_state(state)
        self._new_thresholds(self.teacher_thresholds_.shape[1])
        self._teacher.averages.state = state["teacher_averages"]
        self._student.averages.state = state["student_averages"]
