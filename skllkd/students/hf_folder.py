"""Encoder and head as a folder that other libraries open too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from skllkd._core.arrays import Weights
from skllkd.students.encoder_base import EncoderStudent
from skllkd.students.lazy_torch import torch_part
from skllkd.students.text_encoder import encoder_digest

_BODY, _HEAD, _TOKENIZER = "model.safetensors", "head.safetensors", "tokenizer.json"
_PACKAGE, _POOL = "sentence_transformers.models", "1_Pooling"
#: Entries that some students have and others do not.
OPTIONAL = (_HEAD, "modules.json", "sentence_bert_config.json", _POOL)
#: Files that are read again.
WEIGHTS = (_BODY, _HEAD, _TOKENIZER)
#: Keys of a configuration by which transformers finds code, or other files.
_FOREIGN = re.compile(
    "^_|auto_map|implementation|backbone|timm|kernel|quantization|trust"
)


def write_folder(
    student: EncoderStudent, folder: Path, class_names: list[str]
) -> dict[str, Any]:
    """Write a fitted student; return the JSON values `read_folder` needs beside it.

    The folder opens in `transformers.AutoModel`, with "architecture" pooling in
    `AutoModelForSequenceClassification`, and with "mean" or "cls" pooling, whose head
    stands in a file of its own, in sentence-transformers.
    """
    inner = _inner_prefix(student.pooling_)
    weights = student.weights_.items()
    body = {n.removeprefix(inner): a for n, a in weights if n.startswith(inner)}
    head = {n: a for n, a in weights if not n.startswith(inner)}
    _save_arrays(body, folder / _BODY)
    config = student.config_ | {
        "id2label": {str(k): name for k, name in enumerate(class_names)},
        "label2id": {name: k for k, name in enumerate(class_names)},
    }
    _save_json(config, folder / "config.json")
    (folder / _TOKENIZER).write_text(student.tokenizer_, encoding="utf-8")
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": student.max_length_,
        **student.special_tokens_,
    }
    _save_json(tokenizer, folder / "tokenizer_config.json")
    if student.pooling_ != "architecture":
        _save_arrays(head, folder / _HEAD)
    if student.pooling_ in ("mean", "cls"):  # sentence-transformers knows no other
        _write_sentence_transformers(student, folder)
    return {name: getattr(student, f"{name}_") for name in student.saved_settings}


def read_folder(
    student: EncoderStudent, folder: Path, settings: dict[str, Any]
) -> None:
    """Restore a student from a folder and the values `write_folder` returned."""
    _check_config(settings["config"])
    for name in student.saved_settings:
        setattr(student, f"{name}_", settings[name])
    student.weights_ = _read_weights(folder, student.pooling_)
    student.tokenizer_ = (folder / _TOKENIZER).read_text(encoding="utf-8")
    torch_part.encoder.check_size(student.config_, student.weights_, student.pooling_)
    frozen = {n: a for n, a in student.weights_.items() if n.startswith("encoder.")}
    digest = getattr(student, "encoder_digest_", None)  # features are kept under it
    if digest not in (
        None,
        encoder_digest(student.config_, student.tokenizer_, frozen),
    ):
        raise ValueError("the digest of the encoder is not that of its weights")


def _check_config(config: dict[str, Any]) -> None:
    """Raise if a configuration names code or files, or has more layers than weights."""
    for key, value in config.items():
        if _FOREIGN.search(key):
            raise ValueError(f"the configuration holds {key!r}: {value!r}")
        if isinstance(value, dict) and key not in ("id2label", "label2id"):
            _check_config(value)


def _write_sentence_transformers(student: EncoderStudent, folder: Path) -> None:
    """Write the files sentence-transformers reads beside the encoder."""
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for i, (path, kind) in enumerate([("", "Transformer"), (_POOL, "Pooling")])
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


def _read_weights(folder: Path, pooling: str) -> Weights:
    """Return the weights of a folder by the names the classifier has for them."""
    from safetensors.numpy import load_file

    inner = _inner_prefix(pooling)
    weights = {inner + name: a for name, a in load_file(folder / _BODY).items()}
    if pooling != "architecture":
        weights |= load_file(folder / _HEAD)
    return weights


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
