"""Picture of a cascade's threshold: texts answered against answers that are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted
from typing_extensions import override

from skllkd._core.params import optional_import
from skllkd.inspection.displays import _Display
from skllkd.serving.coverage import CoverageCurve


@dataclass(eq=False, repr=False)
class CoverageDisplay(_Display):
    """Share of the texts the student answers, against the share of answers right.

    Parameters
    ----------
    curve : CoverageCurve
        The held-out answers above each threshold.
    metric : {"agreement", "accuracy"}, default="agreement"
        The meaning of a right answer.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last `plot`.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    CascadeClassifier : Chooses the threshold.

    Notes
    -----
    Left of the first threshold that could be chosen the bound is low, because few texts
    prove little. Each point of the bound holds alone; the one chosen holds although many
    were looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd import CoverageDisplay
    >>> from skllkd.serving.coverage import coverage_curve
    >>> confidence = np.linspace(0.5, 1, 400)
    >>> curve = coverage_curve(confidence, confidence > 0.6, target=0.9, confidence=0.95)
    >>> CoverageDisplay(curve).plot().ax_.get_xlabel()
    'share of the texts answered by the student'
    """

    curve: CoverageCurve
    metric: str = "agreement"
    _legend_at = "lower left"

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the threshold of a fitted cascade.

        Parameters
        ----------
        estimator : CascadeClassifier
            The fitted cascade.
        ax : matplotlib Axes, optional
            The axes to draw on; a new figure by default.

        Returns
        -------
        CoverageDisplay
            The display.
        """
        check_is_fitted(estimator, "curve_")
        return cls(estimator.curve_, estimator.metric).plot(ax=ax)

    @override
    def _draw(self, ax: Any) -> None:
        curve = self.curve
        held_out = f"held out ({curve.n_texts:,} texts)"
        ax.plot(curve.coverage, curve.share_right, color="C0", label=held_out)
        bound = f"lower bound, {100 * curve.confidence:.4g} %"
        style = {"color": "C0", "linewidth": 0.9, "linestyle": "--"}
        ax.plot(curve.coverage, curve.lower_bound, label=bound, **style)
        ax.axhline(curve.target, color="0.5", linewidth=0.9, linestyle=":")
        title = "No threshold reaches the target"
        if curve.chosen is not None:
            at = curve.chosen_coverage, curve.share_right[curve.chosen]
            label = f"chosen: confidence {curve.chosen_threshold:.3f}"
            ax.plot(*at, "o", color="C3", label=label)
            ax.axvspan(0, at[0], color="C3", alpha=0.06, linewidth=0)
            title = f"{at[0]:.0%} of the teacher's calls saved".replace("%", " %")
        low = min(curve.target, float(curve.share_right.min(initial=1)))
        ax.set(xlim=(0, 1.01), ylim=(max(0.0, low - 0.1), 1.01), title=title)
        ax.set(xlabel="share of the texts answered by the student", ylabel=self.metric)

    @override
    def to_frame(self) -> Any:
        pandas = optional_import("pandas", "plot")
        curve = self.curve
        names = ("threshold", "coverage", "n_answered", "share_right", "lower_bound")
        frame = pandas.DataFrame({name: getattr(curve, name) for name in names})
        frame["chosen"] = np.arange(len(frame)) == curve.chosen
        return frame
