"""A Hugging Face causal language model as a teacher."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from skllkd._core.classes import Classes
from skllkd._core.params import check_number, check_option
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.calibration import BatchCalibration, Calibration
from skllkd.teachers.huggingface.model import (
    Tokens,
    close_source,
    loaded_network,
    loaded_tokens,
)
from skllkd.teachers.huggingface.scorer import PromptScorer
from skllkd.teachers.huggingface.source import Source
from skllkd.teachers.metered.bridge import Answers, AskedTeacher
from skllkd.teachers.metered.store import LabelStore
from skllkd.teachers.plan import TokenCount
from skllkd.teachers.prompting.prompt_tokens import PromptTokens, prompt_tokens
from skllkd.teachers.prompting.template import (
    PromptFrame,
    as_examples,
    build_frame,
    one_line,
)

#: So many texts are put in order of length together; more would make little difference
#: and the first answers come later.
_WINDOW = 1024
#: As in `LlamaCppTeacher`: a prompt must not change with the day.
_TEMPLATE_DATE = "26 Jul 2024"


class TransformersTeacher(AskedTeacher):
    """A Hugging Face causal language model, run in process by PyTorch.

    It asks and scores as `LlamaCppTeacher` does: no answer is generated and parsed, the
    log-probability of every class is that of its label's tokens, in context, after the
    prompt. On a GPU this is the fast one of the two. Code that comes with a model is
    never run.

    Parameters
    ----------
    model : str or Path
        A folder, or a name on the model hub.
    gguf_file : str, optional
        The GGUF file in the folder or hub model to take the weights from.
    revision : str, optional
        The branch, tag or commit on the hub. The stored answers are those of the
        commit.
    examples : sequence of (str, class), default=()
        Few-shot examples: texts with their class, at best as many of each.
    instruction : str, optional
        The task in words. By default a sentence that names the classes.
        Descriptions of the classes are added to either.
    chat : bool or "auto", default="auto"
        Whether to ask in the model's chat template: where it has one, always, never.
    calibration : BatchCalibration or ContextualCalibration, default=BatchCalibration()
        Correction of the model's preference for some labels; None for none. Applied to
        stored answers, so changing it costs no call.
    max_text_tokens : int, default=400
        Longer texts are cut, counted and warned of.
    batch_size : int, default=32
        How many texts are evaluated together. Where they do not fit into a GPU's memory,
        half of them.
    device : str, default="auto"
        Where the model runs, as torch names it: a GPU if there is one, else the CPU.
    dtype : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        The type of the weights: bfloat16 on a GPU, float32 on the CPU.
    whole_labels : bool, default=True
        Whether the probability of a class is that of all its label's tokens. False
        reads each label only as far as it differs from the others.
    max_calls : int, optional
        At most so many texts are asked about, over all runs that share the store.
    store : str, Path or False, optional
        The label store's file; False for none. By default `labels.sqlite` in the
        folder named by SKLLKD_CACHE, or in the user's cache folder.

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
        examples: Sequence[tuple[str, Any]] = (),
        instruction: str | None = None,
        chat: bool | str = "auto",
        calibration: Calibration | None = BatchCalibration(),  # noqa: B008  (frozen)
        max_text_tokens: int = 400,
        batch_size: int = 32,
        device: str = "auto",
        dtype: str = "auto",
        whole_labels: bool = True,
        max_calls: int | None = None,
        store: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        self.model = model
        self.gguf_file = gguf_file
        self.revision = revision
        self.examples = examples
        self.instruction = instruction
        self.chat = chat
        self.calibration = calibration
        self.max_text_tokens = max_text_tokens
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.whole_labels = whole_labels
        self.max_calls = max_calls
        self.store = store

    def close(self) -> None:
        """Free the model, which stays loaded for later calls otherwise."""
        close_source(self._source())

    def _source(self) -> Source:
        """Return where the model is from, once it is known to be there."""
        return Source.found(self.model, self.gguf_file, self.revision)

    def _specification(self, classes: Classes) -> dict[str, Any]:
        """Return the model's digest and the prompt it is given."""
        self._check()
        source = self._source()
        with LabelStore(self.store or None) as store:
            digest = source.digest(store)
        frame = self._frame(loaded_tokens(source), classes)
        return {
            "teacher": "transformers",
            "scoring": 1,  # raise when the same prompt is scored otherwise
            "model": digest,
            "dtype": self._place()[1],
            "whole_labels": bool(self.whole_labels),
            "before": frame.before,
            "after": frame.after,
            "answers": frame.answers,
            "end": frame.end,
            "max_text_tokens": self.max_text_tokens,
        }

    def _describe(self, classes: Classes) -> dict[str, Any]:
        """Return what the store's table of contents says of the answers."""
        source = self._source()
        name = Path(source.model).name if source.is_local else source.model
        described = {"teacher": type(self).__name__, "classes": list(classes.words)}
        return described | {"model": name if source.gguf_file is None else source[1]}

    def _answers(self, texts: Iterable[str], classes: Classes) -> Iterator[Answers]:
        """Yield log-probabilities, batch by batch."""
        self._check()
        source = self._source()
        tokens = loaded_tokens(source)
        prompt = self._prompt(tokens, self._frame(tokens, classes))
        network = loaded_network(source, *self._place())
        longest = self._longest(prompt, network.context_length)
        scorer = PromptScorer(network, *prompt, batch_size=self.batch_size)
        drawn, start, n_read = iter(texts), 0, len(prompt.prefix)
        while some := list(itertools.islice(drawn, _WINDOW)):
            bodies = [tokens.tokenize(one_line(text), special=False) for text in some]
            cut = np.array([len(body) > longest for body in bodies])
            bodies = [body[:longest] for body in bodies]
            for places, log_prob in scorer.score(bodies):
                n_read += sum(len(bodies[place]) + prompt.n_tail for place in places)
                yield Answers(
                    start + places,
                    log_prob,
                    np.minimum(np.exp(log_prob).sum(axis=1), 1.0),
                    n_truncated=int(cut[places].sum()),
                    input_tokens=n_read,
                )
                n_read = 0
            start += len(some)

    def _count(self, texts: list[str], classes: Classes) -> TokenCount:
        """Return the tokens that are evaluated: the prompt's beginning counts once."""
        if not texts:
            return TokenCount(0, 0, "counted")
        tokens = loaded_tokens(self._source())
        prompt = self._prompt(tokens, self._frame(tokens, classes))
        bodies = (len(tokens.tokenize(one_line(t), special=False)) for t in texts)
        read = sum(min(n, self.max_text_tokens) + prompt.n_tail for n in bodies)
        return TokenCount(read + len(prompt.prefix), 0, "counted")

    def _for_workers(self) -> TransformersTeacher:
        """Return the teacher with the type of the weights chosen here, as in the key."""
        resolved: TransformersTeacher = clone(self).set_params(dtype=self._place()[1])
        return resolved

    def _longest(self, prompt: PromptTokens, context_length: int) -> int:
        """Return how many tokens of a text are read."""
        n_framed = len(prompt.prefix) + prompt.n_tail
        room = context_length - n_framed
        if room < 1:
            raise InvalidParameterError(
                f"the prompt without a text has {n_framed} tokens and leaves no room in "
                f"the model's window of {context_length}. Use fewer or shorter "
                "`examples`."
            )
        return min(self.max_text_tokens, room)

    def _prompt(self, tokens: Tokens, frame: PromptFrame) -> PromptTokens:
        """Return the frame in tokens."""
        return prompt_tokens(
            tokens,
            tokens.begin,
            tokens.end_token or 0,
            frame,
            whole_labels=bool(self.whole_labels),
        )

    def _frame(self, tokens: Tokens, classes: Classes) -> PromptFrame:
        """Return what stands around a text in the prompt."""
        check_option(self.chat, "chat", ["auto", True, False])
        if self.chat is True and not tokens.has_chat_template:
            raise InvalidParameterError(
                "`chat=True` needs a chat template, and the model has none. Use "
                "chat=False for a plain prompt."
            )
        examples = as_examples(self.examples, classes)
        template = None
        if self.chat and tokens.has_chat_template:

            def template(messages: list[dict[str, str]]) -> str:
                return tokens.chat(messages, _TEMPLATE_DATE)

        return build_frame(classes, self.instruction, examples, template)

    def _place(self) -> tuple[str, str]:
        """Return the device the model runs on and the type of its weights."""
        import torch

        device = self.device
        if device == "auto":
            has_mps = torch.backends.mps.is_available()
            device = "mps" if has_mps else "cpu"
            device = "cuda" if torch.cuda.is_available() else device
        try:
            kind = torch.device(device).type
            torch.empty(0, device=device)
        except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InvalidParameterError(
                '`device` must be "auto" or a torch device of this machine, such as '
                f'"cpu" or "cuda:0"; got {device!r}: {reason}'
            ) from error
        if self.dtype != "auto":
            return device, self.dtype
        return device, "float32" if kind == "cpu" else "bfloat16"

    def _check(self) -> None:
        """Raise if a parameter has a value that is not allowed."""
        check_number(self.max_text_tokens, "max_text_tokens", 1, integer=True)
        check_number(self.batch_size, "batch_size", 1, integer=True)
        allowed = ["auto", "float32", "bfloat16", "float16"]
        check_option(self.dtype, "dtype", allowed)
        check_option(self.whole_labels, "whole_labels", [True, False])
