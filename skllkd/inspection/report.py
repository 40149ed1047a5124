"""Report of a distilled classifier: its agreement with the teacher, and its costs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from skllkd._core.params import optional_import
from skllkd.inspection.agreement import Agreement
from skllkd.inspection.disagreements import Confusion, LabelIssue
from skllkd.inspection.refinement_display import ChangedLabel
from skllkd.inspection.tag_verdict import TagsVerdict
from skllkd.inspection.verdict import Verdict
from skllkd.refinement.gold import GOLD_WORDS, Accuracy
from skllkd.refinement.record import RefinementRecord

#: Number of texts and of pairs of classes that are printed.
_SHOWN = 5


@dataclass(frozen=True, repr=False)
class Report:
    """Agreement with the teacher, label issues, costs and speed of a classifier.

    Parameters
    ----------
    overall : Agreement
        The agreement with the teacher on all texts; of no text if nothing is known of
        the teacher's labels. Of several classes a text, student and teacher agree if
        they do on all classes.
    per_class : list of Agreement
        The agreement for each class of the teacher.
    is_pool : bool
        Whether the texts are those of `fit`. A student agrees more with the teacher on
        them than on others.
    held_out : Agreement or None
        The agreement of teacher and out-of-fold predictions on the texts of `fit`: each
        by a quick student that was trained on others. None if labels were not refined.
    predicted : dict of object to int
        The number of texts that the student gives each class.
    label_issues : list of LabelIssue
        Texts on which a student that is sure contradicts a teacher that is sure, the
        surest first: one of them is wrong, and often it is the teacher.
    confusions : list of Confusion
        The classes of the teacher that are taken for another, the most texts first: out
        of fold where that is known, or by the student.
    share_sure : float
        The share of the texts of which the teacher is sure, without which there is no
        label issue, in [0, 1].
    n_teacher_calls : int
        The number of texts sent to the teacher's model, by `fit` and for the report.
    n_teacher_calls_saved : int
        The number of texts of `fit` that needed no call.
    n_report_calls : int
        The number of the calls that were made for the report.
    share_selected : float
        The share of the texts presented in training that was selected, in [0, 1].
    model_bytes : int
        The size of the student.
    texts_per_second : float
        The speed of the student, measured on up to 256 of the texts.
    class_names : dict of str to Agreement
        The agreement with the "teacher" and with the "student" of no language model at
        all: the class whose name is the closest to the text, by the student's pretrained
        encoder, as `EmbeddingTeacher` finds it. Where it is close to 1, the teacher adds
        little. Empty where the student has no encoder.
    refinement : RefinementRecord or None
        The weights of the evidence and the labels it changed; None without.
    changed_labels : list of ChangedLabel
        The labels that the refinement changed, the surest first: those to read. Only of
        the texts of `fit`.
    gold_accuracy : dict of str to Accuracy
        The classifier's `gold_accuracy_`; empty without gold labels.
    verdict : Verdict, TagsVerdict or None
        The judgement of the classifier, with estimates of its accuracy, or of each tag
        where a text may have several classes; None if it learned labels without
        confidences and nothing else is known of them.
    micro_f1, macro_f1 : float or None
        The agreement with the teacher where a text may have several classes: the F1
        score of all texts and classes together, and the mean of those of the classes.

    Examples
    --------
    >>> from skllkd import LLKDClassifier
    >>> from skllkd.students import SklearnStudent
    >>> clf = LLKDClassifier(student=SklearnStudent(), random_state=0)
    >>> texts = ["a goal", "a match", "the vote", "the law"] * 4
    >>> clf = clf.fit(texts, ["sports", "sports", "politics", "politics"] * 4)
    >>> report = clf.report(texts)  # doctest: +ELLIPSIS
    Agreement with the teacher...
    >>> [row.name for row in report.per_class]
    ['politics', 'sports']
    >>> report.n_teacher_calls, report.share_selected <= 1
    (0, True)
    """

    overall: Agreement
    per_class: list[Agreement]
    is_pool: bool
    held_out: Agreement | None
    predicted: dict[Any, int]
    label_issues: list[LabelIssue]
    confusions: list[Confusion]
    share_sure: float
    n_teacher_calls: int
    n_teacher_calls_saved: int
    n_report_calls: int
    share_selected: float
    model_bytes: int
    texts_per_second: float
    class_names: dict[str, Agreement]
    refinement: RefinementRecord | None
    changed_labels: list[ChangedLabel]
    gold_accuracy: dict[str, Accuracy]
    verdict: Verdict | TagsVerdict | None
    micro_f1: float | None = None
    macro_f1: float | None = None

    def __repr__(self) -> str:
        """Return the report in one line: `report` has printed it already."""
        share, n_issues = self.overall.share, len(self.label_issues)
        return f"<Report: agreement {share:.3f}, {n_issues} label issues>"

    def __str__(self) -> str:
        """Return the report in words."""
        of_report = f" ({self.n_report_calls:,} of them for this report)"
        return "\n".join(
            [
                *self._agreement(),
                *self._confusions(),
                *self._label_issues(),
                f"Teacher calls: {self.n_teacher_calls:,} made"
                f"{of_report if self.n_report_calls else ''}, "
                f"{self.n_teacher_calls_saved:,} saved",
                f"Selected of what was presented: {self.share_selected:.1%}",
                f"Student: {self.model_bytes / 1e6:,.1f} MB, "
                f"{self.texts_per_second:,.0f} texts per second",
                *self._class_names(),
                *self._refinement(),
                *self._gold_accuracy(),
                *([] if self.verdict is None else [str(self.verdict)]),
            ]
        )

    def to_frame(self) -> Any:
        """Make a table of the label issues.

        Returns
        -------
        pandas.DataFrame
            A row an issue: `row`, `text`, `teacher`, `student` and `confidence`.
        """
        pandas = optional_import("pandas", "table")
        names = [field.name for field in fields(LabelIssue)]
        rows = [[getattr(issue, name) for name in names] for issue in self.label_issues]
        return pandas.DataFrame(rows, columns=names)

    def _agreement(self) -> list[str]:
        """Return the lines about the agreement, or about the predictions alone."""
        if not self.overall.n_texts:
            counts = ", ".join(f"{n:,} {name}" for name, n in self.predicted.items())
            return [
                "Agreement with the teacher: not known of these texts, without a teacher.",
                f"Predicted: {counts}",
            ]
        rows = [self.overall, *self.per_class]
        width = max(len(str(row.name)) for row in rows)
        where = "the texts it was fitted on" if self.is_pool else "these texts"
        lines = [f"Agreement with the teacher on {where}, and its 95 % interval:"]
        lines += [
            f"{row.name!s:<{width}}  {' ' * (row.share < 0.9995)}{row}" for row in rows
        ]
        if self.micro_f1 is not None:
            lines[1:1] = [f"micro-F1 {self.micro_f1:.3f}, macro-F1 {self.macro_f1:.3f}"]
        if self.held_out is not None:
            lines.append(f"On held-out texts, by a quick student: {self.held_out}")
        elif self.is_pool:
            lines.append(
                "It is lower on other texts: give `report` some, or hold texts out with "
                "early_stopping=True."
            )
        return lines

    def _confusions(self) -> list[str]:
        """Return the lines about the classes that are confused."""
        shown = self.confusions[:_SHOWN]
        return [
            *(["Classes confused the most:"] if shown else []),
            *(f"  {confusion}" for confusion in shown),
        ]

    def _label_issues(self) -> list[str]:
        """Return the lines about the label issues."""
        if not self.overall.n_texts:
            return []
        n_issues, shown = len(self.label_issues), self.label_issues[:_SHOWN]
        first = f"Label issues, where both are sure and disagree: {n_issues:,}"
        if not n_issues:
            first += f" (the teacher is sure of {self.share_sure:.0%} of the texts)"
        return [first, *(f"  {issue}" for issue in shown)]

    def _class_names(self) -> list[str]:
        """Return the line about the class names alone, if there is one."""
        shares = [
            f"{row.share:.1%} with the {of}" for of, row in self.class_names.items()
        ]
        return [f"Class names alone agree: {', '.join(shares)}"] if shares else []

    def _refinement(self) -> list[str]:
        """Return the lines about the refinement, if there was one."""
        if self.refinement is None:
            return []
        record, shown = self.refinement, self.changed_labels[:_SHOWN]
        return [
            f"Refinement: {record.summary} ({record.sources_in_words})",
            *(["Labels changed, the surest first:"] if shown else []),
            *(f"  {label}" for label in shown),
        ]

    def _gold_accuracy(self) -> list[str]:
        """Return the lines about the accuracy on gold labels, if there are any."""
        if not self.gold_accuracy:
            return []
        lines = [
            f"  {GOLD_WORDS[name]}: {found}"
            for name, found in self.gold_accuracy.items()
        ]
        return ["Accuracy on gold labels, each put aside to judge:", *lines]
