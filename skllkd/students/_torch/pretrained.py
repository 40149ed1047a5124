"""Pretrained encoders: read from the model hub or a folder, and kept while frozen."""

from __future__ import annotations

import gc
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from skllkd._core.arrays import Weights
from skllkd._core.device import own_generators
from skllkd._core.digest import encoder_digest
from skllkd.exceptions import SavedModelError
from skllkd.students._torch.encoder import (
    EncoderClassifier,
    build_classifier,
    portable_config,
)

_KEPT_ENCODERS = 2
#: The longest that the model hub is waited for to know whether it can be reached.
_HUB_TIMEOUT_S = 10.0


class Pretrained(NamedTuple):
    """An encoder in float32 on the CPU, its tokenizer and its habits."""

    encoder: PreTrainedModel
    tokenizer: str  # the fast tokenizer as JSON
    special_tokens: dict[str, str]  # by role
    pooling: str  # "mean" or "cls"
    max_length: int  # the longest input in tokens, special ones included


def load_pretrained(model: str | os.PathLike[str]) -> Pretrained:
    """Read an encoder from the model hub, its cache, or a folder."""
    name = os.fspath(model)
    pipeline = _pipeline(name)
    encoder = getattr(pipeline[0], "auto_model", None)
    backend = getattr(pipeline.tokenizer, "backend_tokenizer", None)
    if encoder is None or backend is None:
        raise SavedModelError(
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
        special_tokens={
            role: str(token)
            for role, token in pipeline.tokenizer.special_tokens_map.items()
            if isinstance(token, str)
        },
        pooling="cls" if habit == "cls" else "mean",
        max_length=int(pipeline.max_seq_length or 512),
    )
    # The pipeline refers to itself through its model card, and would keep the encoder
    # and its gradients alive until a collection that may come many fits later.
    del pipeline
    gc.collect()
    return pretrained


def _pipeline(name: str) -> Any:
    """Return a model as sentence-transformers reads it, without a progress bar."""
    from sentence_transformers import SentenceTransformer

    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        _check_connection(name)
        return SentenceTransformer(str(Path(name).expanduser()), device="cpu")
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise SavedModelError(
            f"`model`: {name!r} cannot be loaded as a text encoder: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}. Give "
            "a name on the model hub (and a connection to it), or the folder of a model "
            "already downloaded."
        ) from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()


def _check_connection(name: str) -> None:
    """Raise at once where the hub is needed and out of reach; loading tries for minutes."""
    if Path(name).expanduser().exists():
        return
    names = [name] if "/" in name else [name, f"sentence-transformers/{name}"]
    try:
        if any(map(_is_cached, names)):
            return
        HfApi().model_info(name, timeout=_HUB_TIMEOUT_S)
    except (HfHubHTTPError, HFValidationError):  # loading says more
        return
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if not kinds & {"TransportError", "OSError"}:
            return
        raise OSError(f"the model hub cannot be reached ({error})") from error


def _is_cached(name: str) -> bool:
    """Return whether the hub's cache on this machine holds a model."""
    return isinstance(try_to_load_from_cache(name, "config.json"), str)


class FrozenEncoder(NamedTuple):
    """An encoder that does not learn, with all that its features depend on."""

    model: EncoderClassifier  # its head is not used
    pretrained: Pretrained
    config: dict[str, Any]
    weights: Weights
    digest: str  # of weights, configuration and tokenizer


_known: OrderedDict[Any, EncoderClassifier | FrozenEncoder] = OrderedDict()
_lock = threading.Lock()


def _remembered(key: Any, make: Callable[[], Any]) -> Any:
    """Return the encoder this process made under a key lately, or make it."""
    with _lock:
        if key not in _known:
            _known[key] = make()
        _known.move_to_end(key)
        while len(_known) > _KEPT_ENCODERS:
            _known.popitem(last=False)
        return _known[key]


def frozen_encoder(model: str | os.PathLike[str], pooling: str) -> FrozenEncoder:
    """Return an encoder by name, read once in a process and again if its files change."""
    name = os.fspath(model)
    folder = Path(name).expanduser()
    files = sorted(folder.rglob("*")) if folder.is_dir() else []
    stamps = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    key = (name, pooling, tuple(stamps))
    encoder: FrozenEncoder = _remembered(key, lambda: _read_frozen(model, pooling))
    return encoder


def _read_frozen(model: str | os.PathLike[str], pooling: str) -> FrozenEncoder:
    """Read an encoder that is not to learn."""
    with own_generators(0):  # it may come without weights that play no part
        pretrained = load_pretrained(model)
        if pooling == "auto":
            pooling = pretrained.pooling
        network = EncoderClassifier(pretrained.encoder, 2, pooling, 0.0)
    weights = {
        name: tensor.numpy()
        for name, tensor in network.state_dict().items()
        if name.startswith("encoder.")
    }
    config = portable_config(network)
    digest = encoder_digest(config, pretrained.tokenizer, weights)
    return FrozenEncoder(network.eval(), pretrained, config, weights, digest)


def encoder_of_weights(
    digest: str, config: dict[str, Any], weights: Weights, pooling: str
) -> EncoderClassifier:
    """Return the encoder of a fitted student, one in use already or a new one."""
    with _lock:
        for known in _known.values():
            if not isinstance(known, FrozenEncoder):
                continue
            if (known.digest, known.model.pooling) == (digest, pooling):
                return known.model
    model: EncoderClassifier = _remembered(
        (digest, pooling), lambda: build_classifier(config, weights, pooling)
    )
    return model
