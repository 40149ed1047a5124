"""Training steps and scoring passes of the transformer student."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from skllkd._attention import attention_of_any_shape
from skllkd._torch.dropout import quicker_dropout
from skllkd._torch.encoder import Classifier, set_attention
from skllkd._torch.frozen import LowerLayers, freeze_below
from skllkd._torch.precision import autocast, compute_dtype
from skllkd._torch.together import Together
from skllkd._torch.tokens import TokenizedTexts
from skllkd._validation import FloatArray, IntArray

_MAX_GRADIENT_NORM = 1.0
#: From log-probabilities and targets of rows to the loss of each.
RowLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
#: What a pass costs beside its tokens, as a number of tokens; measured with MiniLM.
_LAUNCH_TOKENS = {"cpu": 64, "gpu": 4096}
#: The most rows of a pass, and on a GPU, where more are quicker, the most tokens if
#: these are of more rows: 64 texts of 256 tokens.
_MOST_ROWS, _MOST_TOKENS_ON_GPU = 64, 2**14


class LocalRandomness:
    """A stream of torch's global generators, set for a block and given back.

    Dropout draws from the global generators and from no other. This keeps a stream of
    its own in them only while it is needed.

    Parameters
    ----------
    seed : int
        The seed of the stream.
    device : torch.device
        The device whose generator is used beside the CPU's.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._gpu_device = device if device.type == "cuda" else None
        self._devices = range(torch.cuda.device_count())  # all are seeded
        with torch.random.fork_rng(devices=self._devices):
            torch.manual_seed(seed)
            self._keep()

    def _keep(self) -> None:
        """Remember where the stream stands."""
        self._cpu = torch.get_rng_state()
        gpu = self._gpu_device
        self._gpu = None if gpu is None else torch.cuda.get_rng_state(gpu)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Draw from this stream inside the block."""
        with torch.random.fork_rng(devices=self._devices):
            torch.set_rng_state(self._cpu)
            if self._gpu is not None and self._gpu_device is not None:
                torch.cuda.set_rng_state(self._gpu, self._gpu_device)
            yield
            self._keep()


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Compute with so many threads on the CPU inside the block.

    Parameters
    ----------
    number : int or None
        How many; None leaves it to torch, which in joblib's and Dask's workers takes
        the share of the cores they were given.
    """
    if number is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def share_of_rate(progress: float, warmup: float) -> float:
    """Return what share of the highest learning rate holds now.

    Parameters
    ----------
    progress : float
        How much of training is done, in (0, 1].
    warmup : float
        The share of training over which the rate rises from 0, in [0, 1].

    Returns
    -------
    float
        The share: a rise from 0, and a straight fall back to it.
    """
    rise = min(progress / warmup, 1.0) if warmup > 0 else 1.0
    return rise * (1 - progress)


class Recipe(NamedTuple):
    """How to train: the parameters of `TransformerStudent`, checked."""

    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    warmup: float
    trainable_layers: str | int
    precision: str
    scoring_precision: str
    torch_compile: bool
    attention: str
    n_threads: int | None


