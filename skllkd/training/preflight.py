"""Trials, before the first call, of whatever can fail after labels are paid for.

`fit` calls it, and so does the command line, which knows where the result is to go. The
teacher's own set-up is tried by its first text, which goes alone.
"""

from __future__ import annotations

import os

from skllkd._core.classes import as_classes
from skllkd._core.places import check_file, check_folder
from skllkd.students import Student

#: Room for the file that `label` or `fit` writes about a text, in bytes.
_BYTES_A_TEXT, _BYTES_A_CLASS = 200, 40


def preflight(
    student: Student | None = None,
    classes: object = None,
    *,
    n_texts: int = 0,
    folder: str | os.PathLike[str] | None = None,
    file: str | os.PathLike[str] | None = None,
) -> None:
    """Raise if the student cannot be loaded, or its folder or a file of labels written."""
    n_classes = 0 if classes is None else len(as_classes(classes))
    n_bytes = n_texts * (_BYTES_A_TEXT + n_classes * _BYTES_A_CLASS)
    if file is not None:
        check_file(file, n_bytes)
    if folder is not None:
        check_folder(folder, n_bytes)
    if student is not None:
        student.check()
        n_weights = student.try_loading()
        if folder is not None:
            check_folder(folder, n_bytes + n_weights)
