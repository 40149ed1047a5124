"""A local language model in GGUF format as a teacher, through llama.cpp."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
from typing_extensions import override

from skllkd._core.classes import Classes
from skllkd._core.device import most_threads
from skllkd._core.digest import file_digest
from skllkd._core.params import check_number
from skllkd._core.registry import HandleKey
from skllkd.teachers.calibration import BatchCalibration
from skllkd.teachers.llamacpp.model import LlamaModel, loaded_model, models
from skllkd.teachers.llamacpp.scorer import LlamaScorer, scorers
from skllkd.teachers.prompting.causal_lm import CausalLMTeacher
from skllkd.teachers.prompting.shortening import TextLimit
from skllkd.teachers.prompting.tokens import PromptTokens


class LlamaCppTeacher(CausalLMTeacher):
    """A local language model in GGUF format, run in process by llama.cpp.

    No answer is generated and parsed: the log-probability of every class is that of
    its label's tokens, in context, after the prompt. The prompt's beginning is
    evaluated once for all texts, and many texts are evaluated together.

    Parameters
    ----------
    model_path : str or Path
        The GGUF file.
    examples : sequence of (str, class), default=()
        Few-shot examples: texts with their class, at best as many of each.
    instruction : str, optional
        The task in words. By default a sentence that names the classes.
        Descriptions of the classes are added to either.
    chat : bool or "auto", default="auto"
        Whether to ask in the model's chat template: where it has one, always, never.
    calibration : BatchCalibration, default=BatchCalibration()
        Correction of the model's preference for some labels; None for none. Applied to
        stored answers, so changing it costs no call.
    max_text_tokens : int or (int, int), default=400
        Longer texts are cut, counted and warned of: their head is read, or, with two
        numbers as (300, 100), head and tail.
    batch_tokens : int, default=512
        How many tokens are evaluated together.
    n_threads : int, optional
        Threads for evaluation; by default one a physical core this process may use,
        or as many as OMP_NUM_THREADS says, as it does in joblib's and Dask's workers.
    whole_labels : bool, default=True
        Whether the probability of a class is that of all its label's tokens. False
        reads each label only as far as it differs from the others: as quick as labels
        of one token, where whole labels of four cost up to twice the time on short
        texts. What it changes is in the guide (Calibration).
    max_calls : int, optional
        Maximum number of texts sent to the model, over all runs that share the store.
    store : str, Path or False, optional
        The label store's file; False for none. By default `labels.sqlite` in the
        folder named by SKLLKD_CACHE, or in the user's cache folder.

    See Also
    --------
    TransformersTeacher : The same for Hugging Face models, at best on a GPU.
    expand_gguf : Quantised weights in 32 bits: twice as fast on some CPUs, and exact.

    Notes
    -----
    Answers are stored under the SHA-256 of the model file, the prompt, the classes and
    the text, as raw log-probabilities. With weights in 32 bits an answer is the same, to
    1e-5, whatever texts it is evaluated with. With quantised weights llama.cpp rounds
    differently for different batch shapes, so an answer depends somewhat on them (up to
    0.3 nats were seen in Q4_1); the first stored answer stays.

    Examples
    --------
    >>> from skllkd.teachers import LlamaCppTeacher
    >>> teacher = LlamaCppTeacher(
    ...     "SmolLM2-135M-Instruct.Q4_1.gguf",
    ...     examples=[("My card was charged twice.", "billing"),
    ...               ("Nothing loads since noon.", "outage")],
    ... )
    >>> teacher.max_text_tokens
    400
    """

    _chunk_size = 32

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        *,
        examples: Sequence[tuple[str, Any]] = (),
        instruction: str | None = None,
        chat: bool | str = "auto",
        calibration: BatchCalibration | None = BatchCalibration(),  # noqa: B008  (frozen)
        max_text_tokens: TextLimit = 400,
        batch_tokens: int = 512,
        n_threads: int | None = None,
        whole_labels: bool = True,
        max_calls: int | None = None,
        store: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        self.model_path = model_path
        self.examples = examples
        self.instruction = instruction
        self.chat = chat
        self.calibration = calibration
        self.max_text_tokens = max_text_tokens
        self.batch_tokens = batch_tokens
        self.n_threads = n_threads
        self.whole_labels = whole_labels
        self.max_calls = max_calls
        self.store = store

    def close(self) -> None:
        """Free the model and its caches, which stay open for later calls otherwise."""
        scorers.close(self._owner)
        models.close(self._owner)

    @property
    def _owner(self) -> str:
        """The name under which the model and its caches are kept."""
        return str(Path(self.model_path).resolve())

    @override
    def _tokenizer(self) -> LlamaModel:
        return self._model()

    @override
    def _model(self) -> LlamaModel:
        return loaded_model(Path(self.model_path))

    @override
    def _model_fingerprint(self) -> dict[str, Any]:
        return {
            "teacher": "llama.cpp",
            "scoring": 3,  # raise when the same prompt is scored otherwise
            "model": file_digest(Path(self.model_path)),
        }

    @override
    def _new_scorer(
        self, model: LlamaModel, prompt: PromptTokens, max_body_tokens: int
    ) -> LlamaScorer:
        batch_tokens = max(self.batch_tokens, max_body_tokens + prompt.n_tail)
        arguments = (model, prompt, batch_tokens, self._threads())
        key = HandleKey(self._owner, arguments)
        return scorers.get(key, lambda: LlamaScorer(*arguments))

    @override
    def _check_parameters(self, classes: Classes) -> None:
        super()._check_parameters(classes)
        check_number(self.batch_tokens, "batch_tokens", 32, integer=True)
        if self.n_threads is not None:
            check_number(self.n_threads, "n_threads", 1, integer=True)

    def _threads(self) -> int:
        """Return how many threads evaluate."""
        cores = int(joblib.cpu_count(only_physical_cores=True))
        given = os.environ.get("OMP_NUM_THREADS", "")
        share = int(given) if given.isdecimal() else cores
        return most_threads(self.n_threads or max(1, min(cores, share)))