class Trainer:
    """Trains a classifier on tokenized texts, a few rows at a time.

    Parameters
    ----------
    model : Classifier
        The classifier, on the CPU.
    texts : TokenizedTexts
        The pool.
    device : torch.device
        Where to train.
    seed : int
        The seed of dropout.
    recipe : Recipe
        How to train.
    row_loss : callable
        The loss of each row, from log-probabilities and targets.
    """

    def __init__(
        self,
        model: Classifier,
        texts: TokenizedTexts,
        device: torch.device,
        seed: int,
        recipe: Recipe,
        row_loss: RowLoss,
    ) -> None:
        self.row_loss, self.seed = row_loss, seed
        self._together = Together()
        self._device = self.device = device = self._together.device(device)
        self._randomness = LocalRandomness(seed + self._together.rank, device)
        self.model, self.texts, self._recipe = model.to(device), texts, recipe
        quicker_dropout(model)
        set_attention(model, recipe.attention)
        n_frozen = freeze_below(model, recipe.trainable_layers)
        self._lower: LowerLayers | None = None
        if n_frozen and LowerLayers.fits(model, texts):
            self._lower = LowerLayers(model, texts, n_frozen, device)
        self._forward = (
            torch.compile(model, dynamic=True) if recipe.torch_compile else model
        )
        self._dtype = compute_dtype(recipe.precision, device)
        self._scoring_dtype = self._dtype
        if recipe.scoring_precision != "same":
            self._scoring_dtype = compute_dtype(recipe.scoring_precision, device)
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=self._dtype == torch.float16
        )
        groups = [
            (list(model.encoder.parameters()), recipe.learning_rate),
            (model.head_parameters(), recipe.head_learning_rate),
        ]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in part if p.requires_grad], "highest": rate}
                for part, rate in groups
            ],
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=device.type in ("cpu", "cuda"),
        )

    def _logits(self, rows: IntArray) -> torch.Tensor:
        """Return the logits of some rows, in the model's mode."""
        ids, mask = self.texts.batch(rows, self._device)
        with attention_of_any_shape(self._device.type):
            if self._lower is not None:
                return self._lower.upper(rows, ids, mask)
            logits: torch.Tensor = self._forward(ids, mask)
            return logits

    def _passes(self, rows: IntArray) -> list[IntArray]:
        """Return the places of rows in the passes this process makes over them."""
        mine = self._together.share(np.arange(len(rows)))
        if not len(mine):
            return []
        kind = "cpu" if self._device.type == "cpu" else "gpu"
        most_rows = _MOST_ROWS
        if kind == "gpu":
            longest = int(self.texts.lengths[rows[mine]].max())
            most_rows = max(most_rows, _MOST_TOKENS_ON_GPU // max(longest, 1))
        parts = self.texts.of_similar_length(
            rows[mine], _LAUNCH_TOKENS[kind], most_rows
        )
        return [mine[part] for part in parts]

    @torch.no_grad()
    def proba(self, rows: IntArray) -> FloatArray:
        """Return the student's distributions for some rows, without gradients.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Rows of the pool.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Distributions, rows summing to 1.
        """
        self.model.eval()
        n_classes = self.model.n_classes
        logits = torch.zeros(len(rows), n_classes, device=self._device)
        with threads(self._recipe.n_threads):
            for places in self._passes(rows):
                with autocast(self._scoring_dtype, self._device):
                    logits[places] = self._logits(rows[places]).float()
        return distributions(self._together.sum(logits))

    def step(
        self,
        rows: IntArray,
        target: FloatArray,
        weight: FloatArray,
        progress: float,
    ) -> float:
        """Take one step of gradient descent on some rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Rows of the pool.
        target : ndarray of shape (n_rows, n_classes)
            The distributions to train towards.
        weight : ndarray of shape (n_rows,)
            The weight of each row's loss.
        progress : float
            How much of training is done, in (0, 1]; sets the learning rate.

        Returns
        -------
        float
            The mean over the rows of weight times loss.
        """
        self._set_learning_rates(progress)
        targets = torch.as_tensor(target, dtype=torch.float32, device=self._device)
        weights = torch.as_tensor(weight, dtype=torch.float32, device=self._device)
        total = torch.zeros((), device=self._device)

        self.model.train()
        self._optimizer.zero_grad(set_to_none=True)
        with threads(self._recipe.n_threads):
            for places in self._passes(rows):  # the gradient is the sum over passes
                with self._randomness(), autocast(self._dtype, self._device):
                    logits = self._logits(rows[places]).float()
                log_proba = torch.log_softmax(logits, dim=1)
                losses = self.row_loss(log_proba, targets[places])
                loss = (weights[places] * losses).sum() / len(rows)
                self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
            learning = [p for p in self.model.parameters() if p.requires_grad]
            self._together.sum_gradients(learning)
            self._scaler.unscale_(self._optimizer)
            torch.nn.utils.clip_grad_norm_(learning, _MAX_GRADIENT_NORM)
            self._scaler.step(self._optimizer)
            self._scaler.update()
        return float(self._together.sum(total))

    def _set_learning_rates(self, progress: float) -> None:
        """Set the rates of the encoder and the head."""
        share = share_of_rate(progress, self._recipe.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = group["highest"] * share

    def set_weights(self, weights: dict[str, npt.NDArray[np.float32]]) -> None:
        """Set the weights.

        Parameters
        ----------
        weights : dict of str to ndarray
            The weights by name.
        """
        state = {name: torch.from_numpy(array) for name, array in weights.items()}
        self.model.load_state_dict(state)

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the weights as arrays on the CPU.

        Returns
        -------
        dict of str to ndarray
            The weights by name.
        """
        state = self.model.state_dict()
        return {name: tensor.cpu().numpy().copy() for name, tensor in state.items()}


@torch.inference_mode()
def class_proba(
    model: Classifier,
    texts: TokenizedTexts,
    rows: IntArray,
    device: torch.device,
) -> FloatArray:
    """Return a classifier's distributions for one batch of rows.

    Parameters
    ----------
    model : Classifier
        The classifier in evaluation mode, on `device`.
    texts : TokenizedTexts
        The texts.
    rows : ndarray of shape (n_rows,), int
        Which of them.
    device : torch.device
        Where to compute.

    Returns
    -------
    ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1.
    """
    with attention_of_any_shape(device.type):
        return distributions(model(*texts.batch(rows, device)))


def distributions(logits: torch.Tensor) -> FloatArray:
    """Return logits as distributions, in double precision.

    Parameters
    ----------
    logits : Tensor of shape (n_rows, n_classes)
        The logits.

    Returns
    -------
    ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1.
    """
    proba: FloatArray = torch.softmax(logits.float().cpu().double(), dim=1).numpy()
    return proba


def predict_in_length_order(
    model: Classifier,
    texts: TokenizedTexts,
    batch_size: int,
    device: torch.device,
) -> FloatArray:
    """Return a classifier's distributions for all texts, in their order.

    Parameters
    ----------
    model : Classifier
        The classifier in evaluation mode, on `device`.
    texts : TokenizedTexts
        The texts.
    batch_size : int
        Texts a batch; batches hold texts of similar length.
    device : torch.device
        Where to compute.

    Returns
    -------
    ndarray of shape (n_texts, n_classes)
        Distributions, rows summing to 1.
    """
    order = np.argsort(texts.lengths, kind="stable")
    starts = range(0, len(order), batch_size)
    parts = [
        class_proba(model, texts, order[start : start + batch_size], device)
        for start in starts
    ]
    proba = np.empty((len(order), parts[0].shape[1]))
    proba[order] = np.concatenate(parts)
    return proba


def release_memory() -> None:
    """Give freed memory back to the operating system, where the C library is glibc.

    It keeps freed blocks of a model's size for later, in pieces that the next model
    does not quite fit into: a search over many fits then holds a third more than one.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
