"""Pictures of a fitted classifier, in the manner of scikit-learn's displays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from skllkd._classifier import LLKDClassifier
from skllkd._validation import (
    BoolArray,
    FloatArray,
    IntArray,
    as_texts,
    nan_rows,
    optional_import,
)
from skllkd.exceptions import InvalidParameterError
from skllkd.selection import normalised_entropy

#: How many classes' thresholds are drawn apart; more are drawn as a band.
_MAX_LINES = 8


class SelectionDisplay:
    """How much was selected, and the thresholds, over the steps of training.

    Parameters
    ----------
    share_selected : ndarray of shape (n_steps,)
        The share of the texts presented at each step that was kept, in [0, 1].
    teacher_thresholds, student_thresholds : ndarray of shape (n_steps, n_classes)
        The thresholds on teacher confidence and on student uncertainty; None where
        the selection has none.
    classes : ndarray of shape (n_classes,)
        The class names.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    ConfidenceUncertaintyDisplay : The map of what was selected.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd import SelectionDisplay
    >>> display = SelectionDisplay(np.array([0.5, 0.2]), None, None, np.array(["a", "b"]))
    >>> display.plot().ax_.get_xlabel()
    'step'
    """

    def __init__(
        self,
        share_selected: FloatArray,
        teacher_thresholds: npt.NDArray[np.floating[Any]] | None,
        student_thresholds: npt.NDArray[np.floating[Any]] | None,
        classes: npt.NDArray[Any],
    ) -> None:
        self.share_selected = share_selected
        self.teacher_thresholds = teacher_thresholds
        self.student_thresholds = student_thresholds
        self.classes = classes

    @classmethod
    def from_estimator(
        cls, estimator: LLKDClassifier, *, ax: Any = None
    ) -> SelectionDisplay:
        """Draw the selection of a fitted classifier.

        Parameters
        ----------
        estimator : LLKDClassifier
            The fitted classifier.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        SelectionDisplay
            The display.
        """
        check_is_fitted(estimator, "student_")
        history = estimator.history_
        display = cls(
            history["n_selected"] / history["n_presented"],
            getattr(estimator, "teacher_thresholds_", None),
            getattr(estimator, "student_thresholds_", None),
            estimator.classes_,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> SelectionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        SelectionDisplay
            The display itself.
        """
        ax = _axes(ax)
        steps = np.arange(len(self.share_selected))
        ax.plot(steps, self.share_selected, color="0.8", linewidth=0.8)
        smooth = _running_mean(self.share_selected, max(1, len(steps) // 25))
        ax.plot(steps, smooth, color="0.3", linewidth=1.5, label="share selected")
        _draw_thresholds(ax, self.teacher_thresholds, self.classes, "-", "teacher")
        _draw_thresholds(ax, self.student_thresholds, self.classes, ":", "student")
        ax.set(xlabel="step", ylabel="share, threshold", ylim=(0, 1.02))
        ax.set_title("Selected, and thresholds: teacher confidence —, student ···")
        ax.title.set_fontsize("medium")
        ax.legend(fontsize="small", loc="upper right", framealpha=0.9)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class ConfidenceUncertaintyDisplay:
    """The map of teacher confidence against student uncertainty.

    Parameters
    ----------
    teacher_confidence : ndarray of shape (n_texts,)
        The largest probability of the teacher's distribution.
    student_uncertainty : ndarray of shape (n_texts,)
        The entropy of the fitted student's distribution over log(n_classes), in
        [0, 1].
    times_selected : ndarray of shape (n_texts,), int
        How often each text was selected in training.
    disagree : ndarray of shape (n_texts,), bool
        Where the student predicts another class than the teacher.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    SelectionDisplay : The selection over the steps of training.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd import ConfidenceUncertaintyDisplay
    >>> display = ConfidenceUncertaintyDisplay(
    ...     np.array([0.9, 0.6]), np.array([0.1, 0.8]), np.array([0, 3]),
    ...     np.array([False, True]),
    ... )
    >>> display.plot().ax_.get_xlabel()
    'teacher confidence'
    """

    def __init__(
        self,
        teacher_confidence: FloatArray,
        student_uncertainty: FloatArray,
        times_selected: IntArray,
        disagree: BoolArray,
    ) -> None:
        self.teacher_confidence = teacher_confidence
        self.student_uncertainty = student_uncertainty
        self.times_selected = times_selected
        self.disagree = disagree

    @classmethod
    def from_estimator(
        cls, estimator: LLKDClassifier, X: Any, *, ax: Any = None
    ) -> ConfidenceUncertaintyDisplay:
        """Draw the pool a classifier was fitted on.

        Parameters
        ----------
        estimator : LLKDClassifier
            The fitted classifier.
        X : sequence of str of shape (n_texts,)
            The texts it was fitted on; the student answers for them once more.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ConfidenceUncertaintyDisplay
            The display.

        Raises
        ------
        InvalidParameterError
            If `X` has another length than what the classifier was fitted on.
        """
        check_is_fitted(estimator, "student_")
        texts, teacher = as_texts(X), estimator.teacher_proba_
        if len(texts) != len(teacher):
            raise InvalidParameterError(
                f"`X` must be the {len(teacher)} texts the classifier was fitted on; "
                f"got {len(texts)}."
            )
        student = estimator.predict_proba(texts)
        labelled = ~nan_rows(teacher)
        teacher, student = teacher[labelled], student[labelled]
        display = cls(
            teacher.max(axis=1),
            normalised_entropy(student),
            estimator.times_selected_[labelled],
            teacher.argmax(axis=1) != student.argmax(axis=1),
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> ConfidenceUncertaintyDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ConfidenceUncertaintyDisplay
            The display itself.
        """
        ax = _axes(ax)
        order = np.argsort(self.times_selected, kind="stable")
        points = ax.scatter(
            self.teacher_confidence[order],
            self.student_uncertainty[order],
            c=self.times_selected[order],
            s=14,
            cmap="viridis",
            linewidths=0,
        )
        ax.scatter(
            self.teacher_confidence[self.disagree],
            self.student_uncertainty[self.disagree],
            s=42,
            facecolors="none",
            edgecolors="tab:red",
            linewidths=0.8,
            label=f"student disagrees ({int(self.disagree.sum())})",
        )
        ax.figure.colorbar(points, ax=ax, label="times selected")
        ax.set(xlabel="teacher confidence", ylabel="student uncertainty after training")
        ax.set_title("What was selected", fontsize="medium")
        ax.legend(fontsize="small", loc="upper right", framealpha=0.9)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _axes(ax: Any) -> Any:
    """Return the axes given, or those of a new figure."""
    if ax is not None:
        return ax
    pyplot = optional_import("matplotlib.pyplot", "plot")
    return pyplot.subplots(layout="constrained")[1]


def _running_mean(values: FloatArray, width: int) -> FloatArray:
    """Return the mean of the last `width` values at each place."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - width, 0)
    mean: FloatArray = (total[end] - total[begin]) / (end - begin)
    return mean


def _draw_thresholds(
    ax: Any, thresholds: Any, classes: npt.NDArray[Any], style: str, whose: str
) -> None:
    """Draw a line for each class, or a band where there are many."""
    if thresholds is None:
        return
    steps = np.arange(len(thresholds))
    if len(classes) > _MAX_LINES:
        low, high = np.nanmin(thresholds, axis=1), np.nanmax(thresholds, axis=1)
        color = "tab:blue" if whose == "teacher" else "tab:orange"
        ax.fill_between(steps, low, high, color=color, alpha=0.4, label=whose)
        return
    for k, name in enumerate(classes):
        label = str(name) if whose == "teacher" else None
        ax.plot(steps, thresholds[:, k], style, color=f"C{k}", linewidth=1, label=label)
