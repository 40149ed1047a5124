"""A fitted cascade as a folder: that of its classifier, and two files more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._classifier import LLKDClassifier
from skllkd._core.atomic_files import replacing_file
from skllkd._core.classes import Classes, described_classes
from skllkd._core.digest import file_digest
from skllkd._core.tensors import write_tensors
from skllkd._version import __version__
from skllkd.exceptions import InvalidParameterError, SavedModelError
from skllkd.persistence.file_format import FORMAT, check_format
from skllkd.persistence.onnx_classifier import ONNXClassifier
from skllkd.serving.coverage import CoverageCurve
from skllkd.serving.drift import Sample

SETTINGS, _ARRAYS = "cascade.json", "cascade.safetensors"
#: The file that tells a classifier from another, by the kind of the classifier.
_FOLDER, _ONNX = "skllkd.json", "student.onnx"
_PARAMETERS = ("target", "confidence", "metric", "abstention_label", "audit_share")


def save(
    folder: Path,
    estimator: Any,
    params: dict[str, Any],
    curve: CoverageCurve,
    classes: Classes,
    class_bias: npt.NDArray[np.float64],
    reference: Sample,
) -> None:
    """Write a cascade to a folder, after its classifier."""
    if isinstance(estimator, LLKDClassifier):
        estimator.save(folder)
    elif isinstance(estimator, ONNXClassifier):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing_file(folder / _ONNX) as path:
            shutil.copyfile(Path(estimator.path).expanduser(), path)
    else:
        raise InvalidParameterError(
            f"a cascade of a {type(estimator).__name__} cannot be saved without pickle, "
            "only one of an LLKDClassifier or an ONNXClassifier. Use joblib.dump instead."
        )
    arrays: dict[str, npt.NDArray[Any]] = {
        "threshold": curve.threshold,
        "n_answered": curve.n_answered,
        "n_right": curve.n_right,
        "class_bias": class_bias,
        "reference_confidence": reference.confidence,
        "reference_label": reference.label,
    }
    if reference.embedding is not None:
        arrays["reference_embedding"] = reference.embedding
    with replacing_file(folder / _ARRAYS) as path:
        write_tensors(arrays, path)
    description = {
        "format": FORMAT,
        "skllkd": __version__,
        "parameters": {name: params[name] for name in _PARAMETERS},
        **classes.described(),
        "n_texts": curve.n_texts,
        "chosen": curve.chosen,
        "files": {n: file_digest(folder / n) for n in (_classifier(folder), _ARRAYS)},
    }
    with replacing_file(folder / SETTINGS) as path:
        path.write_text(json.dumps(description, indent=1), encoding="utf-8")


def load(folder: Path) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return the classifier, the parameters and the learned parts of a saved cascade."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    classifier = load_classifier(folder)
    try:
        description = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        writer = f"skllkd {description['skllkd']}"
        name = f"the cascade in {str(folder)!r}"
        check_format(int(description["format"]), name, writer)
        for file, digest in description["files"].items():
            if file_digest(folder / Path(file).name) != digest:
                raise ValueError(f"{file} is another than the one it was saved with")
        learned = _learned(description, load_file(folder / _ARRAYS))
        parameters = {name: description["parameters"][name] for name in _PARAMETERS}
    except SavedModelError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SavedModelError(
            f"{str(folder)!r} holds no cascade that can be read: {error}. Give the folder "
            "that CascadeClassifier.save wrote, or save it again."
        ) from error
    return classifier, parameters, learned


def load_classifier(path: Path) -> Any:
    """Return the classifier in a folder or an ONNX file."""
    if path.suffix == ".onnx":
        return ONNXClassifier(path).fit()
    if _classifier(path) == _ONNX:
        return ONNXClassifier(path / _ONNX).fit()
    return LLKDClassifier.load(path)


def _classifier(folder: Path) -> str:
    """Return the name of the file that tells a folder's classifier from others."""
    is_onnx = (folder / _ONNX).exists() and not (folder / _FOLDER).exists()
    return _ONNX if is_onnx else _FOLDER


def _learned(
    description: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
) -> dict[str, Any]:
    """Return the learned parts by name."""
    parameters = description["parameters"]
    curve = CoverageCurve(
        threshold=arrays["threshold"],
        n_answered=arrays["n_answered"],
        n_right=arrays["n_right"],
        n_texts=int(description["n_texts"]),
        target=float(parameters["target"]),
        confidence=float(parameters["confidence"]),
        chosen=description["chosen"],
    )
    return {
        "curve": curve,
        "classes": described_classes(description),
        "class_bias": arrays["class_bias"],
        "reference": Sample(
            arrays["reference_confidence"],
            arrays["reference_label"],
            arrays.get("reference_embedding"),
        ),
    }
