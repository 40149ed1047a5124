"""The labels of a pool: given, a teacher's, or the user's."""

from __future__ import annotations

from typing import Any

from skllkd._core.arrays import FloatArray
from skllkd._core.classes import Classes, as_classes
from skllkd.teachers import TeacherLabels
from skllkd.teachers.wrapping import as_teacher
from skllkd.training.targets import labels_in_proba, labels_in_y


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
        return labels_in_proba(texts, teacher_proba, classes)
    if teacher is None:
        return labels_in_y(texts, y, classes)
    named = as_classes(classes)
    labels = as_teacher(teacher).label(
        texts, named, class_bias=class_bias, verbose=verbose
    )
    return labels, named
