"""The model card of a saved classifier: what it was made from, and how far to trust it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skllkd._core.params import looks_like_path
from skllkd._version import __version__
from skllkd.exceptions import InvalidParameterError, SkllkdWarning
from skllkd.inspection.report import agreement_of, share_selected

if TYPE_CHECKING:
    from skllkd._classifier import LLKDClassifier

_FIELDS = ("name", "description", "data", "language", "licence", "teacher")
_MARK = "<!-- Written by skllkd; overwritten by the next save. -->"
_UNKNOWN = "not stated"
#: The texts `agreement_` is measured on.
_SAMPLE = 500


def check_card(card: Any) -> dict[str, str]:
    """Return what a user says of a model, if it can stand in its card.

    Parameters
    ----------
    card : mapping or None
        Strings by field.

    Returns
    -------
    dict of str to str
        The fields given.

    Raises
    ------
    InvalidParameterError
        If it is no mapping, or has a field there is not, or a value that is no text.
    """
    if card is None:
        return {}
    if not isinstance(card, Mapping):
        raise InvalidParameterError(
            f"`card` must be a mapping of fields to texts; got {type(card).__name__}."
        )
    for field, value in card.items():
        if field not in _FIELDS or not isinstance(value, str) or not value.strip():
            raise InvalidParameterError(
                f"`card` may hold {', '.join(_FIELDS)}, each a text; got "
                f"{field!r}: {value!r}."
            )
    return dict(card)


def write_card(
    classifier: LLKDClassifier, folder: Path, fields: dict[str, str]
) -> None:
    """Write the card as the folder's README.md, in the form of Hugging Face.

    Parameters
    ----------
    classifier : LLKDClassifier
        The fitted classifier.
    folder : Path
        Where it was saved.
    fields : dict of str to str
        As from `check_card`.

    Warns
    -----
    SkllkdWarning
        If there is a README.md that is no such card; it is left as it is.
    """
    path = folder / "README.md"
    if path.exists() and _MARK not in path.read_text("utf-8", errors="replace"):
        warnings.warn(
            f"no model card was written: {path.name} in the folder is none of ours. "
            "Move it away and save again to get one.",
            SkllkdWarning,
            stacklevel=3,
        )
        return
    parts = [_front_matter(fields), _MARK, *_sections(classifier, fields)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _front_matter(fields: dict[str, str]) -> str:
    """Return what Hugging Face's hub reads: YAML, of which JSON is a part."""
    known: dict[str, Any] = {
        "library_name": "skllkd",
        "pipeline_tag": "text-classification",
        "tags": ["text-classification", "knowledge-distillation", "skllkd"],
    }
    for field, key in (("licence", "license"), ("language", "language")):
        if field in fields:
            known[key] = fields[field]
    lines = [f"{key}: {json.dumps(value)}" for key, value in known.items()]
    return "\n".join(["---", *lines, "---"])


def _sections(classifier: LLKDClassifier, fields: dict[str, str]) -> list[str]:
    """Return the card's paragraphs."""
    labels = _labels(classifier)
    shares = [labels.count(name) for name in classifier.classes_.tolist()]
    n_labelled, n_texts = len(labels), len(classifier.teacher_proba_)
    rows = "\n".join(
        f"| {_cell(name)} | {n:,} | {n / n_labelled:.1%} |"
        for name, n in zip(classifier.classes_, shares, strict=True)
    )
    n_measured = min(n_labelled, _SAMPLE)
    n_same = round(classifier.agreement_ * n_measured)
    agreement = agreement_of("all", np.arange(n_measured) < n_same)
    selected = share_selected(classifier.history_)
    return [
        f"# {fields.get('name', 'Text classifier')}",
        fields.get(
            "description", "A text classifier distilled from a teacher's labels."
        )
        + f" Made with skllkd {__version__}; `LLKDClassifier.load(folder)` opens it.",
        "## Data",
        fields.get("data", f"Source: {_UNKNOWN}."),
        f"{n_texts:,} texts without gold labels, {n_labelled:,} of which the teacher "
        "labelled:",
        f"| class | texts | share |\n|---|---|---|\n{rows}",
        "## Teacher",
        fields.get("teacher", _teacher(classifier)),
        "## Student and selection",
        f"- Student: {_described(classifier.student_)}\n"
        f"- Selection: {_described(classifier.selection_)}\n"
        f"- {classifier.n_epochs} epochs; {selected:.1%} of the texts presented were "
        "selected",
        "## Agreement",
        f"On {agreement.n_texts:,} of the texts it was trained on, the student says what "
        f"the teacher says for {agreement.share:.1%} (95 % interval "
        f"{agreement.low:.1%} to {agreement.high:.1%}). That is agreement with the "
        "teacher, not accuracy: where the teacher errs, the student learned the error.",
        "## Licence",
        fields.get("licence", _UNKNOWN)
        + ". The encoder's and the teacher's own licences apply beside it.",
    ]


def _labels(classifier: LLKDClassifier) -> list[Any]:
    """Return the teacher's labels of the texts that have one."""
    return [label for label in classifier.pseudo_labels_ if label is not None]


def _teacher(classifier: LLKDClassifier) -> str:
    """Return the teacher's kind and its model's name, no path and no prompt."""
    teacher = classifier.teacher
    if teacher is None:
        return f"The teacher: {_UNKNOWN}."
    names = [getattr(teacher, name, None) for name in ("model", "model_path")]
    model = next((name for name in names if isinstance(name, (str, os.PathLike))), None)
    kind = type(teacher).__name__
    return f"`{kind}`" if model is None else f"`{kind}` with `{_last_part(model)}`"


def _described(part: Any) -> str:
    """Return a student or selection with what was set, paths cut to their end."""
    changed = {
        name: _last_part(value)
        for name, value in part.get_params(deep=False).items()
        if isinstance(value, (str, int, float, os.PathLike)) or value is None
    }
    default = type(part)().get_params(deep=False)
    shown = ", ".join(
        f"{name}={value!r}"
        for name, value in changed.items()
        if name == "model" or value != default.get(name)
    )
    return f"`{type(part).__name__}({shown})`"


def _last_part(value: Any) -> Any:
    """Return a path's last part, anything else as it is."""
    if isinstance(value, (str, os.PathLike)) and looks_like_path(value):
        return Path(value).name
    return value


def _cell(value: Any) -> str:
    """Return a value as a table's cell shows it."""
    return str(value).replace("|", "\\|").replace("\n", " ")
