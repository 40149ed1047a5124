"""A fitted classifier as a folder: JSON and safetensors, no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from numbers import Integral
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

import skllkd.refinement
import skllkd.selection
import skllkd.students
from skllkd._core.classes import Classes
from skllkd._fitted import FittedState
from skllkd._version import __version__
from skllkd.exceptions import SavedModelError
from skllkd.persistence.file_format import FORMAT, check_format
from skllkd.persistence.model_card import check_card, write_card
from skllkd.refinement import Refinement
from skllkd.refinement.gold import Accuracy
from skllkd.refinement.record import Source
from skllkd.selection import AcceptReject, Selection
from skllkd.students import FrozenEncoderStudent, Loss, TransformerStudent
from skllkd.students.encoder_base import EncoderStudent
from skllkd.students.hf_folder import read_folder, write_folder

_SETTINGS, _EVIDENCE = "skllkd.json", "evidence.safetensors"
_ARRAYS = ("teacher_proba", "label_mass", "times_selected", "validation_agreement")
_IF_REFINED = ("refined_proba", "out_of_fold")
_SCALARS = (
    "is_recalibrated",
    "agreement",
    "n_teacher_calls",
    "n_teacher_calls_saved",
    "seconds",
    "pool_digest",
)
#: Parameters that are objects, or that belong to this machine.
_OBJECTS = (
    *("teacher", "classes", "refine", "selection", "acquisition", "student"),
    "callbacks",
)
_STUDENTS = {kind.__name__: kind for kind in (TransformerStudent, FrozenEncoderStudent)}


def save(
    folder: Path,
    state: FittedState,
    params: dict[str, Any],
    card: Mapping[str, str] | None,
) -> None:
    """Write a classifier's state and parameters to a folder, with a model card."""
    from safetensors.numpy import save_file

    fields = check_card(card)
    student = _savable_student(state)
    _refuse_own("selection", state.selection, skllkd.selection)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SETTINGS).unlink(missing_ok=True)  # a save cut short is no classifier
    settings = write_folder(student, folder, list(map(str, state.classes)))
    save_file(_evidence(state.portable()), folder / _EVIDENCE)
    seed = params["random_state"]  # a generator cannot be saved
    description = {
        "format": FORMAT,
        "skllkd": __version__,
        "classes": list(state.given_classes.names),
        "descriptions": list(state.given_classes.descriptions),
        "class_bias": state.class_bias,
        "history": list(state.history),
        "student": _description(student) | {"settings": settings},
        "selection": _description(state.selection),
        "refine": _described_refinement(params["refine"]),
        "acquisition": params["acquisition"] and params["acquisition"].get_params(),
        "parameters": {k: v for k, v in params.items() if k not in _OBJECTS}
        | {"random_state": seed if isinstance(seed, Integral) else None},
        "state": {name: getattr(state, name) for name in _SCALARS},
        "sources": [asdict(source) for source in state.sources],
        "gold_accuracy": _described_accuracy(state.gold_accuracy),
    }
    text = json.dumps(description, indent=1, default=_plain)
    (folder / _SETTINGS).write_text(text, encoding="utf-8")
    write_card(folder, state, params, fields)


def load(folder: Path) -> tuple[dict[str, Any], FittedState]:
    """Return the parameters and the state of the classifier in a folder."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    description = _read_settings(folder)
    try:
        return _restored(description, load_file(folder / _EVIDENCE), folder)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SavedModelError(
            f"the classifier saved in {str(folder)!r} is damaged: "
            f"{type(error).__name__}: {error}. Save it again."
        ) from error


def _savable_student(state: FittedState) -> EncoderStudent:
    """Return the student as it is written, or raise if it has no format of its own."""
    student = state.student.portable()
    if type(student) not in _STUDENTS.values():
        raise NotImplementedError(
            f"a {type(student).__name__} has no format of its own to be saved in without "
            "pickle. Use joblib.dump instead."
        )
    assert isinstance(student, EncoderStudent)
    if student.loss is not None:
        _refuse_own("loss", student.loss, skllkd.students)
    return student


def _evidence(state: FittedState) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a state by name."""
    evidence = {name: getattr(state, name) for name in _ARRAYS}
    for name in _IF_REFINED:
        if getattr(state, name) is not None:
            evidence[name] = getattr(state, name)
    evidence |= {f"history.{name}": a for name, a in state.history.items()}
    evidence |= {f"selection.{name}": a for name, a in state.selection.state().items()}
    return {name: np.ascontiguousarray(array) for name, array in evidence.items()}


