"""Pictures of a fitted classifier, in the manner of scikit-learn's displays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from skllkd._core.arrays import BoolArray, FloatArray, nan_rows
from skllkd._core.params import optional_import
from skllkd._core.tags import gold_tags
from skllkd._fitted import fitted_state
from skllkd.exceptions import InvalidParameterError
from skllkd.selection.per_class import answers
from skllkd.selection.uncertainty import normalised_entropy

#: Number of classes whose thresholds are drawn apart; more are drawn as a band.
_MAX_LINES = 8


class _Display(ABC):
    """Interface of the displays."""

    ax_: Any
    figure_: Any
    _legend_at: ClassVar[str] = "upper right"

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; a new figure by default.

        Returns
        -------
        Self
            The display itself.
        """
        if ax is None:
            pyplot = optional_import("matplotlib.pyplot", "plot")
            ax = pyplot.subplots(layout="constrained")[1]
        self._draw(ax)
        ax.title.set_fontsize("medium")
        ax.legend(fontsize="small", loc=self._legend_at, framealpha=0.9)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @abstractmethod
    def _draw(self, ax: Any) -> None:
        """Draw on axes."""

    @abstractmethod
    def to_frame(self) -> Any:
        """Return the drawn values as a table.

        Returns
        -------
        pandas.DataFrame
            A row a step, a text, or a curve and bin.
        """


