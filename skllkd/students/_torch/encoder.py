"""A pretrained text encoder with a classification head, as one network."""

from __future__ import annotations

import copy
import json
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

from skllkd._core.arrays import Weights
from skllkd._core.device import own_generators
from skllkd.exceptions import InvalidParameterError
from skllkd.students._torch.heads import (
    AttentionPooling,
    HeadLayers,
    WeightedModel,
    head_kind,
)


class Classifier(WeightedModel):
    """Class logits from token ids: the part both kinds of classifier have in common."""

    encoder: nn.Module

    def __init__(self, dropout: float, n_classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.n_classes = n_classes

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that are not the encoder's."""
        encoder = {id(parameter) for parameter in self.encoder.parameters()}
        return [p for p in self.parameters() if id(p) not in encoder]


class ArchitectureClassifier(Classifier):
    """Class logits from the architecture's own sequence classifier."""

    def __init__(self, network: PreTrainedModel) -> None:
        n_classes = int(network.config.num_labels or 0)
        super().__init__(0.0, n_classes)  # the network has its own dropout
        self.network = network

    @property
    def encoder(self) -> nn.Module:  # type: ignore[override]
        """The part that was pretrained."""
        return self.network.base_model

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, share: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the logits, (n_rows, n_classes), of ids and mask, (n_rows, length).

        `share`, (n_texts, n_rows), averages those of a text's windows.
        """
        logits: torch.Tensor = self.network(input_ids=ids, attention_mask=mask).logits
        return averaged(logits, share)


class EncoderClassifier(Classifier, HeadLayers):
    """Class logits from a pooled encoder and a head."""

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

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, share: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the logits, (n_rows, n_classes), of ids and mask, (n_rows, length).

        `share`, (n_texts, n_rows), averages the features of a text's windows.
        """
        return self.classify(self.features(ids, mask, share))

    def features(
        self, ids: torch.Tensor, mask: torch.Tensor, share: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the pooled output of the encoder, (n_rows, n_features)."""
        return averaged(self._pooled(ids, mask), share)

    def _pooled(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the pooled output of the encoder for each row."""
        output = self.encoder(input_ids=ids, attention_mask=mask)
        hidden: torch.Tensor = output.last_hidden_state
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "attention":
            pooled: torch.Tensor = self.attention(hidden, mask)
            return pooled
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def averaged(rows: torch.Tensor, share: torch.Tensor | None) -> torch.Tensor:
    """Return the means of the rows of windows over texts; the rows without shares."""
    return rows if share is None else share.to(rows.dtype) @ rows


def new_classifier(
    encoder: PreTrainedModel, n_classes: int, pooling: str, dropout: float, head: str
) -> Classifier:
    """Return a classifier with a pretrained encoder and a new head, on the CPU."""
    if pooling != "architecture":
        return EncoderClassifier(encoder, n_classes, pooling, dropout, head)
    config = copy.deepcopy(encoder.config)
    config.num_labels = n_classes
    network = AutoModelForSequenceClassification.from_config(config)
    network.base_model.load_state_dict(encoder.state_dict(), strict=False)
    return ArchitectureClassifier(network)


def portable_config(model: Classifier) -> dict[str, Any]:
    """Return the `config.json` of a classifier without the path it was loaded from."""
    inner: Any = model.encoder
    if isinstance(model, ArchitectureClassifier):
        inner = model.network
    config = json.loads(inner.config.to_json_string(use_diff=False))
    config.pop("_name_or_path", None)
    config["architectures"] = [type(inner).__name__]
    return dict(config)


def build_classifier(
    config: dict[str, Any], weights: Weights, pooling: str
) -> Classifier:
    """Return a classifier of a configuration and weights, in evaluation mode."""
    settings = AutoConfig.for_model(**config)
    model: Classifier
    with own_generators():  # the initial weights are replaced
        network = _network(settings, pooling)
        if pooling == "architecture":
            model = ArchitectureClassifier(network)
        else:
            n_classes = weights["head.weight"].shape[0]
            head = head_kind(weights)
            model = EncoderClassifier(network, n_classes, pooling, 0, head)
    model.set_weights(weights)
    return model.eval()


def check_size(config: dict[str, Any], weights: Weights, pooling: str) -> None:
    """Raise ValueError if a configuration is of another network than the weights.

    The network is laid out without memory, so that no number in it can take the
    machine's.
    """
    for key, value in config.items():
        if "layers" in key and isinstance(value, int) and value > len(weights):
            raise ValueError(f"{key}={value} for {len(weights)} arrays of weights")
    with own_generators(), torch.device("meta"):
        network = _network(AutoConfig.for_model(**config), pooling)
    prefix = "network." if pooling == "architecture" else "encoder."
    given = {name: array.shape for name, array in weights.items()}
    for name, parameter in network.named_parameters():
        if given.get(prefix + name) != tuple(parameter.shape):
            raise ValueError(f"the weights {name} are not of the configuration's shape")


def _network(settings: Any, pooling: str) -> Any:
    """Return the network of a configuration, with weights to be replaced."""
    if pooling == "architecture":
        return AutoModelForSequenceClassification.from_config(settings)
    return AutoModel.from_config(settings)


def freeze_layers(model: Classifier, trainable_layers: str | int) -> None:
    """Let everything learn, all but the token embeddings, or the last layers only.

    Layers below those that learn compute without dropout.
    """
    if trainable_layers == "all":
        return
    encoder: Any = model.encoder
    if trainable_layers == "layers":
        encoder.get_input_embeddings().requires_grad_(False)
        return
    embeddings, layers = _anatomy(encoder)
    n_layers, n_trained = len(layers), int(trainable_layers)
    if n_trained > n_layers:
        raise InvalidParameterError(
            f"`trainable_layers` must be at most {n_layers}, the layers this encoder "
            f"has; got {n_trained}."
        )
    for frozen in [embeddings, *layers[: n_layers - n_trained]]:
        frozen.requires_grad_(False)
        for module in frozen.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0


def _anatomy(encoder: Any) -> tuple[nn.Module, nn.ModuleList]:
    """Return an encoder's embeddings and its list of layers."""
    embeddings = getattr(encoder, "embeddings", None)
    n_layers = getattr(encoder.config, "num_hidden_layers", None)
    lists = [
        module
        for module in encoder.modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    ]
    if embeddings is None or not lists:
        raise InvalidParameterError(
            "`trainable_layers` must be 'all' or 'layers' with a "
            f"{type(encoder).__name__}, whose layers are not found where other encoders "
            "have them."
        )
    return embeddings, lists[0]
