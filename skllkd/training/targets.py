"""Turn teacher answers or user labels into training targets."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, FloatArray, IntArray, is_missing
from skllkd._core.classes import Classes, Multilabel, as_classes
from skllkd._core.labels import label_entries
from skllkd._core.params import shown
from skllkd._core.tags import as_indicator, holds_tags, tag_names
from skllkd._core.texts import column_entries, is_blank
from skllkd.exceptions import InvalidParameterError, MissingLabelWarning
from skllkd.teachers import TeacherLabels
from skllkd.teachers.outputs import log_prob_of_output
from skllkd.teachers.wrapping import as_teacher

#: What becomes of texts without a label, by the argument that lacks it.
_CONSEQUENCE = {
    "y": "They take no part in training.",
    "teacher_proba": "They take part in training only with the labels that `refine` "
    "gives them.",
}


def label_pool(
    texts: Any,
    y: Any,
    teacher_proba: Any,
    teacher: Any,
    classes: Any,
    class_bias: FloatArray | None,
    verbose: int,
) -> tuple[TeacherLabels, Classes]:
    """Return the distributions given, else the teacher's labels, else those in `y`."""
    if teacher_proba is not None:
        return _labels_in_proba(texts, teacher_proba, classes)
    if teacher is None:
        return _labels_in_y(texts, y, classes)
    named, teacher = as_classes(classes), as_teacher(teacher)
    labels = teacher.label(texts, named, class_bias=class_bias, verbose=verbose)
    return labels, named


def holds_codes(y: Any, classes: Classes) -> bool:
    """Return whether `y`, beside a teacher, holds the numbers of the sorted classes.

    Votes and stacks encode labels so, and combine predictions that are encoded too.
    """
    if y is None or classes.multilabel or getattr(y, "ndim", 1) != 1:
        return False
    try:
        labels = {label for label in column_entries(y, "y") if not is_missing(label)}
    except TypeError:  # several labels a text
        return False
    if not labels or labels & {*classes.names}:
        return False
    if labels == {*range(len(classes))}:
        return True
    raise InvalidParameterError(
        f"`y` holds {shown(sorted(labels, key=str))}, none of the classes "
        f"{shown(list(classes.names), 100)}. Beside a teacher it is not learned from: a "
        "meta-estimator that gives each copy other labels, such as OneVsRestClassifier, "
        "needs teacher=None. The classifier itself tells any number of classes apart."
    )


def _labels_in_y(texts: Any, y: Any, classes: Any) -> tuple[TeacherLabels, Classes]:
    """Return the user's labels as those of a teacher, and their classes.

    `y` holds a label for each text, or several; None, NaN or NA where there is none.
    Classes of None are those in `y`. Warns of texts without a label.
    """
    if y is None:
        raise InvalidParameterError(
            "without a `teacher` the classifier requires y to be passed, but the target "
            "y is None. Set teacher=..., or call fit(X, y) with labels bought elsewhere."
        )
    if as_classes(classes).multilabel if classes is not None else holds_tags(y):
        return _tags_in_y(texts, y, classes)
    given = label_entries(y, "y")
    if len(given) != len(texts):
        raise InvalidParameterError(
            f"`y` must hold one label a text; got {len(given)} for {len(texts)} texts."
        )
    is_blank_row = blank_rows(texts)
    pairs = zip(is_blank_row, given, strict=True)
    given = [None if is_empty else label for is_empty, label in pairs]
    named = as_classes(_distinct(given) if classes is None else classes)
    _check_known(given, named)
    log_prob = log_prob_of_output(given, len(texts), named)
    return _known_labels(named, log_prob, is_blank_row, "y"), named


def _tags_in_y(texts: Any, y: Any, classes: Any) -> tuple[TeacherLabels, Classes]:
    """Return the user's labels, several a text, as those of a teacher."""
    given = Multilabel(tag_names(y, "y")) if classes is None else classes
    named = as_classes(given)
    indicator = as_indicator(y, named, "y")
    if len(indicator) != len(texts):
        raise InvalidParameterError(
            f"`y` must hold the labels of each text; got {len(indicator)} rows for "
            f"{len(texts)} texts."
        )
    is_blank_row = blank_rows(texts)
    indicator[is_blank_row] = np.nan
    with np.errstate(divide="ignore"):
        log_prob = np.log(indicator)
    return _known_labels(named, log_prob, is_blank_row, "y"), named


def _labels_in_proba(
    texts: Any, teacher_proba: Any, classes: Any
) -> tuple[TeacherLabels, Classes]:
    """Return the user's distributions as labels of a teacher, and their classes.

    `teacher_proba` has columns as `classes`, and rows of NaN where there is no label.
    Warns of texts without a label.
    """
    named = as_classes(classes)
    log_prob = log_prob_of_output(teacher_proba, len(texts), named)
    is_blank_row = blank_rows(texts)
    log_prob[is_blank_row] = np.nan
    return _known_labels(named, log_prob, is_blank_row, "teacher_proba"), named


def _known_labels(
    classes: Classes, log_prob: FloatArray, is_blank_row: BoolArray, name: str
) -> TeacherLabels:
    """Return labels without a label mass; warn if some are missing in `name`."""
    labels = TeacherLabels(
        classes=classes.names,
        log_prob=log_prob,
        label_mass=np.broadcast_to(np.nan, len(log_prob)),
        n_blank=int(is_blank_row.sum()),
        multilabel=classes.multilabel,
    )
    n_missing = int(labels.missing.sum())
    if n_missing:
        warnings.warn(
            f"{n_missing} of {len(labels)} texts have no label ({labels.n_blank} empty "
            f"or white space, {n_missing - labels.n_blank} without one in `{name}`). "
            f"{_CONSEQUENCE[name]}",
            MissingLabelWarning,
            stacklevel=8 if name == "y" and classes.multilabel else 7,
        )
    return labels


def take(texts: Any, rows: IntArray) -> Any:
    """Return some of the texts, or rows of an array; no copy if it is all of them."""
    if len(rows) == len(texts):
        return texts
    if isinstance(texts, np.ndarray):
        return texts[rows]
    return [texts[row] for row in rows]


def blank_rows(texts: Any) -> BoolArray:
    """Return a mask of empty and white-space texts; rows of numbers are never blank."""
    if isinstance(texts, np.ndarray):
        return np.zeros(len(texts), dtype=bool)
    return np.array([is_blank(text) for text in texts])


def _distinct(labels: list[Any]) -> list[Any]:
    """Return the class names among labels, sorted."""
    distinct = {label for label in labels if label is not None}
    if len(distinct) < 2:
        raise InvalidParameterError(
            f"`y` must hold at least 2 classes; got {len(distinct)} class: "
            f"{list(distinct)!r}."
        )
    return sorted(distinct)


def _check_known(labels: list[Any], classes: Classes) -> None:
    """Raise for the first label in `y` that is no class."""
    for row, label in enumerate(labels):
        if label is not None and label not in classes.names:
            raise InvalidParameterError(
                f"`y` must hold labels in the classes {shown(list(classes.names), 100)}; "
                f"got {shown(label)} ({type(label).__name__}) at row {row}."
            )