@dataclass(eq=False, repr=False)
class SelectionDisplay(_Display):
    """Share of texts selected, and the thresholds, over the steps of training.

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
        The axes of the last `plot`.
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

    share_selected: FloatArray
    teacher_thresholds: npt.NDArray[np.floating[Any]] | None
    student_thresholds: npt.NDArray[np.floating[Any]] | None
    classes: npt.NDArray[Any]

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the selection of a fitted classifier.

        Of several classes a text, the thresholds are those of the texts with the class.

        Parameters
        ----------
        estimator : LLKDClassifier
            The fitted classifier.
        ax : matplotlib Axes, optional
            The axes to draw on; a new figure by default.

        Returns
        -------
        SelectionDisplay
            The display.
        """
        state = fitted_state(estimator)
        learned, history = state.attributes(), state.history
        teacher, student = (
            learned.get(f"{of}_thresholds_") for of in ("teacher", "student")
        )
        if state.multilabel and teacher is not None and student is not None:
            teacher, student = teacher[:, :, 1], student[:, :, 1]
        share_selected = history["n_selected"] / history["n_presented"]
        display = cls(share_selected, teacher, student, state.classes)
        return display.plot(ax=ax)

    @override
    def _draw(self, ax: Any) -> None:
        steps = np.arange(len(self.share_selected))
        ax.plot(steps, self.share_selected, color="0.8", linewidth=0.8)
        smooth = _running_mean(self.share_selected, max(1, len(steps) // 25))
        ax.plot(steps, smooth, color="0.3", linewidth=1.5, label="share selected")
        _draw_thresholds(ax, self.teacher_thresholds, self.classes, "-", "teacher")
        _draw_thresholds(ax, self.student_thresholds, self.classes, ":", "student")
        title, label = "Share of the texts presented that was selected", "share"
        if self.teacher_thresholds is not None:
            title = "Selected, and thresholds: teacher confidence —, student ···"
            label = "share, threshold"
        ax.set(xlabel="step", ylabel=label, ylim=(0, 1.02), title=title)

    @override
    def to_frame(self) -> Any:
        pandas = optional_import("pandas", "plot")
        frame = pandas.DataFrame({"share_selected": self.share_selected})
        for whose in ("teacher", "student"):
            thresholds = getattr(self, f"{whose}_thresholds")
            if thresholds is not None:
                for k, name in enumerate(self.classes):
                    frame[f"{whose}_threshold[{name}]"] = thresholds[:, k]
        return frame


@dataclass(eq=False, repr=False)
class ConfidenceUncertaintyDisplay(_Display):
    """The map of teacher confidence against student uncertainty.

    Parameters
    ----------
    teacher_confidence : ndarray of shape (n_texts,)
        The largest probability of the teacher's distribution.
    student_uncertainty : ndarray of shape (n_texts,)
        The entropy of the fitted student's distribution over log(n_classes), in
        [0, 1].
    times_selected : ndarray of shape (n_texts,), int
        Number of steps at which each text was selected.
    disagree : ndarray of shape (n_texts,), bool
        Where the student predicts another class than the teacher.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last `plot`.
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

    teacher_confidence: FloatArray
    student_uncertainty: FloatArray
    times_selected: npt.NDArray[np.integer[Any]]
    disagree: BoolArray

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, *, ax: Any = None) -> Self:
        """Draw the pool a classifier was fitted on.

        Of several classes a text, there is a point for each text and class.

        Parameters
        ----------
        estimator : LLKDClassifier
            The fitted classifier.
        X : sequence of str of shape (n_texts,)
            The texts it was fitted on; the student answers for them once more.
        ax : matplotlib Axes, optional
            The axes to draw on; a new figure by default.

        Returns
        -------
        ConfidenceUncertaintyDisplay
            The display.

        Raises
        ------
        InvalidParameterError
            If `X` is not what the classifier was fitted on.
        """
        state = fitted_state(estimator)
        teacher = state.teacher_proba
        if not state.is_pool(X):
            raise InvalidParameterError(
                f"`X` must be the {len(teacher)} texts the classifier was fitted on, in "
                "their order; got others."
            )
        student = estimator.predict_proba(X)
        labelled = ~nan_rows(teacher)
        teacher, student = teacher[labelled], student[labelled]
        times_selected = state.times_selected[labelled]
        if state.multilabel:
            disagree = (teacher >= 0.5) != (student >= state.thresholds)
            teacher, student = answers(teacher.ravel()), answers(student.ravel())
        else:
            disagree = teacher.argmax(axis=1) != student.argmax(axis=1)
        display = cls(
            teacher.max(axis=1),
            normalised_entropy(student),
            times_selected.ravel(),
            disagree.ravel(),
        )
        return display.plot(ax=ax)

    @override
    def to_frame(self) -> Any:
        pandas = optional_import("pandas", "plot")
        return pandas.DataFrame({f.name: getattr(self, f.name) for f in fields(self)})

    @override
    def _draw(self, ax: Any) -> None:
        at = np.column_stack([self.teacher_confidence, self.student_uncertainty])
        order = np.argsort(self.times_selected, kind="stable")
        times = self.times_selected[order]
        points = ax.scatter(*at[order].T, c=times, s=14, cmap="viridis", linewidths=0)
        label = f"student disagrees ({int(self.disagree.sum())})"
        ring = {"facecolors": "none", "edgecolors": "tab:red", "linewidths": 0.8}
        ax.scatter(*at[self.disagree].T, s=42, label=label, **ring)
        ax.figure.colorbar(points, ax=ax, label="times selected")
        ax.set(xlabel="teacher confidence", ylabel="student uncertainty after training")
        ax.set_title("What was selected")


@dataclass(eq=False, repr=False)
class ReliabilityDisplay(_Display):
    """Reliability of confidence: accuracy against confidence, with gold labels.

    Parameters
    ----------
    curves : dict of str to (ndarray, ndarray)
        For each of "teacher, raw", "teacher, calibrated" and "student": the
        confidence of each text, in [0, 1], and whether it was right.
    n_bins : int, default=10
        The number of bins of about equal counts; equal confidences share a bin.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last `plot`.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    ConfidenceUncertaintyDisplay : The map of what was selected.

    Notes
    -----
    The expected calibration error in the legend is the mean distance of accuracy and
    confidence over the bins. Under some 300 texts it is mostly noise.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd import ReliabilityDisplay
    >>> confidence = np.array([0.6, 0.7, 0.9, 0.9])
    >>> right = np.array([False, True, True, True])
    >>> display = ReliabilityDisplay({"student": (confidence, right)}, n_bins=2)
    >>> display.to_frame()[["confidence", "accuracy"]].round(2).values.tolist()
    [[0.65, 0.5], [0.9, 1.0]]
    """

    curves: dict[str, tuple[FloatArray, BoolArray]]
    n_bins: int = 10
    _legend_at = "upper left"

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, n_bins: int = 10, ax: Any = None
    ) -> Self:
        """Draw the confidence of a classifier and its teacher against gold labels.

        Of several classes a text, it is the probability of each class against the share
        of the texts that have it.

        Parameters
        ----------
        estimator : LLKDClassifier
            The fitted classifier.
        X : sequence of str of shape (n_texts,)
            The texts `fit` was given, or others, which the teacher is asked about.
        y : array-like of shape (n_texts,)
            Their gold labels.
        n_bins : int, default=10
            The number of bins of about equal counts; equal confidences share a bin.
        ax : matplotlib Axes, optional
            The axes to draw on; a new figure by default.

        Returns
        -------
        ReliabilityDisplay
            The display.
        """
        state = fitted_state(estimator)
        student = estimator.predict_proba(X)
        calibrated = estimator.known_teacher_proba(X)
        known = ~nan_rows(calibrated)
        if state.multilabel:
            gold = gold_tags(y, state.classes.tolist())[known]
        else:
            gold = np.asarray(y)[known]
        raw = state.uncalibrated(calibrated)
        named = {} if raw is None else {"teacher, raw": raw[known]}
        named |= {"teacher, calibrated": calibrated[known], "student": student[known]}
        if state.multilabel:
            has = gold.ravel() == 1
            curves = {name: (proba.ravel(), has) for name, proba in named.items()}
        else:
            curves = {
                name: (proba.max(axis=1), state.classes[proba.argmax(axis=1)] == gold)
                for name, proba in named.items()
            }
        return cls(curves, n_bins).plot(ax=ax)

    @override
    def to_frame(self) -> Any:
        pandas = optional_import("pandas", "plot")
        frames = [
            pandas.DataFrame({"curve": name, **self._bins(*curve)})
            for name, curve in self.curves.items()
        ]
        return pandas.concat(frames, ignore_index=True)

    def _bins(self, confidence: FloatArray, right: BoolArray) -> dict[str, Any]:
        """Return mean confidence, accuracy and number of texts of each bin."""
        from sklearn.calibration import calibration_curve  # slow to import

        confidence = np.minimum(confidence, 1.0)  # sums of probabilities are rounded
        accuracy, mean_confidence = calibration_curve(
            right, confidence, n_bins=self.n_bins, strategy="quantile"
        )
        edges = np.percentile(confidence, np.linspace(0, 100, self.n_bins + 1))
        n_texts = np.bincount(np.searchsorted(edges[1:-1], confidence))
        return {
            "confidence": mean_confidence,
            "accuracy": accuracy,
            "n_texts": n_texts[n_texts > 0],
        }

    def calibration_error(self, name: str) -> float:
        """Return the expected calibration error of a curve.

        Parameters
        ----------
        name : str
            The curve.

        Returns
        -------
        float
            The mean distance of accuracy and confidence, in [0, 1].
        """
        bins = self._bins(*self.curves[name])
        distance = np.abs(bins["accuracy"] - bins["confidence"])
        return float(np.average(distance, weights=bins["n_texts"]))

    @override
    def _draw(self, ax: Any) -> None:
        ax.plot([0, 1], [0, 1], ":", color="0.6", linewidth=1)
        for name, curve in self.curves.items():
            bins = self._bins(*curve)
            label = f"{name} (calibration error {self.calibration_error(name):.2f})"
            line = bins["confidence"], bins["accuracy"]
            ax.plot(*line, "o-", markersize=4, label=label)
        ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
        ax.set_title("Reliability")


def _running_mean(values: FloatArray, width: int) -> FloatArray:
    """Return the mean of the last `width` values at each index."""
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
