"""A pretrained text encoder as the student."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from skllkd._device_memory import device_memory_named
from skllkd._validation import (
    FloatArray,
    IntArray,
    check_number,
    check_option,
    looks_like_path,
)
from skllkd.exceptions import (
    DivergedError,
    InvalidParameterError,
    ModelFileError,
    TruncationWarning,
)
from skllkd.students._base import Student
from skllkd.students._losses import CrossEntropy, Loss, check_loss

_PRECISIONS = ["auto", "float32", "bfloat16", "float16"]
_SCORING = ["same", *_PRECISIONS]
_POOLINGS = ["auto", "mean", "cls", "attention", "architecture"]
#: What to do where a GPU's memory does not suffice.
SMALLER_STEPS = "Lower `batch_size`, or the student's `max_length`."
SMALLER_BATCHES = "Lower the student's `predict_batch_size` or `max_length`."
SMALLER_MODEL = 'Choose a smaller `model`, or device="cpu".'


class TransformerStudent(Student):
    """A pretrained text encoder with a head, fine-tuned as a whole.

    Parameters
    ----------
    model : str or Path, default="sentence-transformers/all-MiniLM-L6-v2"
        Any Hugging Face or sentence-transformers encoder: its name on the model hub,
        or a folder.
    learning_rate : float, default=1e-4
        The encoder's highest learning rate (AdamW, linear warm-up and decay).
    head_learning_rate : float, default=1e-3
        The head's highest learning rate.
    weight_decay : float, default=0.01
        AdamW's weight decay.
    warmup : float in [0, 1], default=0.1
        The share of training over which the learning rates rise from 0.
    dropout : float in [0, 1), default=0.1
        The share of pooled features dropped in training.
    loss : Loss, optional
        How the distance to the target is measured. By default `CrossEntropy()`.
    pooling : {"auto", "mean", "cls", "attention", "architecture"}, default="auto"
        What of the encoder's output goes to the head: the first token where the model
        itself uses it and the mean otherwise, the mean over the tokens, the first
        token, or a mean whose weights are learned. "architecture" takes pooling and
        head from the architecture's own sequence classifier, as transformers knows it.
    head : {"linear", "hidden"}, default="linear"
        A linear layer, or a hidden layer as wide as the encoder, GELU, dropout, and a
        linear layer.
    head_start : int, default=0
        How many epochs the head alone learns on the encoder's output, before the first
        step, from the teacher's distribution of every text: what the student is
        uncertain of then means something from the beginning. Costs one scoring pass
        over the pool.
    max_length : int or "auto", default="auto"
        Longer texts are cut to this many tokens, counted and warned of. By default
        what the model was made for.
    trainable_layers : {"layers", "all"} or int, default="layers"
        What of the encoder learns: all but the token embeddings, everything, or so
        many of its last layers. What the layers below say of each text is then
        computed once and kept, in up to 1 GiB of memory.
    full_batches : bool, default=False
        Whether selected texts wait until they fill a batch before they are trained on:
        fewer and quicker steps. From a pool of a few thousand texts the student may then
        learn less, as steps are few anyway. By default what was selected of each batch
        is trained on at once.
    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        The number type of the matrix products in training; weights stay float32.
        "auto" is bfloat16 where the device has instructions for it. "float16" needs a
        GPU; gradients are then scaled. Predicting is always float32.
    scoring_precision : {"same", "auto", "float32", "bfloat16", "float16"}, \
            default="same"
        The number type of the passes that only score; by default `precision`.
    torch_compile : bool, default=False
        Whether to train with `torch.compile`: minutes at the start, for long training
        on a GPU.
    attention : str, default="auto"
        How attention is computed in training, by transformers' name, "sdpa" or "eager"
        for instance. "flash_attention_2" computes it without padding, on a GPU, with
        the package flash-attn and encoders that support it.
    predict_batch_size : int, default=64
        Texts a batch when predicting.
    n_threads : int, optional
        Threads on the CPU. By default torch's own number, which joblib and Dask set in
        their workers so that these share the cores. Set it where you start several
        processes yourself: each with all cores' threads, they stand in each other's way.
    device : str, default="auto"
        Where to train and predict: a GPU where there is one, or a torch device. A
        student whose device does not exist where it is loaded predicts on the CPU.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        The weights after training.
    config_ : dict
        The encoder's configuration.
    tokenizer_ : str
        The tokenizer as JSON.
    special_tokens_ : dict of str to str
        The tokenizer's special tokens by role.
    pooling_ : {"mean", "cls", "attention", "architecture"}
        The pooling used.
    max_length_ : int
        The longest input in tokens, special ones included.

    See Also
    --------
    SklearnStudent : A vectorizer and a linear model; seconds, no torch.

    Notes
    -----
    Randomness is local: torch's global generators are given back as they were. The
    same seed on the same machine trains the same student.

    Examples
    --------
    >>> from skllkd.students import TransformerStudent
    >>> TransformerStudent(learning_rate=5e-5).max_length
    'auto'
    """

    weights_: dict[str, npt.NDArray[np.float32]]

    def __init__(
        self,
        model: str | os.PathLike[str] = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        learning_rate: float = 1e-4,
        head_learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        warmup: float = 0.1,
        dropout: float = 0.1,
        loss: Loss | None = None,
        pooling: str = "auto",
        head: str = "linear",
        head_start: int = 0,
        max_length: int | str = "auto",
        trainable_layers: str | int = "layers",
        full_batches: bool = False,
        precision: str = "auto",
        scoring_precision: str = "same",
        torch_compile: bool = False,
        attention: str = "auto",
        predict_batch_size: int = 64,
        n_threads: int | None = None,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.dropout = dropout
        self.loss = loss
        self.pooling = pooling
        self.head = head
        self.head_start = head_start
        self.max_length = max_length
        self.trainable_layers = trainable_layers
        self.full_batches = full_batches
        self.precision = precision
        self.scoring_precision = scoring_precision
        self.torch_compile = torch_compile
        self.attention = attention
        self.predict_batch_size = predict_batch_size
        self.n_threads = n_threads
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
        for name in ("learning_rate", "head_learning_rate", "weight_decay"):
            check_number(getattr(self, name), name, 0, open_high=True)
        check_number(self.warmup, "warmup", 0, 1)
        check_number(self.dropout, "dropout", 0, 1, open_high=True)
        check_loss(self.loss)
        check_number(self.predict_batch_size, "predict_batch_size", 1, integer=True)
        check_option(self.pooling, "pooling", _POOLINGS)
        check_option(self.head, "head", ["linear", "hidden"])
        check_number(self.head_start, "head_start", 0, integer=True)
        if self.pooling == "architecture" and (
            self.head != "linear" or self.head_start
        ):
            raise InvalidParameterError(
                '`pooling="architecture"` brings a head of its own: leave `head` and '
                f"`head_start` as they are; got head={self.head!r}, "
                f"head_start={self.head_start!r}."
            )
        if self.max_length != "auto":
            check_number(self.max_length, "max_length", 4, integer=True)
        if self.trainable_layers not in ("all", "layers"):
            number = "trainable_layers (a number where not 'all' or 'layers')"
            check_number(self.trainable_layers, number, 0, integer=True)
        check_option(self.full_batches, "full_batches", [False, True])
        check_option(self.precision, "precision", _PRECISIONS)
        if not isinstance(self.attention, str):
            raise InvalidParameterError(
                f"`attention` must be 'auto' or a name; got {self.attention!r}."
            )
        check_option(self.scoring_precision, "scoring_precision", _SCORING)
        if self.n_threads is not None:
            check_number(self.n_threads, "n_threads", 1, integer=True)
        check_model(self.model)
        check_device(self.device)

    @property
    def needs_distribution(self) -> bool:
        """Whether the loss needs the teacher's distribution as the target."""
        return self.loss is not None and self.loss.needs_distribution

    def second_opinion(self, n_epochs: int) -> tuple[Student, int]:
        """Return a head on the same encoder, frozen: seconds instead of minutes.

        Parameters
        ----------
        n_epochs : int
            For how long this student is trained.

        Returns
        -------
        student : Student
            The student; one as this where the encoder cannot be used alone.
        n_epochs : int
            For how long to train it: 10 at least, as a head learns slowly.
        """
        from skllkd.students._frozen import FrozenEncoderStudent

        if self.pooling == "architecture":
            return clone(self), n_epochs
        quick = FrozenEncoderStudent(
            self.model,
            pooling="mean" if self.pooling == "attention" else self.pooling,
            max_length=self.max_length,
            predict_batch_size=self.predict_batch_size,
            device=self.device,
        )
        return quick, max(n_epochs, 10)

    def start(
        self, texts: list[str], n_classes: int, seed: int, *, resume: bool = False
    ) -> None:
        """Load the encoder and tokenize the pool.

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
        from skllkd._torch.encoder import (
            available_device,
            build_classifier,
            checked_device,
        )
        from skllkd._torch.training import LocalRandomness, Recipe, Trainer

        device = (
            available_device(self.device) if resume else checked_device(self.device)
        )
        if resume:
            model = build_classifier(self.config_, self.weights_, self.pooling_)
            model.dropout.p = self.dropout
        else:
            with LocalRandomness(
                seed, device
            )():  # a model may come without some of its weights
                model = self._new_classifier(n_classes)
        pool = self._tokenize(texts)
        self._warn_of_cut(pool.n_truncated, len(texts))
        self._forget_predictor()
        with device_memory_named("the student", SMALLER_MODEL):
            self._trainer = Trainer(
                model,
                pool,
                device,
                seed,
                Recipe(**{name: getattr(self, name) for name in Recipe._fields}),
                (self.loss or CrossEntropy()).of_rows,
            )

    def _new_classifier(self, n_classes: int) -> Any:
        """Return the pretrained encoder with a new head, and note what it is like."""
        from skllkd._torch.encoder import (
            load_pretrained,
            new_classifier,
            portable_config,
        )

        pretrained = load_pretrained(self.model)
        self.tokenizer_ = pretrained.tokenizer
        self.special_tokens_ = pretrained.special_tokens
        self.pooling_ = pretrained.pooling if self.pooling == "auto" else self.pooling
        self.max_length_ = pretrained.max_length
        if self.max_length != "auto":
            self.max_length_ = min(int(self.max_length), pretrained.max_length)
        model = new_classifier(
            pretrained.encoder, n_classes, self.pooling_, self.dropout, self.head
        )
        self.config_ = portable_config(model)
        return model

    def warm_up(self, rows: IntArray, target: FloatArray, weight: FloatArray) -> None:
        """Let the head alone learn for `head_start` epochs.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows.
        target : ndarray of shape (n, n_classes)
            The teacher's distributions.
        weight : ndarray of shape (n,)
            The weight of each row's loss.

        References
        ----------
        .. [1] Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
           Out-of-Distribution", ICLR 2022, arXiv:2202.10054.
        """
        if self.head_start:
            from skllkd._torch.head_training import start_head

            with device_memory_named("the head's first epochs", SMALLER_STEPS):
                start_head(
                    self._trainer, rows, target, weight, self.head_start, self.dropout
                )

    @property
    def n_rows(self) -> int:
        """The size of the pool."""
        return len(self._trainer.texts.lengths)

    def batches(self, batch_size: int, rng: np.random.RandomState) -> list[IntArray]:
        """Return the rows of the pool in shuffled batches of similar length.

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
        return self._trainer.texts.batches(batch_size, rng)

    def rows_proba(self, rows: IntArray) -> FloatArray:
        """Return the student's distributions for some rows, without gradients.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            The rows.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Distributions, rows summing to 1.
        """
        with device_memory_named("scoring a batch", SMALLER_STEPS):
            return self._trainer.proba(rows)

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
        with device_memory_named("a training step", SMALLER_STEPS):
            return self._trainer.step(rows, target, weight, progress)

    def snapshot(self) -> Any:
        """Return what was learned so far.

        Returns
        -------
        dict of str to ndarray
            The weights.
        """
        return self._trainer.weights()

    def go_back(self, snapshot: Any) -> None:
        """Return to what was learned at a snapshot.

        Parameters
        ----------
        snapshot : dict of str to ndarray
            The weights.
        """
        self._trainer.set_weights(snapshot)

    def finish(self) -> None:
        """Keep the weights as arrays on the CPU; let go of all else.

        Raises
        ------
        DivergedError
            If training has run away to weights that are no numbers.
        """
        from skllkd._torch.training import release_memory

        self.weights_ = self._trainer.weights()
        del self._trainer
        release_memory()
        names = "`learning_rate` and `head_learning_rate`"
        raise_if_diverged(self.weights_, self.learning_rate, names)

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
        from skllkd._torch.encoder import available_device, build_classifier
        from skllkd._torch.training import predict_in_length_order, threads

        device = available_device(self.device)
        if getattr(self, "_predictor", None) is None:
            self._predictor = build_classifier(
                self.config_, self.weights_, self.pooling_
            )
        tokenized = self._tokenize(texts)
        self._warn_of_cut(tokenized.n_truncated, len(texts))
        predicting = device_memory_named("predicting a batch", SMALLER_BATCHES)
        with predicting, threads(self.n_threads):
            return predict_in_length_order(
                self._predictor.to(device), tokenized, self.predict_batch_size, device
            )

    def onnx_graph(self, quantize: str | None = None) -> Any:
        """Return the fitted student as an ONNX model, from token ids to logits.

        Parameters
        ----------
        quantize : {None, "int8"}, default=None
            Whether to multiply in eight bits.

        Returns
        -------
        onnx.ModelProto
            The model; inputs "input_ids" and "attention_mask" of shape (n_texts,
            n_tokens), output "logits" of shape (n_texts, n_classes).

        Raises
        ------
        MissingDependencyError
            If onnx or onnxruntime is not installed.
        """
        from skllkd._torch.encoder import build_classifier
        from skllkd._torch.onnx import onnx_graph

        model = build_classifier(self.config_, self.weights_, self.pooling_)
        return onnx_graph(model, quantize=quantize)

    @property
    def pad_id(self) -> int:
        """The token id that fills a batch up."""
        return int(self.config_.get("pad_token_id") or 0)

    def portable(self) -> TransformerStudent:
        """Return the student with a folder's name only, where `model` is a folder.

        Returns
        -------
        TransformerStudent
            The student itself, or a copy.
        """
        if not looks_like_path(self.model):
            return self
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.model = Path(self.model).expanduser().resolve().name
        return copy

    def save(self, folder: Path, class_names: list[str]) -> dict[str, Any]:
        """Write the student to a folder, as transformers lays one out.

        The folder opens in `transformers.AutoModel`, with "architecture" pooling in
        `AutoModelForSequenceClassification`, and with "mean" or "cls" pooling, whose
        head stands in a file of its own, in sentence-transformers.

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
        from skllkd.students._folder import write_folder

        write_folder(self, folder, class_names)
        return {
            "config": self.config_,
            "pooling": self.pooling_,
            "max_length": self.max_length_,
            "special_tokens": self.special_tokens_,
        }

    def load(self, folder: Path, settings: dict[str, Any]) -> None:
        """Take back what `save` wrote.

        Parameters
        ----------
        folder : Path
            The folder.
        settings : dict
            What `save` returned.
        """
        from skllkd.students._folder import read_weights

        self.config_ = settings["config"]
        self.pooling_ = settings["pooling"]
        self.max_length_ = settings["max_length"]
        self.special_tokens_ = settings["special_tokens"]
        self.weights_ = read_weights(folder, self.pooling_)
        self.tokenizer_ = (folder / "tokenizer.json").read_text(encoding="utf-8")
        self._forget_predictor()

    def _tokenize(self, texts: list[str]) -> Any:
        """Return texts as token ids."""
        from skllkd._torch.tokens import TokenizedTexts, load_tokenizer

        tokenizer = load_tokenizer(self.tokenizer_, self.max_length_)
        return TokenizedTexts(tokenizer, texts, self.pad_id)

    def _warn_of_cut(self, n_truncated: int, n_texts: int) -> None:
        """Warn of texts longer than the window."""
        if n_truncated:
            warnings.warn(
                f"{n_truncated} of {n_texts} texts were longer than the student's "
                f"window of {self.max_length_} tokens; only their beginning was read. "
                "Raise `max_length` where the encoder allows it, or shorten the texts.",
                TruncationWarning,
                stacklevel=4,
            )

    def _forget_predictor(self) -> None:
        """Drop the module kept for predicting."""
        self.__dict__.pop("_predictor", None)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: arrays and settings, no torch objects."""
        fitted = hasattr(self, "weights_")
        state = dict(vars(self.portable() if fitted else self))
        state.pop("_predictor", None)
        state.pop("_trainer", None)
        return state


