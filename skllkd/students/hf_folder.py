"""A transformer student as a folder that other libraries open too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from skllkd.students.transformer import TransformerStudent

_BODY, _HEAD = "model.safetensors", "head.safetensors"
_PACKAGE, _POOL = "sentence_transformers.models", "1_Pooling"


def write_folder(
    student: TransformerStudent, folder: Path, class_names: list[str]
) -> None:
    """Write weights, configuration and tokenizer.

    Parameters
    ----------
    student : TransformerStudent
        The fitted student.
    folder : Path
        The folder; created when missing.
    class_names : list of str
        The class names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inner = _inner_prefix(student.pooling_)
    body, head = {}, {}
    for name, array in student.weights_.items():
        if name.startswith(inner):
            body[name.removeprefix(inner)] = array
        else:
            head[name] = array
    _save_arrays(body, folder / _BODY)
    config = student.config_ | {
        "id2label": {str(k): name for k, name in enumerate(class_names)},
        "label2id": {name: k for k, name in enumerate(class_names)},
    }
    _save_json(config, folder / "config.json")
    (folder / "tokenizer.json").write_text(student.tokenizer_, encoding="utf-8")
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": student.max_length_,
        **student.special_tokens_,
    }
    _save_json(tokenizer, folder / "tokenizer_config.json")
    for stale in (_HEAD, "modules.json", "sentence_bert_config.json"):
        (folder / stale).unlink(missing_ok=True)
    if student.pooling_ != "architecture":
        _save_arrays(head, folder / _HEAD)
    if student.pooling_ in ("mean", "cls"):  # sentence-transformers knows no other
        _write_sentence_transformers(student, folder)


def _write_sentence_transformers(student: TransformerStudent, folder: Path) -> None:
    """Write what sentence-transformers reads beside the encoder."""
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for place, (path, kind) in enumerate([("", "Transformer"), (_POOL, "Pooling")])
    ]
    _save_json(modules, folder / "modules.json")
    window = {"max_seq_length": student.max_length_}
    _save_json(window, folder / "sentence_bert_config.json")
    pooling = {
        "word_embedding_dimension": student.config_["hidden_size"],
        "pooling_mode_cls_token": student.pooling_ == "cls",
        "pooling_mode_mean_tokens": student.pooling_ == "mean",
    }
    (folder / _POOL).mkdir(exist_ok=True)
    _save_json(pooling, folder / _POOL / "config.json")


def read_weights(folder: Path, pooling: str) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights by the names the classifier has for them.

    Parameters
    ----------
    folder : Path
        As written by `write_folder`.
    pooling : {"mean", "cls", "attention", "architecture"}
        The pooling.

    Returns
    -------
    dict of str to ndarray
        The weights.
    """
    from safetensors.numpy import load_file

    inner = _inner_prefix(pooling)
    weights = {inner + name: a for name, a in load_file(folder / _BODY).items()}
    if pooling != "architecture":
        weights |= load_file(folder / _HEAD)
    return weights


def _inner_prefix(pooling: str) -> str:
    """Return what the names of transformers' own weights begin with here."""
    return "network." if pooling == "architecture" else "encoder."


def _save_arrays(arrays: dict[str, Any], path: Path) -> None:
    """Write arrays, marked as torch's so that transformers opens them."""
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, path, metadata={"format": "pt"})


def _save_json(value: Any, path: Path) -> None:
    """Write JSON values."""
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
