"""A pretrained text encoder as the student."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from sklearn.base import clone
from typing_extensions import override

from skllkd._core.arrays import Float32Array, FloatArray, IntArray
from skllkd._core.device import (
    available_device,
    checked_device,
    cpu_threads,
    named_memory_errors,
)
from skllkd._core.params import check_number, check_option, looks_like_path
from skllkd.exceptions import InvalidParameterError, SavedModelError
from skllkd.students.base import Student
from skllkd.students.encoder_base import SMALLER_STEPS, EncoderStudent
from skllkd.students.frozen_encoder import FrozenEncoderStudent
from skllkd.students.lazy_torch import torch_part
from skllkd.students.losses import Loss
from skllkd.students.text_encoder import SMALLER_BATCHES


class TransformerStudent(EncoderStudent):
    """A pretrained text encoder with a head, fine-tuned as a whole.

    Parameters
    ----------
    model : str or Path, default="sentence-transformers/all-MiniLM-L6-v2"
        Any Hugging Face or sentence-transformers encoder: its name on the model hub,
        or a folder.
    learning_rate : float, default=1e-4
        Peak learning rate of the encoder: AdamW with weight decay 0.01, linear warm-up
        over the first tenth of training, linear decay.
    head_learning_rate : float, default=1e-3
        Peak learning rate of the head.
    dropout : float in [0, 1), default=0.1
        Share of pooled features dropped in training.
    loss : Loss, optional
        Distance to the target. By default `CrossEntropy()`.
    pooling : {"auto", "mean", "cls", "attention", "architecture"}, default="auto"
        Input of the head: the first token where the model itself uses it and the mean
        otherwise, the mean over the tokens, the first token, or a mean whose weights
        are learned. "architecture" takes pooling and
        head from the architecture's own sequence classifier, as transformers knows it.
    head : {"linear", "hidden"}, default="linear"
        A linear layer, or a hidden layer as wide as the encoder, GELU, dropout, and a
        linear layer.
    linear_probe_epochs : int, default=0
        Epochs for which the head alone is trained, on the encoder's output and the
        teacher's distribution of every text, before the first step: the student's
        uncertainty then means something from the beginning [1]_. Costs one scoring pass
        over the pool.
    max_length : int or "auto", default="auto"
        Longest input in tokens; longer texts are cut, counted and warned of. By default
        the model's own.
    window : {"head", "head_tail", "mean"}, default="head"
        Part read of a text that is longer than `max_length`: its beginning; half of the
        window from its beginning and half from its end; or all of it, in windows that
        overlap by an eighth and whose features are averaged by their number of tokens
        (64 windows at most, evenly spaced).
    trainable_layers : {"layers", "all"} or int, default="layers"
        Part of the encoder that is trained: all but the token embeddings, everything,
        or so many of its last layers.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Number type of the matrix products in training; weights stay float32.
        "auto" is bfloat16 where the device has instructions for it: on a GPU faster in
        batches of 512, slower in those of 32. Predicting is always float32.
    predict_batch_size : int, optional
        Texts a batch when predicting; by default 64 on a CPU and 256 on a GPU.
    n_threads : int, optional
        Threads on the CPU. By default torch's own number, which joblib and Dask set in
        their workers so that these share the cores. Set it where you start several
        processes yourself, which would otherwise compete for the cores.
    device : str, default="auto"
        Device to train and predict on: a GPU where there is one, or a torch device. A
        student whose device does not exist where it is loaded predicts on the CPU.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Weights after training.
    config_ : dict
        Configuration of the encoder.
    tokenizer_ : str
        Tokenizer as JSON.
    special_tokens_ : dict of str to str
        Special tokens of the tokenizer by role.
    pooling_ : {"mean", "cls", "attention", "architecture"}
        Pooling used.
    max_length_ : int
        Longest input in tokens, special ones included.
    multilabel_ : bool
        Whether a text has none, one or several of the classes.

    See Also
    --------
    FrozenEncoderStudent : A head on the encoder as it is; seconds.
    SklearnStudent : A vectorizer and a linear model; seconds, no torch.

    Notes
    -----
    Randomness is local: the state of torch's global generators is restored. The same
    seed on the same machine trains the same student.

    References
    ----------
    .. [1] Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
       Out-of-Distribution", ICLR 2022, arXiv:2202.10054.

    Examples
    --------
    >>> from skllkd.students import TransformerStudent
    >>> TransformerStudent(learning_rate=5e-5).max_length
    'auto'
    """

    full_batches = False
    _rates = ("learning_rate", "head_learning_rate")
    _poolings = ("auto", "mean", "cls", "attention", "architecture")

    def __init__(
        self,
        model: str | os.PathLike[str] = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        learning_rate: float = 1e-4,
        head_learning_rate: float = 1e-3,
        dropout: float = 0.1,
        loss: Loss | None = None,
        pooling: str = "auto",
        head: str = "linear",
        linear_probe_epochs: int = 0,
        max_length: int | str = "auto",
        window: str = "head",
        trainable_layers: str | int = "layers",
        precision: str = "auto",
        predict_batch_size: int | None = None,
        n_threads: int | None = None,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.dropout = dropout
        self.loss = loss
        self.pooling = pooling
        self.head = head
        self.linear_probe_epochs = linear_probe_epochs
        self.max_length = max_length
        self.window = window
        self.trainable_layers = trainable_layers
        self.precision = precision
        self.predict_batch_size = predict_batch_size
        self.n_threads = n_threads
        self.device = device

    @override
    def check(self) -> None:
        super().check()
        check_number(self.linear_probe_epochs, "linear_probe_epochs", 0, integer=True)
        has_own_head = self.head != "linear" or self.linear_probe_epochs
        if self.pooling == "architecture" and has_own_head:
            raise InvalidParameterError(
                '`pooling="architecture"` brings a head of its own: leave `head` and '
                f"`linear_probe_epochs` as they are; got head={self.head!r}, "
                f"linear_probe_epochs={self.linear_probe_epochs!r}."
            )
        if self.trainable_layers not in ("all", "layers"):
            number = "trainable_layers (a number where not 'all' or 'layers')"
            check_number(self.trainable_layers, number, 0, integer=True)
        check_option(self.precision, "precision", ["auto", "float32", "bfloat16"])
        if self.n_threads is not None:
            check_number(self.n_threads, "n_threads", 1, integer=True)

    @override
    def fast_proxy(self, n_epochs: int) -> tuple[Student, int]:
        if self.pooling == "architecture":
            return clone(self), n_epochs
        proxy = FrozenEncoderStudent(
            self.model,
            pooling="mean" if self.pooling == "attention" else self.pooling,
            max_length=self.max_length,
            window=self.window,
            predict_batch_size=self.predict_batch_size,
            device=self.device,
        )
        return proxy, max(n_epochs, 10)  # a head learns slowly

    @override
    def begin_fit(
        self,
        texts: list[str],
        n_classes: int,
        seed: int,
        *,
        multilabel: bool = False,
        resume: bool = False,
    ) -> None:
        self.multilabel_ = multilabel
        check = available_device if resume else checked_device
        device = check(self.device)
        if resume:
            model = self._fitted_classifier()
            model.dropout.p = self.dropout
        else:  # a model may come without some of its weights
            with torch_part.dropout.LocalRandomness(seed, device)():
                model = self._new_classifier(n_classes)
        pool = self._tokenize(texts)
        self._warn_of_truncation(pool.n_truncated, len(texts))
        self.__dict__.pop("_predictor", None)
        hint = 'Choose a smaller `model`, or device="cpu".'
        with named_memory_errors("the student", hint):
            self._trainer = torch_part.trainer.encoder_trainer(
                model, pool, device, seed, self, self._objective
            )

    def _new_classifier(self, n_classes: int) -> Any:
        """Return the pretrained encoder with a new head, and note its properties."""
        pretrained = torch_part.pretrained.load_pretrained(self.model)
        self._describe(pretrained)
        model = torch_part.encoder.new_classifier(
            pretrained.encoder, n_classes, self.pooling_, self.dropout, self.head
        )
        self.config_ = torch_part.encoder.portable_config(model)
        return model

    @override
    def warm_up(self, rows: IntArray, target: FloatArray, weight: FloatArray) -> None:
        if not self.linear_probe_epochs:
            return
        trainer, n_epochs = self._trainer, self.linear_probe_epochs
        with named_memory_errors("the linear probe", SMALLER_STEPS):
            torch_part.trainer.linear_probe(trainer, rows, target, weight, n_epochs)

    @override
    def batches(self, batch_size: int, rng: np.random.RandomState) -> list[IntArray]:
        pool = self._trainer.pool
        assert isinstance(pool, torch_part.pools.TextPool)
        return pool.texts.batches(batch_size, rng)

    @override
    def predict_proba(self, texts: list[str]) -> FloatArray:
        device = available_device(self.device)
        if getattr(self, "_predictor", None) is None:
            self._predictor = self._fitted_classifier()
        tokenized = self._tokenize(texts)
        self._warn_of_truncation(tokenized.n_truncated, len(texts))
        predicting = named_memory_errors("predicting a batch", SMALLER_BATCHES)
        with predicting, cpu_threads(self.n_threads):
            return torch_part.inference.text_proba(
                self._predictor.to(device),
                tokenized,
                self.predict_batch_size,
                device,
                self.multilabel_,
            )

    @override
    def embed(self, texts: list[str], verbose: int = 0) -> Float32Array:
        name = os.fspath(self.model)
        if hasattr(self, "weights_") and not (looks_like_path(name) or "/" in name):
            raise SavedModelError(  # a folder's name is none to look for on the hub
                f"the encoder that the student was made from, {name!r}, is not at hand."
            )
        return self._pretrained("memory").features(texts, verbose)[0]
