"""Picture and table of the labels that a refinement changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from typing_extensions import override

from skllkd._core.params import optional_import
from skllkd._core.tags import names_of
from skllkd._fitted import FittedState, fitted_state
from skllkd.exceptions import InvalidParameterError
from skllkd.inspection.displays import _Display
from skllkd.refinement.record import RefinementRecord

#: Number of classes that are drawn, those with the most changes.
_MAX_CLASSES = 20


@dataclass(frozen=True)
class ChangedLabel:
    """A text whose label a refinement changed.

    Parameters
    ----------
    row : int
        The text's row in `fit`.
    text : object
        The text, or the row of numbers.
    teacher, refined : object
        The teacher's class and the one that took its place; tuples of several classes.
    confidence : float
        The probability of the refined label, in [0, 1].

    Examples
    --------
    >>> from skllkd.inspection.refinement_display import ChangedLabel
    >>> print(ChangedLabel(3, "shares fell after the match", "sports", "business", 0.9))
    sports -> business: shares fell after the match
    """

    row: int
    text: Any
    teacher: Any
    refined: Any
    confidence: float

    def __str__(self) -> str:
        """Return labels and text in one line."""
        text = " ".join(str(self.text).split())
        shown = text if len(text) <= 90 else f"{text[:87]}..."
        return f"{self.teacher} -> {self.refined}: {shown}"


def changed_labels(state: FittedState, texts: Any) -> list[ChangedLabel]:
    """List the labels that were changed, the surest first, with the texts of `fit`."""
    record, proba = state.refinement, state.refined_proba
    if record is None or proba is None:
        return []
    rows, names = record.changed, state.classes.tolist()
    if state.multilabel:
        has, had = proba[rows] >= 0.5, state.teacher_proba[rows] >= 0.5
        refined = names_of(has, names).tolist()
        change = np.where(has != had, np.maximum(proba[rows], 1 - proba[rows]), 0)
        confidence = change.max(axis=1, initial=0)
    else:
        refined = [names[k] for k in proba[rows].argmax(axis=1)]
        confidence = proba[rows].max(axis=1)
    return [
        ChangedLabel(int(row), texts[row], state.pseudo_labels[row], label, float(sure))
        for row, label, sure in zip(rows, refined, confidence, strict=True)
    ]


@dataclass(eq=False, repr=False)
class RefinementDisplay(_Display):
    """Labels changed by the refinement: how many of each class, and which texts.

    Parameters
    ----------
    record : RefinementRecord
        The record of the refinement.
    changed : list of ChangedLabel
        The changed labels, the surest first.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last `plot`.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    ReliabilityDisplay : Accuracy against confidence, with gold labels.

    Notes
    -----
    The first rows of `to_frame` are the first to read: where they are wrong, the
    evidence misleads.

    Examples
    --------
    >>> from skllkd import LLKDClassifier, RefinementDisplay
    >>> from skllkd.refinement import OutOfFold, Refinement, Rules
    >>> from skllkd.students import SklearnStudent
    >>> teams = [f"the team won match {i}" for i in range(20)]
    >>> votes = [f"parliament votes on law {i}" for i in range(20)]
    >>> def teacher(texts):  # sure of most texts, and wrong about a few
    ...     return [
    ...         [0.4, 0.6] if text.endswith("7") else [0.9, 0.1] if "team" in text
    ...         else [0.1, 0.9] for text in texts
    ...     ]
    >>> rules = Rules({"politics": lambda text: "law" in text})
    >>> clf = LLKDClassifier(
    ...     teacher, ["sports", "politics"], student=SklearnStudent(), random_state=0,
    ...     refine=Refinement((rules, OutOfFold())),
    ... ).fit(teams + votes)
    >>> display = RefinementDisplay.from_estimator(clf)
    >>> for label in display.changed:
    ...     print(label)
    politics -> sports: the team won match 7
    politics -> sports: the team won match 17
    """

    record: RefinementRecord
    changed: list[ChangedLabel]

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any = None, *, ax: Any = None) -> Self:
        """Draw the changes of a fitted classifier.

        Parameters
        ----------
        estimator : LLKDClassifier
            The fitted classifier.
        X : sequence of str of shape (n_texts,), optional
            The texts `fit` was given; needed by a classifier that was loaded.
        ax : matplotlib Axes, optional
            The axes to draw on; a new figure by default.

        Returns
        -------
        RefinementDisplay
            The display.

        Raises
        ------
        InvalidParameterError
            If the labels were not refined, or `X` are other texts.
        """
        state = fitted_state(estimator)
        if state.refinement is None:
            raise InvalidParameterError(
                "the labels of this classifier were not refined: it was fitted with "
                "`refine=None`, or with labels given as `y`."
            )
        texts = state.pool if X is None else X
        if texts is None or not state.is_pool(texts):
            raise InvalidParameterError(
                f"`X` must be the {len(state.teacher_proba)} texts the classifier was "
                "fitted on, in their order."
            )
        return cls(state.refinement, changed_labels(state, texts)).plot(ax=ax)

    @override
    def to_frame(self) -> Any:
        pandas = optional_import("pandas", "plot")
        names = ("row", "text", "teacher", "refined", "confidence")
        rows = [[getattr(label, name) for name in names] for label in self.changed]
        return pandas.DataFrame(rows, columns=names)

    @override
    def _draw(self, ax: Any) -> None:
        def moved(change: Any) -> int:
            return -int(change.n_left + change.n_came + change.n_new)

        rows = sorted(self.record.per_class, key=moved)[:_MAX_CLASSES][::-1]
        place = np.arange(len(rows))
        came, new, left = (
            np.array([getattr(row, name) for row in rows])
            for name in ("n_came", "n_new", "n_left")
        )
        ax.barh(place, came, color="tab:green", label="from another class")
        ax.barh(place, new, left=came, color="0.7", label="without a teacher's label")
        ax.barh(place, -left, color="tab:red", label="to another class")
        ax.axvline(0, color="0.3", linewidth=0.8)
        ax.set_yticks(place, [str(row.name) for row in rows])
        ax.set(xlabel="texts", title=f"Refinement: {self.record.summary}")
