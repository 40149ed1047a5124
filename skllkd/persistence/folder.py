"""A fitted classifier as a folder: JSON and safetensors, no pickle."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from skllkd._core.atomic_files import (
    finish_replacing,
    remove_file,
    replacing_contents,
)
from skllkd._core.classes import described_classes
from skllkd._core.digest import file_digest
from skllkd._core.tensors import write_tensors
from skllkd._fitted import FittedState
from skllkd._version import __version__
from skllkd.exceptions import SavedModelError
from skllkd.persistence import parts
from skllkd.persistence.file_format import FORMAT, check_format
from skllkd.persistence.model_card import check_card, write_card
from skllkd.selection import AcceptReject
from skllkd.selection.per_class import one_selection
from skllkd.students.hf_folder import OPTIONAL, READ_AGAIN, write_folder

_SETTINGS, _EVIDENCE, _CARD = "skllkd.json", "evidence.safetensors", "README.md"
_ARRAYS = ("teacher_proba", "label_mass", "times_selected", "validation_agreement")
#: Arrays that only some states have.
_IF_KNOWN = ("refined_proba", "out_of_fold", "thresholds", "learned_keys")
_SCALARS = (
    "is_recalibrated",
    "agreement",
    "n_teacher_calls",
    "n_teacher_calls_saved",
    "seconds",
    "pool_digest",
    "predicts_codes",
)
#: Parameters that are objects, or that belong to this machine.
_OBJECTS = (
    *("teacher", "classes", "refine", "selection", "acquisition", "student"),
    "callbacks",
)
#: Largest JSON file that is read, in bytes.
_LARGEST_JSON = 2**28


def save(
    folder: Path,
    state: FittedState,
    params: dict[str, Any],
    card: Mapping[str, str] | None,
) -> None:
    """Write a classifier's state and parameters to a folder, with a model card."""
    fields = check_card(card)
    student = parts.savable_student(state)
    evidence = _evidence(state.portable())
    with _writing(folder) as unfinished:
        settings = write_folder(student, unfinished, list(map(str, state.classes)))
        write_tensors(evidence, unfinished / _EVIDENCE)
        description = _description(state, params) | {
            "student": parts.described(student) | {"settings": settings},
            "files": _checksums(unfinished),
        }
        text = json.dumps(description, indent=1, default=parts.plain)
        (unfinished / _SETTINGS).write_text(text, encoding="utf-8")
        write_card(folder / _CARD, unfinished / _CARD, state, params, fields)
        for name in OPTIONAL:
            if not (unfinished / name).exists():
                remove_file(unfinished, name)


@contextmanager
def _writing(folder: Path) -> Iterator[Path]:
    """Replace the contents of a folder, and name the cause if they cannot be written."""
    from safetensors import SafetensorError

    try:
        with replacing_contents(folder) as unfinished:
            yield unfinished
    except (OSError, SafetensorError) as error:
        raise SavedModelError(
            f"the classifier cannot be saved to {str(folder)!r}: {error}. A classifier "
            "saved there before is as it was."
        ) from error


def load(
    folder: Path, known_parameters: Collection[str]
) -> tuple[dict[str, Any], FittedState]:
    """Return the parameters and the state of the classifier in a folder."""
    from safetensors.numpy import load_file

    description = _read_settings(folder)
    try:
        checksums = description["files"]
        for name in {_EVIDENCE, *READ_AGAIN, *checksums}:
            path = _inside(folder, name)
            if name in checksums and file_digest(path) != checksums[name]:
                raise ValueError(f"the checksum of {name} is not that of its contents")
        evidence = load_file(folder / _EVIDENCE)
        params, state = _restored(description, evidence, folder)
        unknown = {*params} - {*known_parameters}
        unknown |= {*description["parameters"]} & {*_OBJECTS}
        if unknown:
            raise ValueError(f"there are no parameters {sorted(unknown)} in a folder")
        _check(state)
    except Exception as error:  # packages raise whatever they like of damaged files
        writer = str(description.get("skllkd"))
        mend = (
            f"It was written by skllkd {writer}, and this is {__version__}: install it"
        )
        raise SavedModelError(
            f"the classifier saved in {str(folder)!r} cannot be loaded: "
            f"{type(error).__name__}: {error}. "
            f"{mend if writer != __version__ else 'Save it again'}."
        ) from error
    return params, state


