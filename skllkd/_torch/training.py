"""Training steps and scoring passes of the transformer student."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import numpy.typing as npt
import torch

from skllkd._torch.encoder import Classifier
from skllkd._torch.tokens import TokenizedTexts
from skllkd._validation import FloatArray, IntArray

_MAX_GRADIENT_NORM = 1.0


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
    randomness : LocalRandomness
        The source of dropout.
    learning_rate : float
        The encoder's highest learning rate.
    head_learning_rate : float
        The head's highest learning rate.
    weight_decay : float
        AdamW's weight decay.
    warmup : float
        The share of training over which the rates rise from 0.
    """

    def __init__(
        self,
        model: Classifier,
        texts: TokenizedTexts,
        device: torch.device,
        randomness: LocalRandomness,
        *,
        learning_rate: float,
        head_learning_rate: float,
        weight_decay: float,
        warmup: float,
    ) -> None:
        self.model = model.to(device)
        self.texts = texts
        self._device = device
        self._randomness = randomness
        self._warmup = warmup
        self._optimizer = torch.optim.AdamW(
            [
                {"params": list(model.encoder.parameters()), "highest": learning_rate},
                {"params": model.head_parameters(), "highest": head_learning_rate},
            ],
            lr=learning_rate,
            weight_decay=weight_decay,
            fused=device.type in ("cpu", "cuda"),
        )

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
        return class_proba(self.model.eval(), self.texts, rows, self._device)

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
            The loss: the mean over the rows of weight times cross-entropy, in nats.
        """
        rate = min(progress / self._warmup, 1.0) if self._warmup > 0 else 1.0
        for group in self._optimizer.param_groups:
            group["lr"] = group["highest"] * rate * (1 - progress)
        ids, mask = self.texts.batch(rows, self._device)
        targets = torch.as_tensor(target, dtype=torch.float32, device=self._device)
        weights = torch.as_tensor(weight, dtype=torch.float32, device=self._device)

        self.model.train()
        with self._randomness():
            logits = self.model(ids, mask)
        cross_entropy = -(targets * torch.log_softmax(logits, dim=1)).sum(dim=1)
        loss = (weights * cross_entropy).mean()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _MAX_GRADIENT_NORM)
        self._optimizer.step()
        return float(loss.detach())

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
    logits = model(*texts.batch(rows, device)).float().cpu().double()
    proba: FloatArray = torch.softmax(logits, dim=1).numpy()
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
