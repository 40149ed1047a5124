"""A fitted classifier as a folder: JSON and safetensors, no pickle."""

from __future__ import annotations

import json
import os
from numbers import Integral
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

import skllkd.selection
import skllkd.students
from skllkd._core.classes import Classes
from skllkd._version import __version__
from skllkd.exceptions import SavedModelError
from skllkd.selection import AcceptReject, Selection
from skllkd.students import FrozenEncoderStudent, Loss, TransformerStudent
from skllkd.students.losses import loss_named
from skllkd.training.targets import likeliest_names

if TYPE_CHECKING:
    from skllkd._classifier import LLKDClassifier

#: Raised when the layout changes so that earlier versions could not read it.
FORMAT = 1
_SETTINGS, _EVIDENCE = "skllkd.json", "evidence.safetensors"
_ARRAYS = ("teacher_proba_", "label_mass_", "times_selected_", "validation_agreement_")
_PARAMETERS = (
    "n_epochs",
    "batch_size",
    "on_missing_class",
    "early_stopping",
    "validation_fraction",
    "n_iter_no_change",
    "warm_start",
    "verbose",
)
_STUDENTS = {kind.__name__: kind for kind in (TransformerStudent, FrozenEncoderStudent)}
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

    student = classifier.student_.portable()
    if type(student) not in _STUDENTS.values():
        raise NotImplementedError(
            f"a {type(student).__name__} has no format of its own to be saved in without "
            "pickle. Use joblib.dump instead."
        )
    _refuse_own("selection", classifier.selection_, skllkd.selection)
    if student.loss is not None:
        _refuse_own("loss", student.loss, skllkd.students)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SETTINGS).unlink(missing_ok=True)  # a save cut short is no classifier
    settings = student.save(folder, list(map(str, classifier.classes_)))
    evidence = compact({name: getattr(classifier, name) for name in _ARRAYS})
    for name in _OPTIONAL_ARRAYS:
        if hasattr(classifier, name):
            evidence[name] = getattr(classifier, name)
    evidence |= {f"history_.{name}": a for name, a in classifier.history_.items()}
    evidence |= {
        f"selection_.{name}": a for name, a in classifier.selection_.state().items()
    }
    contiguous = {name: np.ascontiguousarray(array) for name, array in evidence.items()}
    save_file(contiguous, folder / _EVIDENCE)
    description = {
        "format": FORMAT,
        "skllkd": __version__,
        "classes": classifier.classes_.tolist(),
        "given_classes": list(classifier._given_classes.names),
        "descriptions": list(classifier._given_classes.descriptions),
        "class_bias": classifier._class_bias,
        "is_recalibrated": classifier._is_recalibrated,
        "selection": {
            "class": type(classifier.selection_).__name__,
            "parameters": classifier.selection_.get_params(deep=False),
        },
        "acquisition": None
        if classifier.acquisition is None
        else classifier.acquisition.get_params(),
        "student": {
            "class": type(student).__name__,
            "parameters": student.get_params(deep=False),
            "settings": settings,
        },
        "parameters": {name: getattr(classifier, name) for name in _PARAMETERS}
        | {"random_state": _seed(classifier.random_state)},
        "history": list(classifier.history_),
        "pool": classifier._pool_digest,
        "agreement_": classifier.agreement_,
        "n_teacher_calls_": classifier.n_teacher_calls_,
        "n_teacher_calls_saved_": classifier.n_teacher_calls_saved_,
        "seconds_": classifier.seconds_,
    }
    text = json.dumps(description, indent=1, default=_plain)
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

    description = _read_settings(folder)
    try:
        _restore(classifier, description, folder)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SavedModelError(
            f"the classifier saved in {str(folder)!r} is damaged: "
            f"{type(error).__name__}: {error}. Save it again."
        ) from error
    return classifier


