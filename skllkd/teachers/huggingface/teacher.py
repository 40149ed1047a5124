"""A Hugging Face causal language model as a teacher."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sklearn.base import clone
from typing_extensions import override

from skllkd._core.classes import Classes
from skllkd._core.device import checked_device
from skllkd._core.params import check_number, check_option
from skllkd.teachers.calibration import BatchCalibration
from skllkd.teachers.huggingface.loading import (
    close_source,
    loaded_model,
    loaded_tokenizer,
)
from skllkd.teachers.huggingface.model import HFModel, HFTokenizer
from skllkd.teachers.huggingface.scorer import HFScorer
from skllkd.teachers.huggingface.source import ModelSource
from skllkd.teachers.prompting.causal_lm import CausalLMTeacher
from skllkd.teachers.prompting.shortening import TextLimit
from skllkd.teachers.prompting.tokens import PromptTokens


class TransformersTeacher(CausalLMTeacher):
    """A Hugging Face causal language model, run in process by PyTorch.

    It scores as `LlamaCppTeacher` does: no answer is generated and parsed, the
    log-probability of every class is that of its label's tokens, in context, after the
    prompt. On a GPU this is the faster of the two. Code that comes with a model is
    never run.

    Parameters
    ----------
    model : str or Path
        A folder, a GGUF file, or a name on the model hub.
    gguf_file : str, optional
        The GGUF file of a hub model to take the weights from.
    revision : str, optional
        The branch, tag or commit on the hub. The stored answers are those of the
        commit.
    batch_size : int, default=32
        How many texts are evaluated together. Where they do not fit into a GPU's memory,
        half of them.
    device : str, default="auto"
        Where the model runs, as torch names it: a GPU if there is one, else the CPU.
    dtype : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        The type of the weights: bfloat16 on a GPU, float32 on the CPU.
    examples, instruction, chat : optional
        The prompt, as in `LlamaCppTeacher`.
    calibration, max_text_tokens, whole_labels, max_calls, store : optional
        As in `LlamaCppTeacher`.

    See Also
    --------
    LlamaCppTeacher : The same for GGUF files on the CPU.

    Notes
    -----
    Answers are stored under the SHA-256 of the folder's files (or the hub's commit), the
    type of the weights, the prompt, the classes and the text, as raw log-probabilities.
    Rounding differs in the last digits with the device and the batch; the first stored
    answer stays.

    Examples
    --------
    >>> from skllkd.teachers import TransformersTeacher
    >>> teacher = TransformersTeacher(
    ...     "HuggingFaceTB/SmolLM2-135M-Instruct",
    ...     examples=[("My card was charged twice.", "billing"),
    ...               ("Nothing loads since noon.", "outage")],
    ... )
    >>> teacher.batch_size
    32
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        gguf_file: str | None = None,
        revision: str | None = None,
        batch_size: int = 32,
        device: str = "auto",
        dtype: str = "auto",
        examples: Sequence[tuple[str, Any]] = (),
        instruction: str | None = None,
        chat: bool | str = "auto",
        calibration: BatchCalibration | None = BatchCalibration(),  # noqa: B008  (frozen)
        max_text_tokens: TextLimit = 400,
        whole_labels: bool = True,
        max_calls: int | None = None,
        store: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        self.model = model
        self.gguf_file = gguf_file
        self.revision = revision
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.examples = examples
        self.instruction = instruction
        self.chat = chat
        self.calibration = calibration
        self.max_text_tokens = max_text_tokens
        self.whole_labels = whole_labels
        self.max_calls = max_calls
        self.store = store

    def close(self) -> None:
        """Free the model, which stays loaded for later calls otherwise."""
        close_source(self._source())

    def _source(self) -> ModelSource:
        """Return the model's origin, checked if it is local."""
        return ModelSource.find(self.model, self.gguf_file, self.revision)

    @override
    def _tokenizer(self) -> HFTokenizer:
        return loaded_tokenizer(self._source())

    @override
    def _model(self) -> HFModel:
        return loaded_model(self._source(), *self._device_and_dtype())

    @override
    def _model_fingerprint(self) -> dict[str, Any]:
        return {
            "teacher": "transformers",
            "scoring": 2,  # raise when the same prompt is scored otherwise
            "model": self._source().fingerprint(),
            "dtype": self._device_and_dtype()[1],
        }

    @override
    def _describe(self, classes: Classes) -> dict[str, Any]:
        return super()._describe(classes) | {"model": self._source().name}

    @property
    def _chunk_size(self) -> int:  # type: ignore[override]
        return 2 * self.batch_size

    @override
    def _new_scorer(
        self, model: HFModel, prompt: PromptTokens, max_body_tokens: int
    ) -> HFScorer:
        return HFScorer(model, prompt, batch_size=self.batch_size)

    @override
    def _for_workers(self) -> TransformersTeacher:
        resolved: TransformersTeacher = clone(self)  # the key has the type chosen here
        return resolved.set_params(dtype=self._device_and_dtype()[1])

    def _device_and_dtype(self) -> tuple[str, str]:
        """Return the device the model runs on and the type of its weights."""
        checked = checked_device(self.device)
        device, kind = str(checked), checked.type
        if self.dtype != "auto":
            return device, self.dtype
        return device, "float32" if kind == "cpu" else "bfloat16"

    @override
    def _check_parameters(self, classes: Classes) -> None:
        super()._check_parameters(classes)
        check_number(self.batch_size, "batch_size", 1, integer=True)
        allowed = ["auto", "float32", "bfloat16", "float16"]
        check_option(self.dtype, "dtype", allowed)
