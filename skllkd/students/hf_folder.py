"""Encoder and head as a folder that other libraries open too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from skllkd._core.arrays import Weights
from skllkd._core.digest import encoder_digest
from skllkd._core.tensors import write_tensors
from skllkd.students.encoder_base import EncoderStudent
from skllkd.students.lazy_torch import torch_part

_BODY, _HEAD, _TOKENIZER = "model.safetensors", "head.safetensors", "tokenizer.json"
#: Folder of an encoder whose head is not the architecture's own. Beside `skllkd.json`,
#: transformers would put a head with random weights on it and predict with that.
_ENCODER = "encoder"
_NETWORK = ("config.json", "tokenizer_config.json", "sentence_bert_config.json")
_PACKAGE, _POOL = "sentence_transformers.models", "1_Pooling"
#: Files that some students have and others do not.
OPTIONAL = (
    *(_BODY, _HEAD, _TOKENIZER, *_NETWORK, "modules.json", f"{_POOL}/config.json"),
    *(f"{_ENCODER}/{name}" for name in (_BODY, _TOKENIZER, *_NETWORK)),
)
#: Files that are read again, if they are there.
READ_AGAIN = (
    *(_BODY, _HEAD, _TOKENIZER),
    *(f"{_ENCODER}/{name}" for name in (_BODY, _TOKENIZER)),
)
#: Metadata of weights that transformers opens.
_OF_TORCH = {"format": "pt"}
#: Keys of a configuration by which transformers finds code, or other files.
_FOREIGN = re.compile(
    "^_|auto_map|implementation|backbone|timm|kernel|quantization|trust"
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
    _write_network(student, _network_folder(folder, student.pooling_), class_names)
    if student.pooling_ != "architecture":
        inner = _inner_prefix(student.pooling_)
        weights = student.weights_.items()
        head = {n: a for n, a in weights if not n.startswith(inner)}
        write_tensors(head, folder / _HEAD, _OF_TORCH)
    if student.pooling_ in ("mean", "cls"):  # sentence-transformers knows no other
        _write_sentence_transformers(student, folder)
    return {name: getattr(student, f"{name}_") for name in student.saved_settings}


def _write_network(
    student: EncoderStudent, folder: Path, class_names: list[str]
) -> None:
    """Write the network and its tokenizer as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    inner = _inner_prefix(student.pooling_)
    weights = student.weights_.items()
    body = {n.removeprefix(inner): a for n, a in weights if n.startswith(inner)}
    write_tensors(body, folder / _BODY, _OF_TORCH)
    config = student.config_
    if student.pooling_ == "architecture":
        config = config | {
            "id2label": {str(k): name for k, name in enumerate(class_names)},
            "label2id": {name: k for k, name in enumerate(class_names)},
        }
        if student.multilabel_:
            config["problem_type"] = "multi_label_classification"
    _save_json(config, folder / "config.json")
    (folder / _TOKENIZER).write_text(student.tokenizer_, encoding="utf-8")
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
    _check_config(settings["config"])
    for name in student.saved_settings:
        setattr(student, f"{name}_", settings[name])
    student.weights_ = _read_weights(folder, student.pooling_)
    network = _network_folder(folder, student.pooling_)
    student.tokenizer_ = (network / _TOKENIZER).read_text(encoding="utf-8")
    torch_part.encoder.check_size(student.config_, student.weights_, student.pooling_)
    frozen = {n: a for n, a in student.weights_.items() if n.startswith("encoder.")}
    digest = getattr(student, "encoder_digest_", None)  # features are kept under it
    if digest not in (
        None,
        encoder_digest(student.config_, student.tokenizer_, frozen),
    ):
        raise ValueError("the digest of the encoder is not that of its weights")


def _check_config(config: dict[str, Any]) -> None:
    """Raise if a configuration names code or other files that are to be loaded."""
    for key, value in config.items():
        if _FOREIGN.search(key):
            raise ValueError(f"the configuration holds {key!r}: {value!r}")
        if isinstance(value, dict) and key not in ("id2label", "label2id"):
            _check_config(value)


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


def _save_json(value: Any, path: Path) -> None:
    """Write JSON values."""
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
