"""Report of a distilled classifier: its agreement with the teacher, and its costs."""

from __future__ import annotations

import html
import pickle
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, nan_rows
from skllkd._core.intervals import wilson_interval
from skllkd._core.similarity import class_name_log_prob, class_texts
from skllkd._fitted import FittedState
from skllkd.exceptions import SavedModelError
from skllkd.inspection.refinement_display import ChangedLabel, changed_labels
from skllkd.refinement.record import RefinementRecord
from skllkd.students import Student
from skllkd.training.training_set import in_class_order

#: Probability from which student and teacher count as sure.
_SURE = 0.8
#: Number of changed labels that are printed.
_SHOWN_LABELS = 5
#: Number of texts predicted to measure the speed.
_TIMED_TEXTS = 256


@dataclass(frozen=True)
class Agreement:
    """Agreement of student and teacher on the texts of a class.

    Parameters
    ----------
    name : object
        The teacher's class, or "all classes".
    n_texts : int
        The number of texts the teacher gives it.
    share : float
        The share of them for which the student predicts the same, in [0, 1].
    low, high : float
        The 95 % Wilson interval of that share.

    Examples
    --------
    >>> import numpy as np
    >>> from skllkd.inspection.report import agreement_of
    >>> agreement_of("sports", np.array([True, True, True, False])).share
    0.75
    """

    name: Any
    n_texts: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, repr=False)
class Report:
    """Agreement with the teacher, label issues, costs and speed of a classifier.

    Parameters
    ----------
    overall : Agreement
        The agreement with the teacher on all texts.
    per_class : list of Agreement
        The agreement for each class of the teacher.
    label_issues : ndarray of shape (n_issues,), int
        Rows where a student that is sure contradicts a teacher that is sure, the
        surest first: one of them is wrong, and often it is the teacher.
    n_teacher_calls : int
        The number of texts sent to the teacher's model.
    n_teacher_calls_saved : int
        The number of texts that needed no call.
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
    label_issues: IntArray
    n_teacher_calls: int
    n_teacher_calls_saved: int
    share_selected: float
    model_bytes: int
    texts_per_second: float
    class_names: dict[str, Agreement]
    refinement: RefinementRecord | None
    changed_labels: list[ChangedLabel]

    def __repr__(self) -> str:
        """Return the report in one line: `report` has printed it already."""
        share, n_issues = self.overall.share, len(self.label_issues)
        return f"<Report: agreement {share:.3f}, {n_issues} label issues>"

    def __str__(self) -> str:
        """Return the report as a table."""
        rows = [self.overall, *self.per_class]
        width = max(len(str(row.name)) for row in rows)
        lines = [
            f"{row.name!s:<{width}}  {row.share:6.1%}  [{row.low:.1%}, {row.high:.1%}]"
            f"  of {row.n_texts:,} texts"
            for row in rows
        ]
        return "\n".join(
            [
                "Agreement with the teacher, and its 95 % interval:",
                *lines,
                "Label issues, where both are sure and disagree: "
                f"{len(self.label_issues):,}",
                f"Teacher calls: {self.n_teacher_calls:,} made, "
                f"{self.n_teacher_calls_saved:,} saved",
                f"Selected of what was presented: {self.share_selected:.1%}",
                f"Student: {self.model_bytes / 1e6:,.1f} MB, "
                f"{self.texts_per_second:,.0f} texts per second",
                *self._class_names(),
                *self._refinement(),
            ]
        )

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
        record, shown = self.refinement, self.changed_labels[:_SHOWN_LABELS]
        return [
            f"Refinement: {record.summary} ({record.sources_in_words})",
            *(["Labels changed, the surest first:"] if shown else []),
            *(f"  {label}" for label in shown),
        ]


def make_report(state: FittedState, X: Any, teacher_proba: FloatArray) -> Report:
    """Return the report of a fitted classifier on texts with teacher distributions."""
    known = np.flatnonzero(~nan_rows(teacher_proba))
    student_proba = state.student.predict_proba(X)[known]
    proba = teacher_proba[known]
    label, chosen = proba.argmax(axis=1), student_proba.argmax(axis=1)
    agrees = label == chosen

    sureness = np.minimum(proba.max(axis=1), student_proba.max(axis=1))
    contradictions = np.flatnonzero(~agrees & (sureness >= _SURE))
    order = np.argsort(-sureness[contradictions], kind="stable")
    some, timed = X[:_TIMED_TEXTS], state.student.without_cache()
    start = time.perf_counter()
    timed.predict_proba(some)
    seconds = time.perf_counter() - start
    return Report(
        overall=agreement_of("all classes", agrees),
        per_class=[
            agreement_of(name, agrees[label == k])
            for k, name in enumerate(state.classes.tolist())
        ],
        label_issues=known[contradictions[order]],
        n_teacher_calls=state.n_teacher_calls,
        n_teacher_calls_saved=state.n_teacher_calls_saved,
        share_selected=state.share_selected,
        model_bytes=student_bytes(state.student),
        texts_per_second=len(some) / seconds,
        class_names=_class_names_agreement(state, X, known, label, chosen),
        refinement=state.refinement,
        changed_labels=changed_labels(state, X) if state.is_pool(X) else [],
    )


def _class_names_agreement(
    state: FittedState, X: Any, known: IntArray, label: IntArray, chosen: IntArray
) -> dict[str, Agreement]:
    """Compare the class names alone with teacher and student, where there is an encoder."""
    if not state.student.takes_text or not len(known):
        return {}
    texts = [X[row] for row in known]
    try:
        features = state.student.embed([*texts, *class_texts(state.given_classes)])
    except SavedModelError:  # a student that was moved without what it came from
        return {}
    if features is None:
        return {}
    n = len(texts)
    log_prob = class_name_log_prob(features[:n], features[n:], 1.0)
    closest = in_class_order(log_prob, state.given_classes).argmax(axis=1)
    others = {"teacher": label, "student": chosen}
    return {
        name: agreement_of(name, closest == other) for name, other in others.items()
    }


def agreement_of(name: Any, agrees: BoolArray) -> Agreement:
    """Return the share of texts student and teacher agree on, with its interval."""
    n_texts, n_same = len(agrees), int(np.sum(agrees))
    share = n_same / n_texts if n_texts else float("nan")
    return Agreement(name, n_texts, share, *wilson_interval(n_same, n_texts))


def student_bytes(student: Student) -> int:
    """Return the bytes of a student's weights, or of its pickle if it has none."""
    weights = getattr(student, "weights_", None)
    if weights is None:
        return len(pickle.dumps(student))
    return sum(array.nbytes for array in weights.values())


def summary_html(state: FittedState) -> str:
    """Return a fitted classifier's summary for a notebook, as an HTML table."""
    names = state.classes.tolist()
    shown = ", ".join(map(str, names[:12])) + (", ..." if len(names) > 12 else "")
    rows = {
        f"{len(names)} classes": shown,
        "teacher calls": f"{state.n_teacher_calls:,} made, "
        f"{state.n_teacher_calls_saved:,} saved",
        "selected": f"{state.share_selected:.1%} of what was presented, "
        f"{np.mean(state.times_selected > 0):.1%} of the texts at least once",
        "agreement with the teacher": f"{state.agreement:.1%} "
        "(on a sample of the texts it was fitted on)",
    }
    if state.refinement is not None:
        record = state.refinement
        rows["refinement"] = f"{record.summary}; {record.sources_in_words}"
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table class='skllkd-summary'>{cells}</table>"