def check_model(model: str | os.PathLike[str]) -> None:
    """Raise if a model is given as the path of no folder.

    Parameters
    ----------
    model : str or Path
        What the user set.

    Raises
    ------
    ModelFileError
        If it is.
    """
    if looks_like_path(model) and not Path(model).expanduser().is_dir():
        raise ModelFileError(
            "`model` must name an encoder on the model hub or a folder that holds "
            f"one; there is no folder {os.fspath(model)!r}."
        )


def check_device(device: str) -> None:
    """Raise if this machine does not have a device.

    Parameters
    ----------
    device : str
        What the user set.

    Raises
    ------
    InvalidParameterError
        If it does not.
    """
    if device != "auto":
        from skllkd._torch.encoder import checked_device

        checked_device(device)


def raise_if_diverged(
    weights: dict[str, npt.NDArray[np.float32]], learning_rate: float, names: str
) -> None:
    """Raise if training has run away.

    Parameters
    ----------
    weights : dict of str to ndarray
        The weights after training.
    learning_rate : float
        The learning rate.
    names : str
        The parameters to lower.

    Raises
    ------
    DivergedError
        If weights are no numbers.
    """
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise DivergedError(
            f"training diverged with learning_rate={learning_rate:g}: weights are no "
            f"numbers any more. Lower {names}. The labels bought are kept."
        )
