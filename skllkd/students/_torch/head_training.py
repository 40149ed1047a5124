"""Training a head alone, on features that stay as they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from skllkd._core.arrays import FloatArray, IntArray
from skllkd.students._torch.dropout import Dropout
from skllkd.students._torch.encoder import EncoderClassifier
from skllkd.students._torch.features import features_in_length_order
from skllkd.students._torch.heads import HeadLayers
from skllkd.students._torch.trainer import (
    LocalRandomness,
    RowLoss,
    Trainer,
    distributions,
    share_of_rate,
    threads,
)

Weights = dict[str, npt.NDArray[np.float32]]
_START_BATCH, _START_RATE = 32, 3e-3


class HeadRecipe(NamedTuple):
    """How to train a head."""

    learning_rate: float
    weight_decay: float
    warmup: float
    dropout: float


class _Head(HeadLayers):
    """The layers of a head, as a model of their own."""

    def __init__(self, n_features: int, n_classes: int, head: str, dropout: float):
        super().__init__()
        self.dropout = Dropout(dropout)
        self.add_layers(n_features, n_classes, head)


class HeadTrainer:
    """Trains a head on rows of features, a few rows at a time.

    Features are brought to mean 0 and variance 1 over the pool, so that one learning
    rate suits every encoder. Weights go in and out as they are for the features as
    given.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features), float32
        The pool.
    n_classes : int
        The number of classes.
    head : {"linear", "hidden"}
        The kind of head.
    seed : int
        The seed of the first weights and of dropout.
    recipe : HeadRecipe
        How to train.
    row_loss : callable
        The loss of each row, from log-probabilities and targets.
    """

    def __init__(
        self,
        features: npt.NDArray[np.float32],
        n_classes: int,
        head: str,
        seed: int,
        recipe: HeadRecipe,
        row_loss: RowLoss,
    ) -> None:
        scale = features.std(axis=0)
        self._scale = np.where(scale > 1e-6, scale, 1).astype(np.float32)
        self._mean = features.mean(axis=0)
        self._features = torch.from_numpy((features - self._mean) / self._scale)
        self._recipe, self._row_loss = recipe, row_loss
        self._randomness = LocalRandomness(seed, torch.device("cpu"))
        with self._randomness():
            self._model = _Head(features.shape[1], n_classes, head, recipe.dropout)
        self._first = "head" if self._model.hidden is None else "hidden"
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=True,
        )

    @property
    def n_rows(self) -> int:
        """The size of the pool."""
        return len(self._features)

    @torch.no_grad()
    def proba(self, rows: IntArray) -> FloatArray:
        """Return the head's distributions for some rows.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            Rows of the pool.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Distributions, rows summing to 1.
        """
        self._model.eval()
        with threads(1):  # a head is too small to be shared by several
            return distributions(self._model.classify(self._features[rows]))

    def step(
        self, rows: IntArray, target: FloatArray, weight: FloatArray, progress: float
    ) -> float:
        """Take one step of gradient descent on some rows.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            Rows of the pool.
        target : ndarray of shape (n, n_classes)
            The distributions to train towards.
        weight : ndarray of shape (n,)
            The weight of each row's loss.
        progress : float
            How much of training is done, in (0, 1]; sets the learning rate.

        Returns
        -------
        float
            The mean over the rows of weight times loss.
        """
        share = share_of_rate(progress, self._recipe.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * share
        targets = torch.as_tensor(target, dtype=torch.float32)
        weights = torch.as_tensor(weight, dtype=torch.float32)
        self._model.train()
        with threads(1):
            with self._randomness():
                logits = self._model.classify(self._features[rows])
            losses = self._row_loss(torch.log_softmax(logits, dim=1), targets)
            loss = (weights * losses).mean()
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        return float(loss.detach())

    def weights(self) -> Weights:
        """Return the weights, for features as they were given.

        Returns
        -------
        dict of str to ndarray
            The weights by name.
        """
        state = self._model.state_dict()
        weights = {name: tensor.numpy().copy() for name, tensor in state.items()}
        weights[f"{self._first}.weight"] /= self._scale
        weights[f"{self._first}.bias"] -= weights[f"{self._first}.weight"] @ self._mean
        return weights

    def set_weights(self, weights: Weights) -> None:
        """Set the weights.

        Parameters
        ----------
        weights : dict of str to ndarray
            The weights by name, as from `weights`.
        """
        weight, bias = weights[f"{self._first}.weight"], weights[f"{self._first}.bias"]
        own = weights | {
            f"{self._first}.weight": weight * self._scale,
            f"{self._first}.bias": bias + weight @ self._mean,
        }
        state = {name: torch.from_numpy(array) for name, array in own.items()}
        self._model.load_state_dict(state)


def head_weights(model: nn.Module) -> Weights:
    """Return the weights of the layers of a head that a model has.

    Parameters
    ----------
    model : Module
        The model.

    Returns
    -------
    dict of str to ndarray
        The weights by name, on the CPU.
    """
    return {
        name: tensor.cpu().numpy()
        for name, tensor in model.state_dict().items()
        if name.startswith(("head.", "hidden."))
    }


@torch.no_grad()
def head_proba(weights: Weights, features: npt.NDArray[np.float32]) -> FloatArray:
    """Return a head's distributions for rows of features.

    Parameters
    ----------
    weights : dict of str to ndarray
        The weights by name; others than the head's are ignored.
    features : ndarray of shape (n_rows, n_features)
        The features.

    Returns
    -------
    ndarray of shape (n_rows, n_classes)
        Distributions, rows summing to 1.
    """
    n_classes, n_features = weights["head.weight"].shape
    kind = "hidden" if "hidden.weight" in weights else "linear"
    with torch.random.fork_rng(devices=[]):  # the initial weights are replaced
        head = _Head(n_features, n_classes, kind, 0.0).eval()
    own = {n: a for n, a in weights.items() if n.startswith(("head.", "hidden."))}
    head.load_state_dict({name: torch.from_numpy(array) for name, array in own.items()})
    return distributions(head.classify(torch.from_numpy(features)))


def start_head(
    trainer: Trainer,
    rows: IntArray,
    target: FloatArray,
    weight: FloatArray,
    n_epochs: int,
    dropout: float,
) -> None:
    """Train a classifier's head on what its encoder says before it learns anything.

    Parameters
    ----------
    trainer : Trainer
        The trainer of an encoder with a head.
    rows : ndarray of shape (n,), int
        The rows of the pool to learn from.
    target : ndarray of shape (n, n_classes)
        The distributions to learn.
    weight : ndarray of shape (n,)
        The weight of each row's loss.
    n_epochs : int
        How often each row is seen.
    dropout : float
        The share of features dropped.
    """
    model = trainer.model
    assert isinstance(model, EncoderClassifier)  # "architecture" was refused before
    features = features_in_length_order(model, trainer.texts, rows, trainer.device)
    head = HeadTrainer(
        features,
        model.n_classes,
        "linear" if model.hidden is None else "hidden",
        trainer.seed,
        HeadRecipe(_START_RATE, 0.01, 0.0, dropout),
        trainer.row_loss,
    )
    head.set_weights(head_weights(model))
    rng = np.random.RandomState(trainer.seed)
    starts = range(0, len(rows), _START_BATCH)
    for epoch in range(n_epochs):
        order = rng.permutation(len(rows))
        for i, start in enumerate(starts):
            some = order[start : start + _START_BATCH]
            progress = (epoch + (i + 0.5) / len(starts)) / n_epochs
            head.step(some, target[some], weight[some], progress)
    learned = {name: torch.from_numpy(a) for name, a in head.weights().items()}
    model.load_state_dict(learned, strict=False)
