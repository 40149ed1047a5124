"""A head on a pretrained encoder that stays as it is."""

from __future__ import annotations

import copy
import os

from typing_extensions import override

from skllkd._core.arrays import Float32Array, FloatArray, Weights
from skllkd._core.params import check_option
from skllkd.students.encoder_base import EncoderStudent
from skllkd.students.lazy_torch import torch_part
from skllkd.students.losses import Loss
from skllkd.students.text_encoder import TextEncoder


class FrozenEncoderStudent(EncoderStudent):
    """A head on a pretrained text encoder that stays as it is.

    The encoder reads every distinct text once; its output, the features, is kept, and
    only a head is trained on it. A fit then takes seconds, and so does a grid search
    over anything that comes after the encoder: folds and candidates share the features.

    Parameters
    ----------
    model : str or Path, default="sentence-transformers/all-MiniLM-L6-v2"
        Any Hugging Face or sentence-transformers encoder: its name on the model hub,
        or a folder.
    learning_rate : float, default=3e-3
        Peak learning rate, for standardised features: AdamW with weight decay 0.01,
        linear warm-up over the first tenth of training, linear decay.
    dropout : float in [0, 1), default=0.1
        Share of features dropped in training.
    loss : Loss, optional
        Distance to the target. By default `CrossEntropy()`.
    pooling : {"auto", "mean", "cls"}, default="auto"
        Features of a text: the first token where the model itself uses it and the mean
        otherwise, the mean over the tokens, or the first token.
    head : {"linear", "hidden"}, default="linear"
        A linear layer, or a hidden layer as wide as the features, GELU, dropout, and a
        linear layer.
    max_length : int or "auto", default="auto"
        Longest input in tokens; longer texts are cut, counted and warned of. By default
        the model's own.
    window : {"head", "head_tail", "mean"}, default="head"
        Part read of a text that is longer than `max_length`: its beginning; half of the
        window from its beginning and half from its end; or all of it, in windows that
        overlap by an eighth and whose features are averaged by their number of tokens
        (64 windows at most, evenly spaced).
    cache : {"memory", "disk"} or None, default="memory"
        Store of the features: up to 256 MiB of this process's memory, beside it also up
        to 1 GiB of `features.sqlite` in the folder `SKLLKD_CACHE` names (or
        the user's cache folder), which processes and later runs share; or nowhere. The
        file holds digests of texts and their features, no text.
    predict_batch_size : int, optional
        Texts a batch when encoding; by default 64 on a CPU and 256 on a GPU.
    device : str, default="auto"
        Device of the encoder: a GPU where there is one, or a torch device. The head is
        trained on the CPU.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Weights of the encoder and, after training, of the head. Students of one process
        share those of the encoder.
    config_ : dict
        Configuration of the encoder.
    tokenizer_ : str
        Tokenizer as JSON.
    special_tokens_ : dict of str to str
        Special tokens of the tokenizer by role.
    pooling_ : {"mean", "cls"}
        Pooling used.
    max_length_ : int
        Longest input in tokens, special ones included.
    multilabel_ : bool
        Whether a text has none, one or several of the classes.
    encoder_digest_ : str
        Digest of the encoder, under which features are kept.

    See Also
    --------
    TransformerStudent : Fine-tunes the encoder; minutes, and as a rule better.
    SklearnStudent : A vectorizer and a linear model; no torch.

    Notes
    -----
    A head learns little in the 3 epochs that are `LLKDClassifier`'s default: 10 to 30
    cost seconds.

    The same seed on the same features trains the same student. Features of a text that
    were computed among other texts may differ in the last bits (some 1e-7), as the
    encoder's sums are then made in another order.

    Examples
    --------
    >>> from skllkd.students import FrozenEncoderStudent, GeneralizedCrossEntropy
    >>> student = FrozenEncoderStudent(head="hidden", loss=GeneralizedCrossEntropy())
    >>> student.get_params()["loss__q"]
    0.7
    """

    encoder_digest_: str
    _rates = ("learning_rate",)
    _poolings = ("auto", "mean", "cls")
    saved_settings = (*EncoderStudent.saved_settings, "encoder_digest")

    def __init__(
        self,
        model: str | os.PathLike[str] = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        learning_rate: float = 3e-3,
        dropout: float = 0.1,
        loss: Loss | None = None,
        pooling: str = "auto",
        head: str = "linear",
        max_length: int | str = "auto",
        window: str = "head",
        cache: str | None = "memory",
        predict_batch_size: int | None = None,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.loss = loss
        self.pooling = pooling
        self.head = head
        self.max_length = max_length
        self.window = window
        self.cache = cache
        self.predict_batch_size = predict_batch_size
        self.device = device

    @override
    def check(self) -> None:
        super().check()
        check_option(self.cache, "cache", ["memory", "disk", None])

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
        learned = torch_part.heads.head_weights(self.weights_) if resume else None
        if learned is None:
            self._read_encoder()
        self._trainer = torch_part.trainer.head_trainer(
            self._features(texts),
            n_classes,
            self.head if learned is None else torch_part.heads.head_kind(learned),
            seed,
            self.learning_rate,
            self.dropout,
            self._objective,
        )
        if learned is not None:
            self.restore(learned)

    def _read_encoder(self) -> None:
        """Read the encoder and note its properties."""
        encoder = torch_part.pretrained.frozen_encoder(self.model, self.pooling)
        self._describe(encoder.pretrained)
        self.config_, self.weights_ = encoder.config, encoder.weights
        self.encoder_digest_ = encoder.digest

    @override
    def _frozen_weights(self) -> Weights:
        return {n: a for n, a in self.weights_.items() if n.startswith("encoder.")}

    def _encoder(self) -> TextEncoder:
        """Return the encoder read, with the weights kept."""
        return TextEncoder(
            digest=self.encoder_digest_,
            config=self.config_,
            weights=self.weights_,
            tokenizer=self.tokenizer_,
            pooling=self.pooling_,
            window=self.reading,
            cache=self.cache,
            batch_size=self.predict_batch_size,
            device=self.device,
        )

    def _features(self, texts: list[str]) -> Float32Array:
        """Return the features of texts, known or computed."""
        features, n_cut = self._encoder().features(texts)
        self._warn_of_truncation(n_cut, len(texts))
        return features

    @override
    def embed(self, texts: list[str], verbose: int = 0) -> Float32Array:
        is_read = hasattr(self, "encoder_digest_")
        encoder = self._encoder() if is_read else self._pretrained(self.cache)
        return encoder.features(texts, verbose)[0]

    @override
    def without_cache(self) -> FrozenEncoderStudent:
        student = copy.copy(self)
        student.cache = None
        return student

    @override
    def predict_proba(self, texts: list[str]) -> FloatArray:
        features = self._features(texts)
        return torch_part.inference.head_proba(
            self.weights_, features, self.multilabel_
        )
