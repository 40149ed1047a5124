"""A fitted classifier as a folder: JSON and safetensors, no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

import skllkd.selection
from skllkd._validation import Classes, nan_rows
from skllkd._version import __version__
from skllkd.exceptions import SavedModelError
from skllkd.selection import LLKDSelection, Selection
from skllkd.students import TransformerStudent

if TYPE_CHECKING:
    from skllkd._classifier import LLKDClassifier

#: Raised when the layout changes so that earlier versions could not read it.
FORMAT = 1
_SETTINGS, _WEIGHTS, _EVIDENCE = (
    "skllkd.json",
    "model.safetensors",
    "evidence.safetensors",
)
_ARRAYS = ("teacher_proba_", "label_mass_", "times_selected_")
_OPTIONAL_ARRAYS = ("teacher_thresholds_", "student_thresholds_")


def save(classifier: LLKDClassifier, folder: Path) -> None:
    """Write a fitted classifier to a folder.

    Parameters
    ----------
    classifier : LLKDClassifier
        The fitted classifier.
    folder : Path
        The folder; created when missing.
    """
    from safetensors.numpy import save_file

    settings, weights, files = classifier.student_.export()
    evidence = {name: getattr(classifier, name) for name in _ARRAYS}
    for name in _OPTIONAL_ARRAYS:
        if hasattr(classifier, name):
            evidence[name] = getattr(classifier, name)
    evidence |= {f"history_.{name}": a for name, a in classifier.history_.items()}
    student = classifier.student_.portable()
    description = {
        "format": FORMAT,
        "skllkd": __version__,
        "classes": classifier.classes_.tolist(),
        "given_classes": list(classifier._classes.names),
        "descriptions": list(classifier._classes.descriptions),
        "selection": {
            "class": type(classifier.selection_).__name__,
            "parameters": classifier.selection_.get_params(deep=False),
        },
        "student": {
            "class": type(student).__name__,
            "parameters": student.get_params(deep=False),
            "settings": settings,
        },
        "parameters": {
            name: getattr(classifier, name)
            for name in ("n_epochs", "batch_size", "unchosen", "verbose")
        },
        "n_teacher_calls_": classifier.n_teacher_calls_,
        "n_teacher_calls_saved_": classifier.n_teacher_calls_saved_,
        "seconds_": classifier.seconds_,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SETTINGS).unlink(missing_ok=True)  # a save cut short is no classifier
    contiguous = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    save_file(contiguous, folder / _WEIGHTS)
    save_file(
        {name: np.ascontiguousarray(array) for name, array in evidence.items()},
        folder / _EVIDENCE,
    )
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    text = json.dumps(description, indent=1, default=str)
    (folder / _SETTINGS).write_text(text, encoding="utf-8")


def load(classifier: LLKDClassifier, folder: Path) -> LLKDClassifier:
    """Fill an unfitted classifier from a folder.

    Parameters
    ----------
    classifier : LLKDClassifier
        The classifier to fill.
    folder : Path
        As written by `save`.

    Returns
    -------
    LLKDClassifier
        The classifier, fitted.

    Raises
    ------
    SavedModelError
        If the folder holds no classifier this version can load.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    description = _read_settings(folder)
    try:
        weights = load_file(folder / _WEIGHTS)
        evidence = load_file(folder / _EVIDENCE)
        files = {
            path.name: path.read_text(encoding="utf-8")
            for path in folder.glob("tokenizer*.json")
        }
        student = TransformerStudent(**description["student"]["parameters"])
        student.restore(description["student"]["settings"], weights, files)
        selection = _selection(**description["selection"])
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise SavedModelError(
            f"the classifier saved in {str(folder)!r} is damaged: "
            f"{type(error).__name__}: {error}. Save it again."
        ) from error
    names, descriptions = description["given_classes"], description["descriptions"]
    classifier.set_params(
        classes=dict(zip(names, descriptions, strict=True))
        if any(descriptions)
        else names,
        student=clone(student),
        selection=selection,
        **description["parameters"],
    )
    classifier._classes = Classes(tuple(names), tuple(descriptions))
    classifier._class_bias = None
    classifier.classes_ = np.array(description["classes"])
    classifier.student_ = student
    classifier.selection_ = clone(selection)
    history = {
        name.removeprefix("history_."): array
        for name, array in evidence.items()
        if name.startswith("history_.")
    }
    classifier.history_ = {
        name: history[name] for name in ("epoch", "n_presented", "n_selected", "loss")
    }
    for name in (*_ARRAYS, *_OPTIONAL_ARRAYS):
        if name in evidence:
            setattr(classifier, name, evidence[name])
    labelled = ~nan_rows(classifier.teacher_proba_)
    classifier.pseudo_labels_ = np.full(len(labelled), None, dtype=object)
    classifier.pseudo_labels_[labelled] = classifier.classes_[
        classifier.teacher_proba_[labelled].argmax(axis=1)
    ]
    for name in ("n_teacher_calls_", "n_teacher_calls_saved_", "seconds_"):
        setattr(classifier, name, description[name])
    return classifier


def _selection(**description: Any) -> Selection:
    """Return the selection a classifier was trained with, where it is one of ours."""
    strategy = getattr(skllkd.selection, description["class"], None)
    if strategy is None:  # one of the user's own: what it selected is in the evidence
        return LLKDSelection()
    selection: Selection = strategy(**description["parameters"])
    return selection


def _read_settings(folder: Path) -> dict[str, Any]:
    """Read the JSON file that says what the folder holds."""
    try:
        text = (folder / _SETTINGS).read_text(encoding="utf-8")
        description: dict[str, Any] = json.loads(text)
        version = int(description["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SavedModelError(
            f"{str(folder)!r} holds no saved classifier ({_SETTINGS} cannot be read: "
            f"{error}). Give the folder that LLKDClassifier.save wrote."
        ) from error
    if version > FORMAT:
        raise SavedModelError(
            f"the classifier in {str(folder)!r} was saved by skllkd "
            f"{description.get('skllkd')} in format {version}; this is skllkd "
            f"{__version__}, which reads up to format {FORMAT}. Upgrade skllkd."
        )
    return description
