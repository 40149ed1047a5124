"""An evaluation as a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: Number of classes up to which the confusion matrix is written as a table.
_MOST_COLUMNS = 20


def evaluation_markdown(evaluation: Any) -> str:
    """Return an evaluation in Markdown."""
    low, high = evaluation.macro_f1_interval
    parts = [
        "# Evaluation",
        f"- Accuracy: {evaluation.accuracy}\n"
        f"- Macro-F1: {evaluation.macro_f1:.3f} [{low:.3f}, {high:.3f}]\n"
        f"- Expected calibration error: {evaluation.calibration_error:.3f}"
        f"{_cost(evaluation)}",
        "Intervals are of 95 %.",
        "## Against others",
        _rivals(evaluation),
        "## Classes",
        _classes(evaluation),
        *_confusion(evaluation),
        "## Accuracy of the most confident predictions",
        _coverage(evaluation),
    ]
    return "\n\n".join(parts) + "\n"


def _cost(evaluation: Any) -> str:
    """Return speed and size, where they were measured."""
    cost = evaluation.cost
    parts = []
    if "model_bytes" in cost:
        parts.append(f"{cost['model_bytes'] / 1e6:,.1f} MB")
    if "texts_per_second" in cost:
        parts.append(f"{cost['texts_per_second']:,.0f} texts per second")
    return f"\n- Student: {', '.join(parts)}" if parts else ""


def _rivals(evaluation: Any) -> str:
    """Return the table of the others that judged the same texts."""
    rows = []
    for rival in evaluation.rivals:
        cells = ["-", "-"]
        if rival.accuracy.n_texts:
            low, high = rival.lead_interval
            cells = [
                str(rival.accuracy),
                f"{rival.lead:+.1%} [{low:+.1%}, {high:+.1%}]",
            ]
        rows.append([rival.name, *cells])
    return _table(["", "accuracy", "lead of the classifier"], rows)


def _classes(evaluation: Any) -> str:
    """Return the table of the classes."""
    rows = [
        [
            scores.name,
            f"{scores.n_texts:,}",
            f"{scores.n_predicted:,}",
            _share(scores.precision, scores.precision_interval),
            _share(scores.recall, scores.recall_interval),
            _share(scores.f1),
        ]
        for scores in evaluation.per_class
    ]
    head = ["class", "texts", "predicted", "precision", "recall", "F1"]
    return _table(head, rows)


def _confusion(evaluation: Any) -> list[str]:
    """Return the confusion matrix, if it is not too wide."""
    if len(evaluation.classes) > _MOST_COLUMNS:
        return []
    rows = [
        [name, *map(str, row)]
        for name, row in zip(
            evaluation.classes, evaluation.confusion.tolist(), strict=True
        )
    ]
    return [
        "## Confusion\n\nRows are the classes of the texts, columns those predicted.",
        _table(["", *evaluation.classes], rows),
    ]


def _coverage(evaluation: Any) -> str:
    """Return the table of accuracy and coverage."""
    rows = [
        [f"{share:.0%}", f"{confidence:.2f}", f"{accuracy:.1%}"]
        for share, confidence, accuracy in evaluation.coverage
    ]
    return _table(["texts kept", "confidence from", "accuracy"], rows)


def _share(value: float, interval: tuple[float, float] | None = None) -> str:
    """Return a share with its interval; a dash where there is nothing to judge."""
    if value != value:
        return "-"
    return f"{value:.1%}" + (
        "" if interval is None else f" [{interval[0]:.1%}, {interval[1]:.1%}]"
    )


def _table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: Any) -> str:
    """Return a value as a table's cell shows it."""
    return str(value).replace("|", "\\|").replace("\n", " ")
