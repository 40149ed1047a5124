"""Encoder and head as a folder that other libraries open too."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from skllkd._core.arrays import Weights
from skllkd.students.encoder_base import EncoderStudent

_BODY, _HEAD = "model.safetensors", "head.safetensors"
#: Folder of an encoder whose head is not the architecture's own. Beside `skllkd.json`,
#: transformers would put a head with random weights on it and predict with that.
_ENCODER = "encoder"
_PACKAGE, _POOL = "sentence_transformers.models", "1_Pooling"
#: All files, in whichever folder.
_FILES = (
    *("config.json", _BODY, _HEAD, "tokenizer.json", "tokenizer_config.json"),
    *("modules.json", "sentence_bert_config.json"),
)


def write_folder(
    student: EncoderStudent, folder: Path, class_names: list[str]
) -> dict[str, Any]:
    """Write a fitted student; return the JSON values `read_folder` needs beside it.

    With "architecture" pooling the folder opens in
    `transformers.AutoModelForSequenceClassification`, and predicts the same there. The
    others are no classifiers to transformers: the folder `encoder` opens in `AutoModel`,
    and the whole, with "mean" or "cls" pooling, in sentence-transformers.
    """
    _remove(folder)
    _write_network(student, _network_folder(folder, student.pooling_), class_names)
    if student.pooling_ != "architecture":
        inner = _inner_prefix(student.pooling_)
        weights = student.weights_.items()
        head = {n: a for n, a in weights if not n.startswith(inner)}
        _save_arrays(head, folder / _HEAD)
    if student.pooling_ in ("mean", "cls"):  # sentence-transformers knows no other
        _write_sentence_transformers(student, folder)
    return {name: getattr(student, f"{name}_") for name in student.saved_settings}


def _remove(folder: Path) -> None:
    """Remove an earlier student, which may be of another kind."""
    for part in ("", _ENCODER, _POOL):
        for name in _FILES:
            (folder / part / name).unlink(missing_ok=True)
        with suppress(OSError):  # a folder that holds other files stays
            (folder / part).rmdir()


def _write_network(
    student: EncoderStudent, folder: Path, class_names: list[str]
) -> None:
    """Write the network and its tokenizer as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    inner = _inner_prefix(student.pooling_)
    weights = student.weights_.items()
    body = {n.removeprefix(inner): a for n, a in weights if n.startswith(inner)}
    _save_arrays(body, folder / _BODY)
    config = student.config_
    if student.pooling_ == "architecture":
        config = config | {
            "id2label": {str(k): name for k, name in enumerate(class_names)},
            "label2id": {name: k for k, name in enumerate(class_names)},
        }
    _save_json(config, folder / "config.json")
    (folder / "tokenizer.json").write_text(student.tokenizer_, encoding="utf-8")
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": student.max_length_,
        "model_input_names": ["input_ids", "attention_mask"],  # one segment
        **student.special_tokens_,
    }
    _save_json(tokenizer, folder / "tokenizer_config.json")


def read_folder(
    student: EncoderStudent, folder: Path, settings: dict[str, Any]
) -> None:
    """Restore a student from a folder and the values `write_folder` returned."""
    for name in student.saved_settings:
        setattr(student, f"{name}_", settings[name])
    student.weights_ = _read_weights(folder, student.pooling_)
    network = _network_folder(folder, student.pooling_)
    student.tokenizer_ = (network / "tokenizer.json").read_text(encoding="utf-8")


def _write_sentence_transformers(student: EncoderStudent, folder: Path) -> None:
    """Write the files sentence-transformers reads beside the encoder."""
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for i, (path, kind) in enumerate(
            [(_ENCODER, "Transformer"), (_POOL, "Pooling")]
        )
    ]
    _save_json(modules, folder / "modules.json")
    window = {"max_seq_length": student.max_length_}
    _save_json(window, folder / _ENCODER / "sentence_bert_config.json")
    pooling = {
        "word_embedding_dimension": student.config_["hidden_size"],
        "pooling_mode_cls_token": student.pooling_ == "cls",
        "pooling_mode_mean_tokens": student.pooling_ == "mean",
    }
    (folder / _POOL).mkdir(exist_ok=True)
    _save_json(pooling, folder / _POOL / "config.json")


def _read_weights(folder: Path, pooling: str) -> Weights:
    """Return the weights of a folder by the names the classifier has for them."""
    from safetensors.numpy import load_file

    inner = _inner_prefix(pooling)
    body = load_file(_network_folder(folder, pooling) / _BODY)
    weights = {inner + name: a for name, a in body.items()}
    if pooling != "architecture":
        weights |= load_file(folder / _HEAD)
    return weights


def _network_folder(folder: Path, pooling: str) -> Path:
    """Return the folder of the network that transformers reads."""
    return folder if pooling == "architecture" else folder / _ENCODER


def _inner_prefix(pooling: str) -> str:
    """Return the beginning of the names of transformers' own weights here."""
    return "network." if pooling == "architecture" else "encoder."


def _save_arrays(arrays: dict[str, Any], path: Path) -> None:
    """Write arrays, marked as torch's so that transformers opens them."""
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, path, metadata={"format": "pt"})


def _save_json(value: Any, path: Path) -> None:
    """Write JSON values."""
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
