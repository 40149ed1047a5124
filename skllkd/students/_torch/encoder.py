"""A pretrained text encoder with a classification head."""

from __future__ import annotations

import copy
import gc
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from skllkd.exceptions import InvalidParameterError, ModelFileError
from skllkd.students._torch.heads import AttentionPooling, HeadLayers


class Pretrained(NamedTuple):
    """What is read of a pretrained encoder."""

    encoder: PreTrainedModel
    tokenizer: str  # the fast tokenizer as JSON
    pooling: str  # "mean" or "cls"
    max_length: int  # the longest input in tokens, special ones included
    special_tokens: dict[str, str]  # by role


def load_pretrained(model: str | os.PathLike[str]) -> Pretrained:
    """Read an encoder from the model hub, its cache, or a folder.

    Parameters
    ----------
    model : str or Path
        A name on the hub, or a folder, of a Hugging Face or sentence-transformers
        encoder.

    Returns
    -------
    Pretrained
        The encoder in float32 on the CPU, its tokenizer and its habits.

    Raises
    ------
    ModelFileError
        If there is no such model, or it cannot be read as an encoder.
    """
    from sentence_transformers import SentenceTransformer

    name = os.fspath(model)
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        pipeline = SentenceTransformer(str(Path(name).expanduser()), device="cpu")
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise ModelFileError(
            f"`model`: {name!r} cannot be loaded as a text encoder: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}. Give "
            "a name on the model hub (and a connection to it), or the folder of a model "
            "already downloaded."
        ) from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
    encoder = getattr(pipeline[0], "auto_model", None)
    backend = getattr(pipeline.tokenizer, "backend_tokenizer", None)
    if encoder is None or backend is None:
        raise ModelFileError(
            f"`model`: {name!r} is no transformer encoder with a fast tokenizer. Choose "
            "another encoder."
        )
    habit = (
        getattr(pipeline[1], "pooling_mode", "mean") if len(pipeline) > 1 else "mean"
    )
    backend.no_padding()
    pretrained = Pretrained(
        encoder=encoder.float(),
        tokenizer=backend.to_str(),
        pooling="cls" if habit == "cls" else "mean",
        max_length=int(pipeline.max_seq_length or 512),
        special_tokens={
            role: str(token)
            for role, token in pipeline.tokenizer.special_tokens_map.items()
            if isinstance(token, str)
        },
    )
    # The pipeline refers to itself through its model card, and would keep the encoder
    # and its gradients alive until a collection that may come many fits later.
    del pipeline
    gc.collect()
    return pretrained


