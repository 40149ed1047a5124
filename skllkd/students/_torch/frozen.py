"""Training an encoder's upper layers only, on what the lower ones say once for all."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skllkd._core.arrays import IntArray
from skllkd.exceptions import InvalidParameterError
from skllkd.students._torch.encoder import Classifier
from skllkd.students._torch.tokens import TokenizedTexts

#: What of the lower layers' output is kept at most; beyond it they run at each pass.
CACHE_BYTES = 2**30


def freeze_below(model: Classifier, trainable_layers: str | int) -> int:
    """Let only the upper layers of a classifier's encoder learn.

    Parameters
    ----------
    model : Classifier
        The classifier.
    trainable_layers : {"all", "layers"} or int
        Everything, all but the token embeddings, or so many of the last layers.

    Returns
    -------
    int
        How many layers lie frozen above the embeddings.

    Raises
    ------
    InvalidParameterError
        If the encoder is not made of embeddings and a list of layers.
    """
    if trainable_layers == "all":
        return 0
    if trainable_layers == "layers":
        encoder: Any = model.encoder
        encoder.get_input_embeddings().requires_grad_(False)
        return 0
    embeddings, layers = _anatomy(model)
    n_layers, n_trained = len(layers), int(trainable_layers)
    if n_trained > n_layers:
        raise InvalidParameterError(
            f"`trainable_layers` must be at most {n_layers}, the layers this encoder "
            f"has; got {n_trained}."
        )
    frozen = [embeddings, *layers[: n_layers - n_trained]]
    for module in frozen:
        module.requires_grad_(False)
    return n_layers - n_trained


def _anatomy(model: Classifier) -> tuple[nn.Module, nn.ModuleList]:
    """Return an encoder's embeddings and its list of layers."""
    encoder: Any = model.encoder
    embeddings = getattr(encoder, "embeddings", None)
    n_layers = getattr(encoder.config, "num_hidden_layers", None)
    lists = [
        module
        for module in encoder.modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    ]
    if embeddings is None or not lists:
        raise InvalidParameterError(
            "`trainable_layers` must be 'all' or 'layers' with a "
            f"{type(encoder).__name__}, whose layers are not found where other encoders "
            "have them."
        )
    return embeddings, lists[0]


class _Stored(nn.Module):
    """Stands where the embeddings were and says what is stored."""

    output: torch.Tensor

    def forward(self, *_: Any, **__: Any) -> torch.Tensor:
        """Return the hidden states stored for the batch."""
        return self.output


class LowerLayers:
    """What the frozen lower layers say of each text of a pool, computed once.

    They say it without dropout, so it stays the same throughout training.

    Parameters
    ----------
    model : Classifier
        The classifier, frozen below.
    texts : TokenizedTexts
        The pool.
    n_frozen : int
        The frozen layers above the embeddings, at least 1.
    device : torch.device
        Where to compute; what is kept stays on the CPU.
    """

    def __init__(
        self,
        model: Classifier,
        texts: TokenizedTexts,
        n_frozen: int,
        device: torch.device,
    ) -> None:
        self._model, self._texts, self._n_frozen = model, texts, n_frozen
        self._device = device
        self._embeddings, self._layers = _anatomy(model)
        width = int(model.encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        n_tokens = int(texts.lengths.sum(dtype="int64"))
        self._known = torch.zeros(len(texts.lengths), dtype=torch.bool)
        self._hidden = torch.empty(n_tokens, width)  # claimed page by page
        self._stand_in = _Stored()

    @staticmethod
    def fits(model: Classifier, texts: TokenizedTexts) -> bool:
        """Return whether what the lower layers say of a pool can be kept.

        Parameters
        ----------
        model : Classifier
            The classifier.
        texts : TokenizedTexts
            The pool.

        Returns
        -------
        bool
            Whether it takes at most `CACHE_BYTES`.
        """
        width = int(model.encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        return 4 * width * int(texts.lengths.sum(dtype="int64")) <= CACHE_BYTES

    def upper(
        self, rows: IntArray, ids: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of rows, of which only the upper layers are computed.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Rows of the pool.
        ids, mask : Tensor of shape (n_rows, length), int64
            As from `TokenizedTexts.batch`.

        Returns
        -------
        Tensor of shape (n_rows, n_classes)
            The logits.
        """
        is_token = mask.bool().cpu()
        flat = torch.from_numpy(self._texts.flat_places(rows))
        if not bool(self._known[rows].all()):
            self._hidden[flat] = self._lower(ids, mask)[is_token.to(ids.device)].cpu()
            self._known[rows] = True
        hidden = torch.zeros(*mask.shape, self._hidden.shape[1])
        hidden[is_token] = self._hidden[flat]
        self._stand_in.output = hidden.to(self._device)
        return self._with(self._stand_in, slice(self._n_frozen, None), ids, mask)

    @torch.no_grad()
    def _lower(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the hidden states above the frozen layers."""
        hidden: list[torch.Tensor] = []
        last = self._layers[self._n_frozen - 1]
        hook = last.register_forward_hook(lambda _, __, out: hidden.append(_first(out)))
        training = self._model.training
        try:
            self._model.eval()
            self._with(self._embeddings, slice(self._n_frozen), ids, mask)
        finally:
            self._model.train(training)
            hook.remove()
        return hidden[0].float()

    def _with(
        self, embeddings: nn.Module, part: slice, ids: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Run the classifier with other embeddings and some of the layers only."""
        encoder: Any = self._model.encoder
        every = list(self._layers)
        try:
            encoder.embeddings = embeddings
            self._layers._modules = {str(i): m for i, m in enumerate(every[part])}
            logits: torch.Tensor = self._model(ids, mask)
        finally:
            encoder.embeddings = self._embeddings
            self._layers._modules = {str(i): m for i, m in enumerate(every)}
        return logits


def _first(output: Any) -> torch.Tensor:
    """Return a layer's hidden states, which some give in a tuple."""
    first: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return first