def _description(state: FittedState, params: dict[str, Any]) -> dict[str, Any]:
    """Return all of a classifier but its arrays and its student, for JSON."""
    seed = params["random_state"]  # a generator cannot be saved
    return {
        "format": FORMAT,
        "skllkd": __version__,
        **state.given_classes.described(),
        "class_bias": state.class_bias,
        "history": list(state.history),
        "selection": parts.described_selection(state.selection),
        "refine": parts.described_refinement(params["refine"]),
        "acquisition": params["acquisition"] and params["acquisition"].get_params(),
        "parameters": {k: v for k, v in params.items() if k not in _OBJECTS}
        | {"random_state": seed if isinstance(seed, Integral) else None},
        "state": {name: getattr(state, name) for name in _SCALARS},
        "sources": [asdict(source) for source in state.sources],
        "gold_accuracy": parts.described_accuracy(state.gold_accuracy),
    }


def _evidence(state: FittedState) -> parts.Arrays:
    """Return the arrays of a state by name."""
    evidence = {name: getattr(state, name) for name in _ARRAYS}
    for name in _IF_KNOWN:
        if getattr(state, name) is not None:
            evidence[name] = getattr(state, name)
    evidence |= {f"history.{name}": a for name, a in state.history.items()}
    evidence |= parts.selection_arrays(state.selection)
    return evidence


def _restored(
    description: dict[str, Any], evidence: parts.Arrays, folder: Path
) -> tuple[dict[str, Any], FittedState]:
    """Return parameters and state from the contents of a folder."""
    student = parts.read_student(**description["student"], folder=folder)
    selection = parts.read_selection(**description["selection"], arrays=evidence)
    given = described_classes(description)
    acquisition, bias = description["acquisition"], description["class_bias"]
    params = description["parameters"] | {
        "classes": given.as_given(),
        "student": clone(student),
        "refine": parts.read_refinement(description["refine"]),
        "selection": clone(one_selection(selection)),
        "acquisition": AcceptReject(**acquisition) if acquisition else None,
    }
    arrays: dict[str, Any] = {name: evidence[name] for name in _ARRAYS}
    arrays |= {name: evidence.get(name) for name in _IF_KNOWN}
    state = FittedState(
        classes=np.unique(np.array(given.names)),
        given_classes=given,
        student=student,
        selection=selection,
        class_bias=None if bias is None else np.array(bias),
        sources=tuple(map(parts.read_source, description["sources"])),
        gold_accuracy=parts.read_accuracy(description["gold_accuracy"]),
        history={name: evidence[f"history.{name}"] for name in description["history"]},
        **arrays,
        **{name: description["state"][name] for name in _SCALARS},
    )
    return params, state


def _check(state: FittedState) -> None:
    """Raise if the parts of a state do not go together, or it cannot predict."""
    n_classes = len(state.classes)
    if state.teacher_proba.shape[1:] != (n_classes,):
        raise ValueError(f"{n_classes} classes for labels of another number")
    if state.multilabel != (state.thresholds is not None):
        raise ValueError("thresholds are of classes of which a text has several")
    if state.thresholds is not None and state.thresholds.shape != (n_classes,):
        raise ValueError(f"{n_classes} classes for thresholds of another number")
    if len({len(getattr(state, name)) for name in _ARRAYS[:3]}) > 1:
        raise ValueError("the arrays are of different numbers of texts")
    proba = state.student.without_cache().predict_proba(["a text"])
    if proba.shape != (1, n_classes) or not np.isfinite(proba).all():
        raise ValueError(f"the student predicts {proba!r} for {n_classes} classes")


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder, by its name within it."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {p.relative_to(folder).as_posix(): file_digest(p) for p in files}


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder, or raise if it leads out of it.

    The cache of the model hub keeps its files two levels above, in `blobs`.
    """
    is_hub = folder.resolve().parent.name == "snapshots"
    root = folder.resolve().parents[1] if is_hub else folder.resolve()
    if not (folder / name).resolve().is_relative_to(root):
        raise ValueError(f"{name!r} leads out of the folder")
    return folder / name


def _read_settings(folder: Path) -> dict[str, Any]:
    """Read the JSON file that describes the folder."""
    try:
        finish_replacing(folder)
        path = _inside(folder, _SETTINGS)
        if path.stat().st_size > _LARGEST_JSON:
            raise ValueError("it is too large")
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(description["format"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SavedModelError(
            f"{str(folder)!r} holds no saved classifier ({_SETTINGS} cannot be read: "
            f"{error}). Give the folder that LLKDClassifier.save wrote."
        ) from error
    writer = f"skllkd {description.get('skllkd')}"
    check_format(version, f"the classifier in {str(folder)!r}", writer)
    return description