class Classifier(nn.Module):
    """Class logits from token ids: what both kinds of classifier have in common.

    Parameters
    ----------
    dropout : float
        The share of pooled features dropped in training.
    n_classes : int
        The number of classes.
    """

    encoder: nn.Module

    def __init__(self, dropout: float, n_classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.n_classes = n_classes

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that are not the encoder's.

        Returns
        -------
        list of Parameter
            The parameters.
        """
        encoder = {id(parameter) for parameter in self.encoder.parameters()}
        return [p for p in self.parameters() if id(p) not in encoder]


class ArchitectureClassifier(Classifier):
    """Class logits from the architecture's own sequence classifier.

    Parameters
    ----------
    network : PreTrainedModel
        The sequence classifier.
    """

    def __init__(self, network: PreTrainedModel) -> None:
        n_classes = int(network.config.num_labels or 0)
        super().__init__(0.0, n_classes)  # the network has its own dropout
        self.network = network

    @property
    def encoder(self) -> nn.Module:  # type: ignore[override]
        """The part that was pretrained."""
        return self.network.base_model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the logits, of shape (n_rows, n_classes).

        Parameters
        ----------
        ids : Tensor of shape (n_rows, length), int64
            Token ids, padded.
        mask : Tensor of shape (n_rows, length), int64
            1 for tokens, 0 for padding.

        Returns
        -------
        Tensor of shape (n_rows, n_classes)
            The logits.
        """
        logits: torch.Tensor = self.network(input_ids=ids, attention_mask=mask).logits
        return logits


class EncoderClassifier(Classifier, HeadLayers):
    """Class logits from a pooled encoder and a head.

    Parameters
    ----------
    encoder : PreTrainedModel
        The encoder.
    n_classes : int
        The number of classes.
    pooling : {"mean", "cls", "attention"}
        What of the encoder's output goes to the head: the mean over the tokens, the
        first token, or a learned weighted mean.
    dropout : float
        The share of pooled features dropped in training.
    head : {"linear", "hidden"}
        Whether the head has a hidden layer.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        n_classes: int,
        pooling: str,
        dropout: float,
        head: str = "linear",
    ) -> None:
        super().__init__(dropout, n_classes)
        self.encoder = encoder
        self.pooling = pooling
        width = int(encoder.config.hidden_size)
        self.add_layers(width, n_classes, head)
        if pooling == "attention":
            self.attention = AttentionPooling(width)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the logits, of shape (n_rows, n_classes).

        Parameters
        ----------
        ids : Tensor of shape (n_rows, length), int64
            Token ids, padded.
        mask : Tensor of shape (n_rows, length), int64
            1 for tokens, 0 for padding.

        Returns
        -------
        Tensor of shape (n_rows, n_classes)
            The logits.
        """
        return self.classify(self.features(ids, mask))

    def features(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return what goes to the head.

        Parameters
        ----------
        ids : Tensor of shape (n_rows, length), int64
            Token ids, padded.
        mask : Tensor of shape (n_rows, length), int64
            1 for tokens, 0 for padding.

        Returns
        -------
        Tensor of shape (n_rows, n_features)
            The pooled output of the encoder.
        """
        output = self.encoder(input_ids=ids, attention_mask=mask)
        hidden: torch.Tensor = output.last_hidden_state
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "attention":
            pooled: torch.Tensor = self.attention(hidden, mask)
            return pooled
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def new_classifier(
    encoder: PreTrainedModel,
    n_classes: int,
    pooling: str,
    dropout: float,
    head: str = "linear",
) -> Classifier:
    """Return a classifier with a pretrained encoder and a new head.

    Parameters
    ----------
    encoder : PreTrainedModel
        The encoder.
    n_classes : int
        The number of classes.
    pooling : {"mean", "cls", "attention", "architecture"}
        The pooling.
    dropout : float
        The share of pooled features dropped in training.
    head : {"linear", "hidden"}
        Whether the head has a hidden layer; the architecture's own has what it has.

    Returns
    -------
    Classifier
        The classifier on the CPU.
    """
    if pooling != "architecture":
        return EncoderClassifier(encoder, n_classes, pooling, dropout, head)
    config = copy.deepcopy(encoder.config)
    config.num_labels = n_classes
    network = AutoModelForSequenceClassification.from_config(config)
    network.base_model.load_state_dict(encoder.state_dict(), strict=False)
    return ArchitectureClassifier(network)


def portable_config(model: Classifier) -> dict[str, Any]:
    """Return a classifier's configuration without the path it was loaded from.

    Parameters
    ----------
    model : Classifier
        The classifier.

    Returns
    -------
    dict
        JSON values, as in a `config.json` of transformers.
    """
    inner: Any = model.encoder
    if isinstance(model, ArchitectureClassifier):
        inner = model.network
    config = json.loads(inner.config.to_json_string(use_diff=False))
    config.pop("_name_or_path", None)
    config["architectures"] = [type(inner).__name__]
    return dict(config)


def build_classifier(
    config: dict[str, Any], weights: dict[str, npt.NDArray[np.float32]], pooling: str
) -> Classifier:
    """Return a classifier from a configuration and weights, ready to predict.

    Parameters
    ----------
    config : dict
        As from `portable_config`.
    weights : dict of str to ndarray
        The weights by name.
    pooling : {"mean", "cls", "attention", "architecture"}
        The pooling.

    Returns
    -------
    Classifier
        The classifier in evaluation mode on the CPU.
    """
    settings = AutoConfig.for_model(**config)
    model: Classifier
    with torch.random.fork_rng(devices=[]):  # the initial weights are replaced
        if pooling == "architecture":
            network = AutoModelForSequenceClassification.from_config(settings)
            model = ArchitectureClassifier(network)
        else:
            n_classes = weights["head.weight"].shape[0]
            encoder = AutoModel.from_config(settings)
            head = "hidden" if "hidden.weight" in weights else "linear"
            model = EncoderClassifier(encoder, n_classes, pooling, 0, head)
    state = {name: torch.from_numpy(array) for name, array in weights.items()}
    model.load_state_dict(state)
    return model.eval()


def set_attention(model: Classifier, attention: str) -> None:
    """Let a classifier's encoder compute attention in another way.

    Parameters
    ----------
    model : Classifier
        The classifier; changed in place.
    attention : str
        "auto" to leave it, or the name transformers has for the way.

    Raises
    ------
    InvalidParameterError
        If the encoder, or what is installed, does not support it.
    """
    if attention == "auto":
        return
    inner: Any = model.encoder
    try:
        inner.set_attn_implementation(attention)
    except (ImportError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidParameterError(
            f"`attention`: {attention!r} cannot be used with a {type(inner).__name__} "
            f"here: {reason}"
        ) from error


def available_device(device: str) -> torch.device:
    """Return the device to predict on: the one named, or the CPU where it is not.

    Parameters
    ----------
    device : str
        "auto" for a GPU where there is one, or a torch device.

    Returns
    -------
    torch.device
        The device.
    """
    try:
        return checked_device(device)
    except InvalidParameterError:
        return torch.device("cpu")


def checked_device(device: str) -> torch.device:
    """Return the device to train on.

    Parameters
    ----------
    device : str
        "auto" for a GPU where there is one, or a torch device.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    InvalidParameterError
        If torch does not know it, or this machine does not have it.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidParameterError(
            '`device` must be "auto" or a torch device of this machine, such as "cpu" '
            f'or "cuda:0"; got {device!r}: {reason}'
        ) from error
    return wanted