def _restored(
    description: dict[str, Any], evidence: dict[str, npt.NDArray[Any]], folder: Path
) -> tuple[dict[str, Any], FittedState]:
    """Return parameters and state from the contents of a folder."""
    student = _student(**description["student"], folder=folder)
    selection = _selection(**description["selection"], evidence=evidence)
    names, descriptions = description["classes"], description["descriptions"]
    acquisition, bias = description["acquisition"], description["class_bias"]
    params = description["parameters"] | {
        "classes": dict(zip(names, descriptions, strict=True))
        if any(descriptions)
        else names,
        "student": clone(student),
        "refine": _refinement(description["refine"]),
        "selection": clone(selection),
        "acquisition": AcceptReject(**acquisition) if acquisition else None,
    }
    arrays: dict[str, Any] = {name: evidence[name] for name in _ARRAYS}
    state = FittedState(
        classes=np.unique(np.array(names)),
        given_classes=Classes(tuple(names), tuple(descriptions)),
        student=student,
        selection=selection,
        class_bias=None if bias is None else np.array(bias),
        **{name: evidence.get(name) for name in _IF_REFINED},
        sources=tuple(Source(**source) for source in description["sources"]),
        gold_accuracy=_accuracy(description["gold_accuracy"]),
        history={name: evidence[f"history.{name}"] for name in description["history"]},
        **arrays,
        **description["state"],
    )
    return params, state


def _described_refinement(refine: Refinement | None) -> dict[str, Any] | None:
    """Return a refinement for JSON, without sources that only this process knows."""
    if refine is None:
        return None
    sources = [e for e in refine.portable().evidence if _is_ours(e, skllkd.refinement)]
    return {"n_rounds": refine.n_rounds, "evidence": list(map(_description, sources))}


def _refinement(description: dict[str, Any] | None) -> Refinement | None:
    """Return the refinement of its description."""
    if description is None:
        return None
    evidence = tuple(
        getattr(skllkd.refinement, source["kind"])(**source["parameters"])
        for source in description["evidence"]
    )
    return Refinement(evidence, description["n_rounds"])


def _described_accuracy(
    accuracy: dict[str, Accuracy] | None,
) -> dict[str, Any] | None:
    """Return the accuracy on gold labels for JSON."""
    return accuracy and {name: asdict(found) for name, found in accuracy.items()}


def _accuracy(description: dict[str, Any] | None) -> dict[str, Accuracy] | None:
    """Return the accuracy of its description."""
    if description is None:
        return None
    return {name: Accuracy(**found) for name, found in description.items()}


def _is_ours(part: Any, package: ModuleType) -> bool:
    """Return whether a part's class is one of a package, which knows it by name."""
    kind = type(part)
    return getattr(package, kind.__name__, None) is kind


def _refuse_own(name: str, part: Any, package: ModuleType) -> None:
    """Raise if a part is none of the package's, which alone can be loaded by name."""
    if not _is_ours(part, package):
        raise NotImplementedError(
            f"a {name} of your own ({type(part).__name__}) cannot be saved without pickle. "
            "Use joblib.dump instead."
        )


def _description(part: Any) -> dict[str, Any]:
    """Return a part's class and parameters, for JSON."""
    return {"kind": type(part).__name__, "parameters": part.get_params(deep=False)}


def _plain(value: Any) -> Any:
    """Return a NumPy value, a path or a loss as JSON holds it."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Loss):
        return _description(value)
    raise TypeError(
        f"a parameter of type {type(value).__name__} cannot be saved as JSON"
    )


def _selection(
    kind: str, parameters: dict[str, Any], evidence: dict[str, npt.NDArray[Any]]
) -> Selection:
    """Return the selection of a state, with its learned arrays."""
    selection: Selection = vars(skllkd.selection)[kind](**parameters)
    prefix = "selection."
    selection.set_state(
        {k.removeprefix(prefix): a for k, a in evidence.items() if k.startswith(prefix)}
    )
    return selection


def _student(
    kind: str, parameters: dict[str, Any], settings: dict[str, Any], folder: Path
) -> EncoderStudent:
    """Return the student of a state, with its weights."""
    loss = parameters["loss"]
    if loss is not None:
        parameters["loss"] = vars(skllkd.students)[loss["kind"]](**loss["parameters"])
    student = _STUDENTS[kind](**parameters)
    read_folder(student, folder, settings)
    return student


def _read_settings(folder: Path) -> dict[str, Any]:
    """Read the JSON file that describes the folder."""
    try:
        text = (folder / _SETTINGS).read_text(encoding="utf-8")
        description: dict[str, Any] = json.loads(text)
        version = int(description["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SavedModelError(
            f"{str(folder)!r} holds no saved classifier ({_SETTINGS} cannot be read: "
            f"{error}). Give the folder that LLKDClassifier.save wrote."
        ) from error
    writer = f"skllkd {description.get('skllkd')}"
    check_format(version, f"the classifier in {str(folder)!r}", writer)
    return description
