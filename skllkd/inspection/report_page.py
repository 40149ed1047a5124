"""A report as one HTML file with its pictures, to be read and passed on."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Any

from skllkd.inspection.agreement import Agreement
from skllkd.inspection.pictures import report_pictures
from skllkd.inspection.report import Report

#: Number of rows that a table shows at most.
_MOST_ROWS = 500

_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border-bottom: 1px solid #ddd; padding: .3em .8em; text-align: left; }
td { vertical-align: top; overflow-wrap: anywhere; }
img { max-width: 100%; }
.verdict { white-space: pre-line; background: #f3f3f3; padding: 1em; }
"""


def report_page(classifier: Any, X: Any, report: Report) -> str:
    """Return a report as an HTML page that needs no other file.

    `X` are the texts it is about. Texts and names are escaped.
    """
    parts = [
        "<h1>Report of a text classifier</h1>",
        *_verdict(report),
        *_agreement(report),
        *_table("Classes confused the most", *_confusions(report)),
        *_table("Label issues: both are sure, and disagree", *_label_issues(report)),
        *_table("Labels changed before training", *_changed_labels(report)),
        *_pictures(report_pictures(classifier, X)),
        f"<h2>All figures</h2><pre>{html.escape(str(report))}</pre>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Report</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _verdict(report: Report) -> list[str]:
    """Return the verdict, if there is one."""
    if report.verdict is None:
        return []
    return [f"<p class='verdict'>{html.escape(str(report.verdict))}</p>"]


def _agreement(report: Report) -> list[str]:
    """Return the table of the agreement with the teacher."""
    if not report.overall.n_texts:
        return []
    where = "the texts of fit" if report.is_pool else "these texts"
    rows = [(row.name, *_shares(row)) for row in (report.overall, *report.per_class)]
    if report.held_out is not None:
        rows.append(("held out, a quick student", *_shares(report.held_out)))
    head = ("", "agreement", "95 % interval", "texts")
    return _table(f"Agreement with the teacher on {where}", head, rows)


def _shares(row: Agreement) -> tuple[str, str, str]:
    """Return the cells of an agreement."""
    return f"{row.share:.1%}", f"{row.low:.1%} to {row.high:.1%}", f"{row.n_texts:,}"


def _confusions(report: Report) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Return head and rows of the table of confused classes."""
    rows = [
        (c.teacher, c.student, f"{c.n_texts:,}", f"{c.share:.0%}")
        for c in report.confusions
    ]
    return ("teacher", "taken for", "texts", "of the class"), rows


def _label_issues(report: Report) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Return head and rows of the table of label issues."""
    rows = [
        (issue.row, issue.teacher, issue.student, f"{issue.confidence:.2f}", issue.text)
        for issue in report.label_issues
    ]
    return ("row", "teacher", "student", "confidence", "text"), rows


def _changed_labels(report: Report) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Return head and rows of the table of labels that the refinement changed."""
    rows = [
        (label.row, label.teacher, label.refined, f"{label.confidence:.2f}", label.text)
        for label in report.changed_labels
    ]
    return ("row", "teacher", "refined", "confidence", "text"), rows


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return a table with its title; nothing for no rows."""
    if not rows:
        return []
    left_out = len(rows) - _MOST_ROWS
    body = "\n".join(_line("td", row) for row in rows[:_MOST_ROWS])
    return [
        f"<h2>{html.escape(title)}</h2>",
        f"<table>\n{_line('th', head)}\n{body}\n</table>",
        *([f"<p>{left_out:,} more are left out here.</p>"] if left_out > 0 else []),
    ]


def _line(tag: str, cells: Iterable[Any]) -> str:
    """Return a row of a table; its cells are escaped."""
    inner = "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"


def _pictures(pictures: dict[str, bytes]) -> list[str]:
    """Return the pictures, each within the page."""
    return [
        f"<h2>{html.escape(title)}</h2>"
        f"<img alt='{html.escape(title)}' "
        f"src='data:image/png;base64,{base64.b64encode(content).decode()}'>"
        for title, content in pictures.items()
    ]
