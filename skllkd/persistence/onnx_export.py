"""From a fitted classifier to a file that ONNXClassifier opens, checked on texts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd._core.atomic_files import replacing_file
from skllkd._core.params import check_number, check_option
from skllkd._fitted import FittedState
from skllkd._version import __version__
from skllkd.exceptions import DisagreementError, InvalidParameterError
from skllkd.persistence.file_format import FORMAT
from skllkd.persistence.onnx_classifier import (
    CHECKSUM,
    NO_CHECKSUM,
    SETTINGS,
    TOKENIZER,
    ONNXClassifier,
    with_checksum,
)
from skllkd.students.encoder_base import EncoderStudent, onnx_graph

_LARGEST = 2**31 - 2**20  # bytes; what one file of the format can hold, less the rest


@dataclass(frozen=True)
class ONNXExport:
    """Comparison of an exported file with its original.

    Parameters
    ----------
    equal_labels : float
        The share of the texts for which both predict the same class, or all the same
        where a text may have several, in [0, 1].
    largest_difference : float
        The largest difference of a probability, in [0, 1].
    n_texts : int
        The number of texts compared.
    n_bytes : int
        The size of the file.

    Examples
    --------
    >>> from skllkd.persistence.onnx_export import ONNXExport
    >>> found = ONNXExport(0.996, 0.04, 500, 23_000_000)  # as `export_onnx` returns it
    >>> f"{1 - found.equal_labels:.1%} of the labels differ"
    '0.4% of the labels differ'
    """

    equal_labels: float
    largest_difference: float
    n_texts: int
    n_bytes: int


def export(
    state: FittedState,
    path: Path,
    texts: list[str],
    quantize: str | None,
    max_disagreement: float,
) -> ONNXExport:
    """Write a fitted classifier as an ONNX file, if that predicts the same."""
    check_option(quantize, "quantize", [None, "int8"])
    check_number(max_disagreement, "max_disagreement", 0, 1)
    student = state.student
    if not isinstance(student, EncoderStudent):
        raise InvalidParameterError(
            "only a classifier whose `student` has a pretrained encoder can be exported "
            f"to ONNX; got {type(student).__name__}. Save this one with joblib.dump."
        )
    n_bytes = sum(array.nbytes for array in student.weights_.values())
    if n_bytes > _LARGEST:
        raise InvalidParameterError(
            f"the student's weights take {n_bytes / 2**30:.1f} GiB, and one ONNX file "
            "holds 2 GiB. Train a smaller `student`, or use `save`."
        )
    graph = onnx_graph(student, quantize)
    _describe(graph, state, student)
    with replacing_file(path) as unfinished:
        unfinished.write_bytes(with_checksum(graph.SerializeToString()))
        exported = ONNXClassifier(unfinished).predict_proba(texts)
        own = student.predict_proba(texts)
        result = _compare(exported, own, state.thresholds, unfinished)
        _check(result, quantize, max_disagreement)
    return result


def _describe(graph: Any, state: FittedState, student: EncoderStudent) -> None:
    """Add class names, thresholds and tokenizer to a graph, as metadata."""
    thresholds, given = state.thresholds, state.given_classes
    settings = {
        "format": FORMAT,
        "skllkd": __version__,
        "classes": state.classes.tolist(),
        "thresholds": None if thresholds is None else thresholds.tolist(),
        "tree": None if given.tree is None else given.as_given(),
        "max_length": student.max_length_,
        "window": student.window,
        "pad_id": student.pad_id,
    }
    entries = {
        SETTINGS: json.dumps(settings),
        TOKENIZER: student.tokenizer_,
        CHECKSUM: NO_CHECKSUM,
    }
    for key, value in entries.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value


def _compare(
    exported: FloatArray, own: FloatArray, thresholds: FloatArray | None, file: Path
) -> ONNXExport:
    """Return how two classifiers' probabilities for the same texts compare."""
    if thresholds is None:
        same = exported.argmax(axis=1) == own.argmax(axis=1)
    else:
        same = ((exported >= thresholds) == (own >= thresholds)).all(axis=1)
    same &= np.isfinite(exported).all(axis=1)  # argmax of NaN is a class too
    return ONNXExport(
        equal_labels=float(same.mean()),
        largest_difference=float(np.abs(exported - own).max()),
        n_texts=len(own),
        n_bytes=file.stat().st_size,
    )


def _check(result: ONNXExport, quantize: str | None, max_disagreement: float) -> None:
    """Raise if the labels of too many texts differ."""
    share = 1 - result.equal_labels
    if share <= max_disagreement:
        return
    mend = (
        "Export with quantize=None, train longer so that fewer texts are undecided, or "
        "raise `max_disagreement`."
        if quantize
        else "The graph of this encoder is not what it computes: use another encoder, "
        "or `save`."
    )
    raise DisagreementError(
        f"the exported classifier gives another label to {share:.2%} of the "
        f"{result.n_texts} texts, more than max_disagreement={max_disagreement:g} "
        f"allows; nothing was written. {mend}"
    )
