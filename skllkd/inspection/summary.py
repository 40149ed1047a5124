"""Summary of a fitted classifier for a notebook."""

from __future__ import annotations

import html

import numpy as np

from skllkd._fitted import FittedState
from skllkd.inspection.verdict import verdict_of
from skllkd.refinement.gold import GOLD_WORDS


def summary_html(state: FittedState) -> str:
    """Return a fitted classifier's summary for a notebook, as an HTML table."""
    names = state.classes.tolist()
    is_selected = state.times_selected.reshape(len(state.times_selected), -1).any(
        axis=1
    )
    measure = "micro-F1, " if state.multilabel else ""
    shown = ", ".join(map(str, names[:12])) + (", ..." if len(names) > 12 else "")
    rows = {
        f"{len(names)} classes": shown,
        "teacher calls": f"{state.n_teacher_calls:,} made, "
        f"{state.n_teacher_calls_saved:,} saved",
        "selected": f"{state.share_selected:.1%} of what was presented, "
        f"{np.mean(is_selected):.1%} of the texts at least once",
        "agreement with the teacher": f"{state.agreement:.1%} "
        f"({measure}on a sample of the texts it was fitted on)",
    }
    if state.thresholds is not None:
        pairs = zip(names[:12], state.thresholds, strict=False)
        rows["thresholds"] = ", ".join(f"{name} {value:.2f}" for name, value in pairs)
    if state.refinement is not None:
        record = state.refinement
        rows["refinement"] = f"{record.summary}; {record.sources_in_words}"
    if state.gold_accuracy:
        rows["accuracy on gold labels"] = "; ".join(
            f"{GOLD_WORDS[name]}: {found}"
            for name, found in state.gold_accuracy.items()
        )
    verdict = verdict_of(state)
    if verdict is not None:
        rows["verdict"] = str(verdict).removeprefix("Verdict: ")
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        "<td style='text-align:left;white-space:pre-line'>"
        f"{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table class='skllkd-summary'>{cells}</table>"
