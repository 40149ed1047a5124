"""What an encoder says of texts while it does not learn."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from skllkd._attention import attention_of_any_shape
from skllkd._torch.encoder import (
    EncoderClassifier,
    build_classifier,
    load_pretrained,
    portable_config,
)
from skllkd._torch.tokens import TokenizedTexts
from skllkd._validation import IntArray

_BATCH = 64
_KEPT_ENCODERS = 2


@torch.inference_mode()
def features_in_length_order(
    model: EncoderClassifier,
    texts: TokenizedTexts,
    rows: IntArray,
    device: torch.device,
    batch_size: int = _BATCH,
) -> npt.NDArray[np.float32]:
    """Return what goes to a classifier's head, for some texts in the order given.

    Parameters
    ----------
    model : EncoderClassifier
        The classifier, on `device`; left in evaluation mode.
    texts : TokenizedTexts
        The texts.
    rows : ndarray of shape (n_rows,), int
        Which of them; at least one.
    device : torch.device
        Where to compute.
    batch_size : int
        Texts a batch; batches hold texts of similar length.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32
        The features.
    """
    model.eval()
    order = np.argsort(texts.lengths[rows], kind="stable")
    features: npt.NDArray[np.float32] | None = None
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        with attention_of_any_shape(device.type):
            pooled = model.features(*texts.batch(rows[places], device))
        if features is None:
            features = np.empty((len(rows), pooled.shape[1]), dtype=np.float32)
        features[places] = pooled.float().cpu().numpy()
    assert features is not None
    return features


class FrozenEncoder(NamedTuple):
    """An encoder that does not learn, with all that its features depend on."""

    model: EncoderClassifier  # its head is not used
    config: dict[str, Any]
    tokenizer: str  # as JSON
    special_tokens: dict[str, str]  # by role
    max_length: int  # what the encoder takes, in tokens
    weights: dict[str, npt.NDArray[np.float32]]
    digest: str  # of weights, configuration and tokenizer


_known: OrderedDict[Any, EncoderClassifier | FrozenEncoder] = OrderedDict()
_lock = threading.Lock()


def _remembered(key: Any, make: Callable[[], Any]) -> Any:
    """Return what this process made under a key lately, or make it."""
    with _lock:
        if key not in _known:
            _known[key] = make()
        _known.move_to_end(key)
        while len(_known) > _KEPT_ENCODERS:
            _known.popitem(last=False)
        return _known[key]


def frozen_encoder(model: str | os.PathLike[str], pooling: str) -> FrozenEncoder:
    """Return an encoder by its name or folder, read once in a process.

    Parameters
    ----------
    model : str or Path
        As of `load_pretrained`. A folder whose files changed is read again.
    pooling : {"auto", "mean", "cls"}
        The pooling.

    Returns
    -------
    FrozenEncoder
        The encoder, on the CPU or where it was used last.
    """
    name = os.fspath(model)
    folder = Path(name).expanduser()
    files = sorted(folder.rglob("*")) if folder.is_dir() else []
    stamps = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    key = (name, pooling, tuple(stamps))
    encoder: FrozenEncoder = _remembered(key, lambda: _read(model, pooling))
    return encoder


def _read(model: str | os.PathLike[str], pooling: str) -> FrozenEncoder:
    """Read an encoder."""
    with torch.random.fork_rng():  # it may come without weights that play no part
        torch.manual_seed(0)
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
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(config, sort_keys=True).encode())
    digest.update(pretrained.tokenizer.encode())
    for name, array in sorted(weights.items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return FrozenEncoder(
        network.eval(),
        config,
        pretrained.tokenizer,
        pretrained.special_tokens,
        pretrained.max_length,
        weights,
        digest.hexdigest(),
    )


def encoder_of_weights(
    digest: str,
    config: dict[str, Any],
    weights: dict[str, npt.NDArray[np.float32]],
    pooling: str,
) -> EncoderClassifier:
    """Return the encoder of a fitted student: one in use already, or a new one.

    Parameters
    ----------
    digest : str
        The encoder's digest.
    config : dict
        Its configuration.
    weights : dict of str to ndarray
        The student's weights.
    pooling : {"mean", "cls"}
        The pooling.

    Returns
    -------
    EncoderClassifier
        The encoder; its head is not to be used.
    """
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
