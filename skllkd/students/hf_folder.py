"""Encoder and head as a folder that other libraries open too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Weights: TypeAlias = dict[str, npt.NDArray[np.float32]]
_BODY, _HEAD = "model.safetensors", "head.safetensors"
_PACKAGE, _POOL = "sentence_transformers.models", "1_Pooling"


class FittedEncoder(Protocol):
    """The attributes of a fitted student that are written."""

    weights_: Weights
    tokenizer_: str  # as JSON
    config_: dict[str, Any]
    pooling_: str
    max_length_: int
    special_tokens_: dict[str, str]  # by role


def write_folder(encoder: FittedEncoder, folder: Path, class_names: list[str]) -> None:
    """Write weights, configuration and tokenizer; the folder is made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    inner = _inner_prefix(encoder.pooling_)
    weights = encoder.weights_.items()
    body = {n.removeprefix(inner): a for n, a in weights if n.startswith(inner)}
    head = {n: a for n, a in weights if not n.startswith(inner)}
    _save_arrays(body, folder / _BODY)
    config = encoder.config_ | {
        "id2label": {str(k): name for k, name in enumerate(class_names)},
        "label2id": {name: k for k, name in enumerate(class_names)},
    }
    _save_json(config, folder / "config.json")
    (folder / "tokenizer.json").write_text(encoder.tokenizer_, encoding="utf-8")
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": encoder.max_length_,
        **encoder.special_tokens_,
    }
    _save_json(tokenizer, folder / "tokenizer_config.json")
    for stale in (_HEAD, "modules.json", "sentence_bert_config.json"):
        (folder / stale).unlink(missing_ok=True)
    if encoder.pooling_ != "architecture":
        _save_arrays(head, folder / _HEAD)
    if encoder.pooling_ in ("mean", "cls"):  # sentence-transformers knows no other
        _write_sentence_transformers(encoder, folder)


def _write_sentence_transformers(encoder: FittedEncoder, folder: Path) -> None:
    """Write the files sentence-transformers reads beside the encoder."""
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for i, (path, kind) in enumerate([("", "Transformer"), (_POOL, "Pooling")])
    ]
    _save_json(modules, folder / "modules.json")
    window = {"max_seq_length": encoder.max_length_}
    _save_json(window, folder / "sentence_bert_config.json")
    pooling = {
        "word_embedding_dimension": encoder.config_["hidden_size"],
        "pooling_mode_cls_token": encoder.pooling_ == "cls",
        "pooling_mode_mean_tokens": encoder.pooling_ == "mean",
    }
    (folder / _POOL).mkdir(exist_ok=True)
    _save_json(pooling, folder / _POOL / "config.json")


def read_weights(folder: Path, pooling: str) -> Weights:
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
