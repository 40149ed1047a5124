"""Parts of a classifier as JSON values, and back: only classes of ours, by name."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

import skllkd.refinement
import skllkd.selection
import skllkd.students
from skllkd._fitted import FittedState
from skllkd.refinement import Evidence, Refinement
from skllkd.refinement.gold import Accuracy
from skllkd.refinement.record import Source
from skllkd.selection import Selection
from skllkd.selection.per_class import PerClass, one_selection
from skllkd.students import FrozenEncoderStudent, Loss, TransformerStudent
from skllkd.students.encoder_base import EncoderStudent
from skllkd.students.hf_folder import read_folder

Arrays = dict[str, npt.NDArray[Any]]
_STUDENTS = {kind.__name__: kind for kind in (TransformerStudent, FrozenEncoderStudent)}
_SELECTION = "selection."  # before the names of its arrays


def described(part: Any) -> dict[str, Any]:
    """Return a part's class and parameters, for JSON."""
    return {"kind": type(part).__name__, "parameters": part.get_params(deep=False)}


def plain(value: Any) -> Any:
    """Return a NumPy value, a path or a loss as JSON holds it."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Loss):
        return described(value)
    raise TypeError(
        f"a parameter of type {type(value).__name__} cannot be saved as JSON"
    )


def savable_student(state: FittedState) -> EncoderStudent:
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


def read_student(
    kind: str, parameters: dict[str, Any], settings: dict[str, Any], folder: Path
) -> EncoderStudent:
    """Return the student of a state, with its weights."""
    loss = parameters["loss"]
    if loss is not None:
        made = _made(Loss, loss["kind"], loss["parameters"], skllkd.students)
        parameters = parameters | {"loss": made}
    student = _STUDENTS[kind](**parameters)
    read_folder(student, folder, settings)
    return student


def described_selection(selection: Selection) -> dict[str, Any]:
    """Return a selection for JSON, or that of each class."""
    per_class = isinstance(selection, PerClass)
    return described(one_selection(selection)) | {"per_class": per_class}


def selection_arrays(selection: Selection) -> Arrays:
    """Return the learned arrays of a selection by the names files have for them."""
    _refuse_own("selection", one_selection(selection), skllkd.selection)
    return {f"{_SELECTION}{name}": a for name, a in selection.state().items()}


def read_selection(
    kind: str, parameters: dict[str, Any], per_class: bool, arrays: Arrays
) -> Selection:
    """Return the selection of a state, with its learned arrays."""
    selection: Selection = _made(Selection, kind, parameters, skllkd.selection)
    if per_class:
        selection = PerClass(selection)
    selection.set_state(
        {
            name.removeprefix(_SELECTION): array
            for name, array in arrays.items()
            if name.startswith(_SELECTION)
        }
    )
    return selection


def described_refinement(refine: Refinement | None) -> dict[str, Any] | None:
    """Return a refinement for JSON, without sources that only this process knows."""
    if refine is None:
        return None
    sources = [e for e in refine.portable().evidence if _is_ours(e, skllkd.refinement)]
    return {"n_rounds": refine.n_rounds, "evidence": list(map(described, sources))}


def read_refinement(description: dict[str, Any] | None) -> Refinement | None:
    """Return the refinement of its description."""
    if description is None:
        return None
    evidence = tuple(
        _made(Evidence, source["kind"], source["parameters"], skllkd.refinement)
        for source in description["evidence"]
    )
    return Refinement(evidence, description["n_rounds"])


def described_accuracy(accuracy: dict[str, Accuracy] | None) -> dict[str, Any] | None:
    """Return the accuracy on gold labels for JSON."""
    return accuracy and {name: asdict(found) for name, found in accuracy.items()}


def read_accuracy(description: dict[str, Any] | None) -> dict[str, Accuracy] | None:
    """Return the accuracy of its description."""
    if description is None:
        return None
    return {name: Accuracy(**found) for name, found in description.items()}


def read_source(description: dict[str, Any]) -> Source:
    """Return the record of a source of its description."""
    return Source(**description | {"by_class": tuple(description.get("by_class", ()))})


def _made(
    base: type[Any], name: str, parameters: dict[str, Any], package: ModuleType
) -> Any:
    """Make an object of a class that a package exports, and of nothing else it holds."""
    kind = vars(package).get(name) if name in package.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ValueError(f"there is no {base.__name__.lower()} named {name!r}")
    return kind(**parameters)


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
