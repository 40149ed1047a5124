"""Pictures of reports and evaluations, as PNG files in memory."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np

from skllkd._core.params import optional_import
from skllkd._fitted import fitted_state
from skllkd.inspection.displays import (
    ConfidenceUncertaintyDisplay,
    ReliabilityDisplay,
    SelectionDisplay,
)
from skllkd.inspection.evaluation import Evaluation
from skllkd.inspection.refinement_display import RefinementDisplay

#: Number of classes up to which the cells of a confusion matrix show their numbers.
_NUMBERS = 20


def report_pictures(classifier: Any, X: Any) -> dict[str, bytes]:
    """Return the pictures of a fitted classifier by title, most of them of its own pool."""
    state = fitted_state(classifier)
    pictures = {
        "Selection in training": _png(
            lambda ax: SelectionDisplay.from_estimator(classifier, ax=ax)
        )
    }
    if not state.is_pool(X):
        return pictures
    pictures["Teacher and student on the texts of fit"] = _png(
        lambda ax: ConfidenceUncertaintyDisplay.from_estimator(classifier, X, ax=ax)
    )
    if state.refinement is not None:
        pictures["Labels changed before training"] = _png(
            lambda ax: RefinementDisplay.from_estimator(classifier, X, ax=ax)
        )
    return pictures


def evaluation_pictures(evaluation: Evaluation) -> dict[str, bytes]:
    """Return the pictures of an evaluation by name."""
    return {
        "confusion": _png(lambda ax: _draw_confusion(evaluation, ax)),
        "calibration": _png(
            lambda ax: ReliabilityDisplay(
                {"student": (evaluation.confidence, evaluation.is_right)}
            ).plot(ax=ax)
        ),
        "coverage": _png(lambda ax: _draw_coverage(evaluation, ax)),
    }


def _png(draw: Callable[[Any], Any]) -> bytes:
    """Draw on axes of a figure of its own, and return it as a PNG file."""
    figure = optional_import("matplotlib.figure", "plot").Figure(
        figsize=(6.4, 4.8), layout="constrained"
    )
    draw(figure.subplots())
    file = BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _draw_confusion(evaluation: Evaluation, ax: Any) -> None:
    """Draw the confusion matrix, rows as shares of their class."""
    from sklearn.metrics import ConfusionMatrixDisplay  # slow to import

    totals = evaluation.confusion.sum(axis=1, keepdims=True)
    shares = evaluation.confusion / np.maximum(1, totals)
    display = ConfusionMatrixDisplay(shares, display_labels=evaluation.classes)
    has_numbers = len(evaluation.classes) <= _NUMBERS
    display.plot(
        ax=ax,
        cmap="Blues",
        values_format=".2f",
        include_values=has_numbers,
        xticks_rotation="vertical",
    )
    ax.set_title("Share of each class that is predicted as each", fontsize="medium")


def _draw_coverage(evaluation: Evaluation, ax: Any) -> None:
    """Draw the accuracy on the most confident texts, over their share."""
    order = np.argsort(-evaluation.confidence, kind="stable")
    n_kept = np.arange(1, len(order) + 1)
    accuracy = np.cumsum(evaluation.is_right[order]) / n_kept
    ax.plot(n_kept / len(order), accuracy, color="tab:blue")
    ax.set(
        xlabel="share of the texts kept, the most confident first", ylabel="accuracy"
    )
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02))
    ax.set_title("Accuracy and coverage", fontsize="medium")
