"""A head on a pretrained encoder that stays as it is."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skllkd._device_memory import device_memory_named
from skllkd._validation import (
    FloatArray,
    IntArray,
    check_number,
    check_option,
)
from skllkd.students._base import Student
from skllkd.students._feature_cache import features_of
from skllkd.students._losses import CrossEntropy, Loss, check_loss
from skllkd.students._transformer import (
    SMALLER_BATCHES,
    TransformerStudent,
    check_device,
    check_model,
    raise_if_diverged,
)


class FrozenEncoderStudent(TransformerStudent):
    """A head on a pretrained text encoder that stays as it is.

    The encoder reads every distinct text once; what it says, the features, is kept, and
    only a head learns from it. A fit then takes seconds, and so does a grid search over
    whatever comes after the encoder: the folds and candidates share the features.

    Parameters
    ----------
    model : str or Path, default="sentence-transformers/all-MiniLM-L6-v2"
        Any Hugging Face or sentence-transformers encoder: its name on the model hub,
        or a folder.
    learning_rate : float, default=3e-3
        The highest learning rate (AdamW, linear warm-up and decay), of features that
        are brought to mean 0 and variance 1.
    weight_decay : float, default=0.01
        AdamW's weight decay.
    warmup : float in [0, 1], default=0.1
        The share of training over which the learning rate rises from 0.
    dropout : float in [0, 1), default=0.1
        The share of features dropped in training.
    loss : Loss, optional
        How the distance to the target is measured. By default `CrossEntropy()`.
    pooling : {"auto", "mean", "cls"}, default="auto"
        What of the encoder's output is a text's features: the first token where the
        model itself uses it and the mean otherwise, the mean over the tokens, or the
        first token.
    head : {"linear", "hidden"}, default="linear"
        A linear layer, or a hidden layer as wide as the features, GELU, dropout, and a
        linear layer.
    max_length : int or "auto", default="auto"
        Longer texts are cut to this many tokens, counted and warned of. By default
        what the model was made for.
    cache : {"memory", "disk"} or None, default="memory"
        Where features are kept: in up to 256 MiB of this process's memory, beside it
        also in up to 1 GiB of `features.sqlite` in the folder `SKLLKD_CACHE` names (or
        the user's cache folder), which processes and later runs share; or nowhere. The
        file holds digests of texts and their features, no text.
    predict_batch_size : int, default=64
        Texts the encoder reads at once.
    device : str, default="auto"
        Where the encoder runs: a GPU where there is one, or a torch device. The head
        learns on the CPU.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        The weights of the encoder and, after training, of the head. Students of one
        process share those of the encoder.
    config_ : dict
        The encoder's configuration.
    tokenizer_ : str
        The tokenizer as JSON.
    special_tokens_ : dict of str to str
        The tokenizer's special tokens by role.
    pooling_ : {"mean", "cls"}
        The pooling used.
    max_length_ : int
        The longest input in tokens, special ones included.
    encoder_digest_ : str
        A digest of the encoder, under which features are kept.

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

    def __init__(
        self,
        model: str | os.PathLike[str] = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.01,
        warmup: float = 0.1,
        dropout: float = 0.1,
        loss: Loss | None = None,
        pooling: str = "auto",
        head: str = "linear",
        max_length: int | str = "auto",
        cache: str | None = "memory",
        predict_batch_size: int = 64,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.dropout = dropout
        self.loss = loss
        self.pooling = pooling
        self.head = head
        self.max_length = max_length
        self.cache = cache
        self.predict_batch_size = predict_batch_size
        self.device = device

    def check(self) -> None:
        """Raise if a parameter has a value that is not allowed.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        ModelFileError
            If `model` is the path of no folder.
        """
        for name in ("learning_rate", "weight_decay"):
            check_number(getattr(self, name), name, 0, open_high=True)
        check_number(self.warmup, "warmup", 0, 1)
        check_number(self.dropout, "dropout", 0, 1, open_high=True)
        check_loss(self.loss)
        check_option(self.pooling, "pooling", ["auto", "mean", "cls"])
        check_option(self.head, "head", ["linear", "hidden"])
        check_option(self.cache, "cache", ["memory", "disk", None])
        check_number(self.predict_batch_size, "predict_batch_size", 1, integer=True)
        if self.max_length != "auto":
            check_number(self.max_length, "max_length", 4, integer=True)
        check_model(self.model)
        check_device(self.device)

    def second_opinion(self, n_epochs: int) -> tuple[Student, int]:
        """Return a student as this.

        Parameters
        ----------
        n_epochs : int
            For how long this student is trained.

        Returns
        -------
        student : Student
            The student.
        n_epochs : int
            As given.
        """
        return Student.second_opinion(self, n_epochs)

    def start(
        self, texts: list[str], n_classes: int, seed: int, *, resume: bool = False
    ) -> None:
        """Compute the features of the pool, or take those that are known.

        Parameters
        ----------
        texts : list of str
            The pool.
        n_classes : int
            The number of classes.
        seed : int
            The seed of the head's first weights and of dropout.
        resume : bool, default=False
            Whether to go on from the weights learned before. The optimizer starts
            anew.

        Warns
        -----
        TruncationWarning
            If texts are longer than the encoder's window.
        """
        from skllkd._torch.head_training import HeadRecipe, HeadTrainer

        kind = self.head
        if resume:
            kind = "hidden" if "hidden.weight" in self.weights_ else "linear"
        else:
            self._take_encoder()
        self._head_trainer = HeadTrainer(
            self._features(texts),
            n_classes,
            kind,
            seed,
            HeadRecipe(*(getattr(self, name) for name in HeadRecipe._fields)),
            (self.loss or CrossEntropy()).of_rows,
        )
        if resume:
            own = {
                name: array
                for name, array in self.weights_.items()
                if not name.startswith("encoder.")
            }
            self._head_trainer.set_weights(own)

    def _take_encoder(self) -> None:
        """Read the encoder and note what it is like."""
        from skllkd._torch.features import frozen_encoder

        encoder = frozen_encoder(self.model, self.pooling)
        self.config_, self.tokenizer_ = encoder.config, encoder.tokenizer
        self.special_tokens_ = encoder.special_tokens
        self.encoder_digest_ = encoder.digest
        self.pooling_ = encoder.model.pooling
        self.max_length_ = encoder.max_length
        if self.max_length != "auto":
            self.max_length_ = min(int(self.max_length), encoder.max_length)
        self.weights_ = encoder.weights

    def _features(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Return the features of texts, known or computed."""
        identity = f"{self.encoder_digest_} {self.pooling_} {self.max_length_} "
        features, n_cut = features_of(texts, identity, self._encode, self.cache)
        self._warn_of_cut(n_cut, len(texts))
        return features

    def _encode(
        self, texts: list[str]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return the features of texts and whether each was cut."""
        from skllkd._torch.encoder import available_device
        from skllkd._torch.features import encoder_of_weights, features_in_length_order

        device = available_device(self.device)
        encoder = encoder_of_weights(
            self.encoder_digest_, self.config_, self.weights_, self.pooling_
        )
        tokenized = self._tokenize(texts)
        with device_memory_named("encoding a batch", SMALLER_BATCHES):
            features = features_in_length_order(
                encoder.to(device),
                tokenized,
                np.arange(len(texts)),
                device,
                self.predict_batch_size,
            )
        return features, tokenized.is_truncated

    @property
    def n_rows(self) -> int:
        """The size of the pool."""
        return self._head_trainer.n_rows

    def warm_up(self, rows: IntArray, target: FloatArray, weight: FloatArray) -> None:
        """Do nothing: the head is all that learns.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            Unused.
        target : ndarray of shape (n, n_classes)
            Unused.
        weight : ndarray of shape (n,)
            Unused.
        """

    def batches(self, batch_size: int, rng: np.random.RandomState) -> list[IntArray]:
        """Return the rows of the pool in shuffled batches, for one epoch.

        Parameters
        ----------
        batch_size : int
            Rows a batch.
        rng : RandomState
            The source of the order.

        Returns
        -------
        list of ndarray of int
            Every row once.
        """
        return Student.batches(self, batch_size, rng)  # the length no longer matters

    def rows_proba(self, rows: IntArray) -> FloatArray:
        """Return the student's distributions for some rows.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Distributions, rows summing to 1.
        """
        return self._head_trainer.proba(rows)

    def train_step(
        self, rows: IntArray, target: FloatArray, weight: FloatArray, progress: float
    ) -> float:
        """Take one step of gradient descent on some rows.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows.
        target : ndarray of shape (n, n_classes)
            The distributions to learn.
        weight : ndarray of shape (n,)
            The weight of each row's loss.
        progress : float
            How much of training is done, in (0, 1].

        Returns
        -------
        float
            The mean of weight times loss.
        """
        return self._head_trainer.step(rows, target, weight, progress)

    def snapshot(self) -> Any:
        """Return what was learned so far.

        Returns
        -------
        dict of str to ndarray
            The weights of the head.
        """
        return self._head_trainer.weights()

    def go_back(self, snapshot: Any) -> None:
        """Return to what was learned at a snapshot.

        Parameters
        ----------
        snapshot : dict of str to ndarray
            The weights of the head.
        """
        self._head_trainer.set_weights(snapshot)

    def finish(self) -> None:
        """Keep the weights as arrays on the CPU; let go of all else.

        Raises
        ------
        DivergedError
            If training has run away to weights that are no numbers.
        """
        learned = self._head_trainer.weights()
        del self._head_trainer
        self.weights_ = self.weights_ | learned
        raise_if_diverged(learned, self.learning_rate, "`learning_rate`")

    def without_cache(self) -> FrozenEncoderStudent:
        """Return the student as it predicts texts it has never read, to time it.

        Returns
        -------
        FrozenEncoderStudent
            A copy that shares the weights and keeps no features.
        """
        student = copy.copy(self)
        student.cache = None
        return student

    def predict_proba(self, texts: list[str]) -> FloatArray:
        """Return the student's distributions for texts.

        Parameters
        ----------
        texts : list of str
            The texts; empty ones are answered as the encoder sees them.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
            Distributions, rows summing to 1.

        Warns
        -----
        TruncationWarning
            If texts are longer than the encoder's window.
        """
        from skllkd._torch.head_training import head_proba

        return head_proba(self.weights_, self._features(texts))

    def save(self, folder: Path, class_names: list[str]) -> dict[str, Any]:
        """Write the student to a folder, as a `TransformerStudent` is written.

        Parameters
        ----------
        folder : Path
            The folder.
        class_names : list of str
            The class names.

        Returns
        -------
        dict
            JSON values that `load` needs beside the folder.
        """
        settings = super().save(folder, class_names)
        return settings | {"encoder_digest": self.encoder_digest_}

    def load(self, folder: Path, settings: dict[str, Any]) -> None:
        """Take back what `save` wrote.

        Parameters
        ----------
        folder : Path
            The folder.
        settings : dict
            What `save` returned.
        """
        super().load(folder, settings)
        self.encoder_digest_ = settings["encoder_digest"]

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: arrays and settings, no torch objects."""
        state = super().__getstate__()
        state.pop("_head_trainer", None)
        return state