def _restore(
    classifier: LLKDClassifier, description: dict[str, Any], folder: Path
) -> None:
    """Fill a classifier from what its folder holds."""
    from safetensors.numpy import load_file

    evidence = load_file(folder / _EVIDENCE)
    kind = description["student"].get("class", "TransformerStudent")
    student = _student(kind, **description["student"]["parameters"])
    student.load(folder, description["student"]["settings"])
    selection = _selection(**description["selection"])
    bought = description.get("acquisition")  # files of earlier versions do not say
    names, descriptions = description["given_classes"], description["descriptions"]
    bias = description["class_bias"]

    described = dict(zip(names, descriptions, strict=True))
    classifier.set_params(
        classes=described if any(descriptions) else names,
        student=clone(student),
        selection=selection,
        acquisition=AcceptReject(**bought) if bought else None,
        **description["parameters"],
    )
    classifier._given_classes = Classes(tuple(names), tuple(descriptions))
    classifier._class_bias = None if bias is None else np.array(bias)
    classifier._is_recalibrated = description.get("is_recalibrated", False)
    classifier._pool_digest = description["pool"]
    classifier.classes_ = np.array(description["classes"])
    classifier.student_ = student
    classifier.selection_ = clone(selection)
    prefix = "selection_."
    state = {
        n.removeprefix(prefix): a for n, a in evidence.items() if n.startswith(prefix)
    }
    classifier.selection_.set_state(state)
    classifier.history_ = {
        name: evidence[f"history_.{name}"] for name in description["history"]
    }
    for name in (*_ARRAYS, *_OPTIONAL_ARRAYS):
        if name in evidence:
            setattr(classifier, name, evidence[name])
    classifier.pseudo_labels_ = likeliest_names(
        classifier.teacher_proba_, classifier.classes_
    )
    for name in (
        "agreement_",
        "n_teacher_calls_",
        "n_teacher_calls_saved_",
        "seconds_",
    ):
        setattr(classifier, name, description[name])


def _refuse_own(name: str, part: Any, room: ModuleType) -> None:
    """Raise if a part is none of the package's, which alone can be loaded by name."""
    kind = type(part)
    if getattr(room, kind.__name__, None) is not kind:
        raise NotImplementedError(
            f"a {name} of your own ({kind.__name__}) cannot be saved without pickle. "
            "Use joblib.dump instead."
        )


def _plain(value: Any) -> Any:
    """Return a NumPy value or a path as what JSON holds."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Loss):
        return {"class": type(value).__name__, "parameters": value.get_params()}
    raise TypeError(
        f"a parameter of type {type(value).__name__} cannot be saved as JSON"
    )


def _seed(random_state: Any) -> int | None:
    """Return a seed that can be saved; a generator has none."""
    return int(random_state) if isinstance(random_state, Integral) else None


def _selection(**description: Any) -> Selection:
    """Return the selection a classifier was trained with."""
    strategy = getattr(skllkd.selection, description["class"])
    selection: Selection = strategy(**description["parameters"])
    return selection


def _student(
    kind: str, loss: dict[str, Any] | None = None, **parameters: Any
) -> TransformerStudent:
    """Return the student a classifier was trained with, untrained."""
    if loss is not None:
        parameters["loss"] = loss_named(loss["class"], loss["parameters"])
    return _STUDENTS[kind](**parameters)


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
    writer = description.get("skllkd")
    check_format(version, f"the classifier in {str(folder)!r}", f"skllkd {writer}")
    return description


def compact(evidence: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of each text of the pool with half the bytes.

    Parameters
    ----------
    evidence : dict of str to ndarray
        Arrays.

    Returns
    -------
    dict of str to ndarray
        Probabilities as float32, counts as int32.
    """
    smaller = {"f8": np.float32, "i8": np.int32}
    return {
        name: array.astype(smaller.get(array.dtype.str[1:], array.dtype))
        for name, array in evidence.items()
    }


def check_format(version: int, what: str, writer: str = "a later skllkd") -> None:
    """Raise if something was saved in a later format than this version knows.

    Parameters
    ----------
    version : int
        The format it was saved in.
    what : str
        What it is.
    writer : str
        Which version saved it.

    Raises
    ------
    SavedModelError
        If this version cannot read it.
    """
    if version > FORMAT:
        raise SavedModelError(
            f"{what} was saved by {writer} in format {version}; this is skllkd "
            f"{__version__}, which reads up to format {FORMAT}. Upgrade skllkd."
        )
