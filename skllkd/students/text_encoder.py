"""A pretrained text encoder that stays as it is: features of texts, computed once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skllkd._core.arrays import BoolArray, Float32Array, Weights
from skllkd._core.device import available_device, named_memory_errors
from skllkd._core.params import looks_like_path
from skllkd._core.progress import progress_bar
from skllkd._core.tokens import TokenizedTexts, load_tokenizer
from skllkd._core.windows import Window
from skllkd.exceptions import SavedModelError
from skllkd.students.feature_cache import features_of
from skllkd.students.lazy_torch import torch_part

#: Hint for a GPU whose memory does not suffice.
SMALLER_BATCHES = (
    "Lower the student's `predict_batch_size`, or the teacher's `batch_size`, or "
    "`max_length`."
)
#: Texts between two steps of the progress bar.
_TEXTS_AT_ONCE = 4096


@dataclass(frozen=True, repr=False)
class TextEncoder:
    """A pretrained encoder with its weights, and the place where features are kept."""

    digest: str  # of weights, configuration and tokenizer
    config: dict[str, Any]
    weights: Weights
    tokenizer: str  # as JSON
    pooling: str  # "mean" or "cls"
    window: Window
    cache: str | None  # "memory", "disk" or None
    batch_size: int | None  # None for that of the device
    device: str

    def features(self, texts: list[str], verbose: int = 0) -> tuple[Float32Array, int]:
        """Return features, (n_texts, n_features), and how many texts are cut."""
        kind, max_length = self.window
        identity = f"{self.digest} {self.pooling} {max_length} {kind} "
        parts, n_cut = list[Float32Array](), 0
        with progress_bar(len(texts), "encoder", "text", verbose) as bar:
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                some = texts[start : start + _TEXTS_AT_ONCE]
                features, n_cut_here = features_of(
                    some, identity, self._encode, self.cache
                )
                parts.append(features)
                n_cut += n_cut_here
                bar.update(len(some))
        return np.concatenate(parts), n_cut

    def _encode(self, texts: list[str]) -> tuple[Float32Array, BoolArray]:
        """Return the features of texts and whether each was cut."""
        device = available_device(self.device)
        network = torch_part.pretrained.encoder_of_weights(
            self.digest, self.config, self.weights, self.pooling
        )
        tokenizer = load_tokenizer(self.tokenizer, self.window)
        pad_id = int(self.config.get("pad_token_id") or 0)
        tokenized = TokenizedTexts(tokenizer, texts, pad_id, self.window)
        with named_memory_errors("encoding a batch", SMALLER_BATCHES):
            features = torch_part.inference.in_length_order(
                network.to(device).features,
                tokenized,
                np.arange(len(texts)),
                self.batch_size,
                device,
            )
        return features, tokenized.is_truncated


def read_encoder(
    model: str | os.PathLike[str],
    *,
    pooling: str = "auto",
    max_length: int | str = "auto",
    window: str = "head",
    cache: str | None = "memory",
    batch_size: int | None = None,
    device: str = "auto",
) -> TextEncoder:
    """Read an encoder from the model hub or a folder, once in a process."""
    encoder = torch_part.pretrained.frozen_encoder(model, pooling)
    pretrained = encoder.pretrained
    return TextEncoder(
        digest=encoder.digest,
        config=encoder.config,
        weights=encoder.weights,
        tokenizer=pretrained.tokenizer,
        pooling=encoder.model.pooling,
        window=Window(window, shorter_length(max_length, pretrained.max_length)),
        cache=cache,
        batch_size=batch_size,
        device=device,
    )


def shorter_length(max_length: int | str, longest: int) -> int:
    """Return the longest input in tokens: the encoder's, or a shorter one if given."""
    return longest if max_length == "auto" else min(int(max_length), longest)


def check_encoder(model: str | os.PathLike[str]) -> None:
    """Raise SavedModelError if a model is a path and no folder."""
    if looks_like_path(model) and not Path(model).expanduser().is_dir():
        raise SavedModelError(
            "`model` must name an encoder on the model hub or a folder that holds "
            f"one; there is no folder {os.fspath(model)!r}."
        )
