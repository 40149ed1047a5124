"""An evaluation as a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: Number of classes up to which the confusion matrix is written as a table.
_MOST_COLUMNS = 20


def evaluation_markdown(evaluation: Any) -> str:
    """Return an evaluation in Markdown."""
    low, high = evaluation.macro_f1_interval
    is_right = "Accuracy" if evaluation.micro_f1 is None else "All classes right"
    parts = [
        "# Evaluation",
        f"- {is_right}: {evaluation.accuracy}\n"
        f"{_micro_f1(evaluation)}"
        f"- Macro-F1: {evaluation.macro_f1:.3f} [{low:.3f}, {high:.3f}]\n"
        f"- Expected calibration error: {evaluation.calibration_error:.3f}"
        f"{_cost(evaluation)}",
        "Intervals are of 95 %.",
        "## Against others",
        _rivals(evaluation),
        "## Classes",
        _classes(evaluation),
        *_confusion(evaluation),
        f"## {is_right} of the most confident predictions",
        _coverage(evaluation),
    ]
    return "\n\n".join(parts) + "\n"


def _micro_f1(evaluation: Any) -> str:
    """Return the line of micro-F1, where a text may have several classes."""
    if evaluation.micro_f1 is None:
        return ""
    low, high = evaluation.micro_f1_interval
    return f"- Micro-F1: {evaluation.micro_f1:.3f} [{low:.3f}, {high:.3f}]\n"


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
        f1 = [] if rival.micro_f1 is None else [f"{rival.micro_f1:.3f}"]
        rows.append([rival.name, *cells, *f1])
    if evaluation.micro_f1 is None:
        return _table(["", "accuracy", "lead of the classifier"], rows)
    return _table(["", "all classes right", "lead of the classifier", "micro-F1"], rows)


def _classes(evaluation: Any) -> str:
    """Return the table of the classes."""
    is_single = evaluation.micro_f1 is None
    rows = [
        [
            scores.name,
            f"{scores.n_texts:,}",
            f"{scores.n_predicted:,}",
            _share(scores.precision, scores.precision_interval),
            _share(scores.recall, scores.recall_interval),
            _share(scores.f1),
            *([] if is_single else [f"{scores.calibration_error:.3f}"]),
        ]
        for scores in evaluation.per_class
    ]
    head = ["class", "texts", "predicted", "precision", "recall", "F1"]
    head += [] if is_single else ["calibration error"]
    return _table(head, rows)


def _confusion(evaluation: Any) -> list[str]:
    """Return the confusion matrix, if it is not too wide and a text has one class."""
    if len(evaluation.classes) > _MOST_COLUMNS or evaluation.micro_f1 is not None:
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
