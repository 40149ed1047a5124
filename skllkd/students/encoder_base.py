"""Common part of the students on a pretrained text encoder."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from skllkd._core.arrays import FloatArray, IntArray, Weights
from skllkd._core.device import checked_device, named_memory_errors
from skllkd._core.params import check_number, check_option, looks_like_path
from skllkd._core.tokens import TokenizedTexts, load_tokenizer
from skllkd._core.windows import WINDOWS, Window
from skllkd.exceptions import DivergedError, TruncationWarning
from skllkd.students.base import Student
from skllkd.students.lazy_torch import torch_part
from skllkd.students.losses import CrossEntropy, Loss, check_loss
from skllkd.students.text_encoder import (
    TextEncoder,
    check_encoder,
    read_encoder,
    shorter_length,
)

#: Mends of a text that is cut, beside a longer window.
_MORE = {
    "head": ', or let the student read more of them: window="head_tail" or "mean"',
    "head_tail": ', or let the student read all of them: window="mean"',
}
#: Hint for a GPU whose memory does not suffice.
SMALLER_STEPS = "Lower `batch_size`, or the student's `max_length`."


class EncoderStudent(Student):
    """Base class of the students on a pretrained text encoder."""

    model: str | os.PathLike[str]
    dropout: float
    loss: Loss | None
    pooling: str
    head: str
    max_length: int | str
    window: str = "head"  # in pickles, too, that were written without it
    predict_batch_size: int | None
    device: str
    weights_: Weights
    config_: dict[str, Any]
    tokenizer_: str
    special_tokens_: dict[str, str]
    pooling_: str
    max_length_: int
    multilabel_: bool
    _trainer: torch_part.trainer.Trainer  # during a fit only

    #: Parameters that are learning rates, and values of `pooling`.
    _rates: ClassVar[Sequence[str]]
    _poolings: ClassVar[Sequence[str]]
    #: Learned attributes that are saved as JSON, without the `_` at their end.
    saved_settings: ClassVar[Sequence[str]] = (
        "config",
        "pooling",
        "max_length",
        "multilabel",
        "special_tokens",
    )

    @override
    def check(self) -> None:
        for name in self._rates:
            check_number(getattr(self, name), name, 0, open_high=True)
        check_number(self.dropout, "dropout", 0, 1, open_high=True)
        check_loss(self.loss)
        check_option(self.pooling, "pooling", self._poolings)
        check_option(self.head, "head", ["linear", "hidden"])
        check_option(self.window, "window", list(WINDOWS))
        if self.predict_batch_size is not None:
            check_number(self.predict_batch_size, "predict_batch_size", 1, integer=True)
        if self.max_length != "auto":
            check_number(self.max_length, "max_length", 4, integer=True)
        check_encoder(self.model)
        if self.device != "auto":
            checked_device(self.device)

    @override
    def try_loading(self) -> int:
        checked_device(self.device)
        return sum(array.nbytes for array in self._pretrained(None).weights.values())

    @property
    @override
    def requires_soft_targets(self) -> bool:
        return self._loss.requires_soft_targets

    @property
    def _loss(self) -> Loss:
        """The loss trained with."""
        return CrossEntropy() if self.loss is None else self.loss

    @property
    def _objective(self) -> torch_part.objective.Objective:
        """The loss of logits."""
        return torch_part.objective.Objective(self._loss.per_sample, self.multilabel_)

    def _describe(self, encoder: Any) -> None:
        """Note the properties of an encoder read."""
        self.tokenizer_ = encoder.tokenizer
        self.special_tokens_ = encoder.special_tokens
        self.pooling_ = encoder.pooling if self.pooling == "auto" else self.pooling
        self.max_length_ = shorter_length(self.max_length, encoder.max_length)

    def _pretrained(self, cache: str | None) -> TextEncoder:
        """Return the pretrained encoder as it is, without anything learned."""
        has_pooling = self.pooling in ("mean", "cls")
        return read_encoder(
            self.model,
            pooling=self.pooling if has_pooling else "auto",
            max_length=self.max_length,
            window=self.window,
            cache=cache,
            batch_size=self.predict_batch_size,
            device=self.device,
        )

    @property
    @override
    def n_rows(self) -> int:
        return len(self._trainer.pool)

    @override
    def predict_rows(self, rows: IntArray) -> FloatArray:
        with named_memory_errors("scoring a batch", SMALLER_STEPS):
            return self._trainer.proba(rows)

    @override
    def train_step(
        self, rows: IntArray, target: FloatArray, weight: FloatArray, progress: float
    ) -> float:
        with named_memory_errors("a training step", SMALLER_STEPS):
            return self._trainer.step(rows, target, weight, progress)

    @override
    def snapshot(self) -> Weights:
        return self._trainer.model.weights()

    @override
    def restore(self, snapshot: Weights) -> None:
        self._trainer.model.set_weights(snapshot)

    @override
    def end_fit(self) -> None:
        learned = self._trainer.model.weights()
        del self._trainer
        self.weights_ = self._frozen_weights() | learned
        torch_part.trainer.release_memory()
        if not all(np.isfinite(array).all() for array in learned.values()):
            names = " and ".join(f"`{name}`" for name in self._rates)
            rates = ", ".join(f"{name}={getattr(self, name):g}" for name in self._rates)
            raise DivergedError(
                f"training diverged with {rates}: weights are no numbers any more. "
                f"Lower {names}. The labels bought are kept."
            )

    def _frozen_weights(self) -> Weights:
        """Return the weights that did not take part in training; by default none."""
        return {}

    def _fitted_classifier(self) -> Any:
        """Return the network of the weights learned."""
        return torch_part.encoder.build_classifier(
            self.config_, self.weights_, self.pooling_
        )

    @property
    def reading(self) -> Window:
        """The way a fitted student reads texts longer than its window."""
        return Window(self.window, self.max_length_)

    @property
    def pad_id(self) -> int:
        """The token id that fills a batch up."""
        return int(self.config_.get("pad_token_id") or 0)

    @override
    def portable(self) -> EncoderStudent:
        if not looks_like_path(self.model):
            return self
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.model = Path(self.model).expanduser().resolve().name
        return copy

    def _tokenize(self, texts: list[str]) -> TokenizedTexts:
        """Return texts as token ids."""
        window = self.reading
        tokenizer = load_tokenizer(self.tokenizer_, window)
        return TokenizedTexts(tokenizer, texts, self.pad_id, window)

    def _warn_of_truncation(self, n_truncated: int, n_texts: int) -> None:
        """Warn of texts longer than the window."""
        if n_truncated:
            lost = self.reading.lost(n_truncated, n_texts, "student's ")
            warnings.warn(
                f"{lost} Raise `max_length` where the encoder allows it, or shorten the "
                f"texts{_MORE.get(self.window, '')}.",
                TruncationWarning,
                stacklevel=4,
            )

    @override
    def __getstate__(self) -> dict[str, Any]:
        fitted = hasattr(self, "weights_")
        state = dict(vars(self.portable() if fitted else self))
        for name in ("_predictor", "_trainer"):  # torch's
            state.pop(name, None)
        return state


def onnx_graph(student: EncoderStudent, quantize: str | None = None) -> Any:
    """Return a fitted student as an ONNX model, from token ids and mask to logits.

    Where it averages windows, a third input holds their shares in each text.
    """
    model = student._fitted_classifier()
    averages = student.window == "mean"
    return torch_part.onnx.onnx_graph(model, quantize=quantize, averages=averages)
