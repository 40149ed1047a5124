"""A local language model in GGUF format as a teacher, through llama.cpp."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone

from skllkd._core.classes import Classes
from skllkd._core.params import check_number, check_option, optional_import
from skllkd.exceptions import InvalidParameterError
from skllkd.teachers.calibration import BatchCalibration, Calibration
from skllkd.teachers.llamacpp.model import (
    LlamaModel,
    check_gguf,
    close_model,
    loaded_model,
)
from skllkd.teachers.llamacpp.scorer import PromptScorer
from skllkd.teachers.llamacpp.weights import (
    WEIGHTS,
    choose_weights,
    model_in,
    prompt_speeds,
)
from skllkd.teachers.metered.bridge import Answers, AskedTeacher
from skllkd.teachers.metered.store import LabelStore
from skllkd.teachers.plan import TokenCount
from skllkd.teachers.prompting.prompt_tokens import PromptTokens, prompt_tokens
from skllkd.teachers.prompting.template import (
    ChatTemplate,
    Message,
    PromptFrame,
    as_examples,
    build_frame,
    one_line,
)

#: What templates that print today's date get instead, so that a prompt does not
#: change, and is not paid for again, with the day.
_TEMPLATE_DATE = "26 Jul 2024"


class LlamaCppTeacher(AskedTeacher):
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
    calibration : BatchCalibration or ContextualCalibration, default=BatchCalibration()
        Correction of the model's preference for some labels; None for none. Applied to
        stored answers, so changing it costs no call.
    max_text_tokens : int, default=400
        Longer texts are cut, counted and warned of.
    batch_tokens : int, default=512
        How many tokens are evaluated together.
    n_threads : int, optional
        Threads for evaluation; by default one a physical core this process may use,
        or as many as OMP_NUM_THREADS says, as it does in joblib's and Dask's workers.
    weights : {"auto", "as shipped", "F32"}, default="auto"
        What the model is evaluated with: the file as it is, or a copy with its weights
        expanded to 32 bits, which loses nothing and reads prompts about twice as fast
        on many CPUs. "auto" measures both once for a model and a machine, if the copy
        takes at most half of the free memory and leaves 1 GB of the disk. The copy is
        in the folder `weights` beside the label store, and is made again if removed.
    reuse_prefix : bool, default=True
        Whether the prompt's beginning is evaluated once and many texts together.
        False evaluates every prompt whole and alone, about ten times slower: the
        plain reading that the fast one can be compared with.
    exact : bool, default=True
        Whether attention is computed in 32 bits where the weights have as many. An
        answer is then the same, to 1e-5 in log-probability, whatever texts it is
        evaluated with. False rounds keys and values to 16 bits: up to 5e-3 between
        neighbours, 1e-2 off the exact, in less memory, and up to 1.3 times as fast
        where prompts are longer than some 200 tokens.
    whole_labels : bool, default=True
        Whether the probability of a class is that of all its label's tokens. False
        reads each label only as far as it differs from the others: as quick as labels
        of one token, where whole labels of four cost up to twice the time on short
        texts. What it changes is in the guide (Calibration).
    max_calls : int, optional
        At most so many texts are asked about, over all runs that share the store.
    store : str, Path or False, optional
        The label store's file; False for none. By default `labels.sqlite` in the
        folder named by SKLLKD_CACHE, or in the user's cache folder.

    See Also
    --------
    CallableTeacher : Any function of texts.

    Notes
    -----
    Answers are stored under the SHA-256 of the model file, the type of its weights,
    the prompt, the classes and the text, as raw log-probabilities. With quantised
    weights llama.cpp rounds differently for different batch shapes, so an answer
    depends somewhat on what it was evaluated with (up to 0.3 nats were seen in Q4_1);
    the first stored answer stays.

    What "auto" chose, the expanded copy and its size are logged to "skllkd" at level
    INFO.

    Examples
    --------
    >>> from skllkd.teachers import LlamaCppTeacher
    >>> teacher = LlamaCppTeacher(
    ...     "SmolLM2-135M-Instruct.Q4_1.gguf",
    ...     examples=[("My card was charged twice.", "billing"),
    ...               ("Nothing loads since noon.", "outage")],
    ... )
    >>> teacher.calibration
    BatchCalibration()
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        *,
        examples: Sequence[tuple[str, Any]] = (),
        instruction: str | None = None,
        chat: bool | str = "auto",
        calibration: Calibration | None = BatchCalibration(),  # noqa: B008  (frozen)
        max_text_tokens: int = 400,
        batch_tokens: int = 512,
        n_threads: int | None = None,
        weights: str = "auto",
        reuse_prefix: bool = True,
        exact: bool = True,
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
        self.weights = weights
        self.reuse_prefix = reuse_prefix
        self.exact = exact
        self.whole_labels = whole_labels
        self.max_calls = max_calls
        self.store = store

    def close(self) -> None:
        """Free the model, which stays loaded for later calls otherwise."""
        close_model(Path(self.model_path))

    def _specification(self, classes: Classes) -> dict[str, Any]:
        """Return the model's digest, its weights' type and the prompt it is given."""
        path = self._checked_path()
        with LabelStore(self.store or None) as store:
            weights = choose_weights(path, self.weights, store, self._threads())
        frame = self._frame(loaded_model(path), classes)
        return {
            "teacher": "llama.cpp",
            "scoring": 2,  # raise when the same prompt is scored otherwise
            "model": weights.digest,
            "weights": weights.kind,
            "reuse_prefix": bool(self.reuse_prefix),
            "exact": bool(self.exact),
            "whole_labels": bool(self.whole_labels),
            "before": frame.before,
            "after": frame.after,
            "answers": frame.answers,
            "end": frame.end,
            "max_text_tokens": self.max_text_tokens,
        }

    def _answers(self, texts: Iterable[str], classes: Classes) -> Iterator[Answers]:
        """Yield log-probabilities, decode by decode."""
        path = self._checked_path()
        with LabelStore(self.store or None) as store:
            weights = choose_weights(path, self.weights, store, self._threads())
            model = model_in(path, weights, store)
        scorer = self._scorer(model, self._frame(model, classes))
        cut: list[bool] = []
        n_evaluated: list[int] = []

        def bodies() -> Iterator[list[int]]:
            for text in texts:
                body = model.tokenize(one_line(text), special=False)
                cut.append(len(body) > scorer.max_body_tokens)
                n_evaluated.append(scorer.n_tokens(body))
                yield body[: scorer.max_body_tokens]

        try:
            for places, log_prob in scorer.score(bodies()):
                mass = np.minimum(np.exp(log_prob).sum(axis=1), 1.0)
                n_cut = sum(cut[place] for place in places)
                n_tokens = sum(n_evaluated[place] for place in places)
                yield Answers(places, log_prob, mass, n_cut, input_tokens=n_tokens)
        finally:
            scorer.close()

    def _threads(self) -> int:
        """Return how many threads evaluate."""
        cores = int(joblib.cpu_count(only_physical_cores=True))
        given = os.environ.get("OMP_NUM_THREADS", "")
        share = int(given) if given.isdecimal() else cores
        return self.n_threads or max(1, min(cores, share))

    def _for_workers(self) -> LlamaCppTeacher:
        """Return the teacher with the weights chosen here, which its key names."""
        path = self._checked_path()
        with LabelStore(self.store or None) as store:
            kind = choose_weights(path, self.weights, store, self._threads()).kind
        resolved: LlamaCppTeacher = clone(self).set_params(weights=kind)
        return resolved

    def _count(self, texts: list[str], classes: Classes) -> TokenCount:
        """Count the tokens that would be evaluated; the prompt's beginning once."""
        if not texts:
            return TokenCount(0, 0, "counted")
        model = loaded_model(self._checked_path())
        prompt = self._prompt(model, self._frame(model, classes))
        shared, each = len(prompt.prefix), prompt.n_tail
        if not self.reuse_prefix:
            shared, each = 0, shared + each
        bodies = (model.tokenize(one_line(text), special=False) for text in texts)
        n_tokens = sum(min(len(body), self.max_text_tokens) + each for body in bodies)
        return TokenCount(shared + n_tokens, 0, "counted")

    def _expected_seconds(self, n_calls: int, tokens: TokenCount) -> float | None:
        """Return the time at the speed a batch has on this machine now."""
        if not tokens.input:
            return None
        path = self._checked_path()
        with LabelStore(self.store or None) as store:
            weights = choose_weights(path, self.weights, store, self._threads())
            model = model_in(path, weights, store)
        (tokens_per_second,) = prompt_speeds([model], self._threads())
        return tokens.input / tokens_per_second

    def _prompt(self, model: LlamaModel, frame: PromptFrame) -> PromptTokens:
        """Return the frame in tokens."""
        return prompt_tokens(
            model,
            model.begin_tokens,
            model.end_token,
            frame,
            whole_labels=bool(self.whole_labels),
        )

    def _scorer(self, model: LlamaModel, frame: PromptFrame) -> PromptScorer:
        """Return a scorer of texts in a frame."""
        check_number(self.batch_tokens, "batch_tokens", 32, integer=True)
        prompt = self._prompt(model, frame)
        prefix, suffix, trie = prompt
        tail = prompt.n_tail
        room = model.context_length - len(prefix) - tail
        if room < 1:
            raise InvalidParameterError(
                f"the prompt without a text has {len(prefix) + tail} tokens and leaves "
                f"no room in the model's window of {model.context_length}. Use fewer "
                "or shorter `examples`."
            )
        wanted = tail + min(self.max_text_tokens, room)
        # With quantised weights the last digits are lost anyway.
        exact = bool(self.exact) and model.can_be_exact
        return PromptScorer(
            model,
            prefix,
            suffix,
            trie,
            batch_tokens=max(self.batch_tokens, wanted),
            max_body_tokens=min(self.max_text_tokens, room),
            n_threads=self._threads(),
            reuse_prefix=bool(self.reuse_prefix),
            # One cache for all has room for so many branches only.
            exact=exact or trie.n_branches >= model.max_sequences,
        )

    def _frame(self, model: LlamaModel, classes: Classes) -> PromptFrame:
        """Return what stands around a text in the prompt."""
        check_option(self.chat, "chat", ["auto", True, False])
        template = self._chat_template(model) if self.chat else None
        if self.chat is True and template is None:
            raise InvalidParameterError(
                "`chat=True` needs a chat template, and the model has none. Use "
                "chat=False for a plain prompt."
            )
        examples = as_examples(self.examples, classes)
        return build_frame(classes, self.instruction, examples, template)

    @staticmethod
    def _chat_template(model: LlamaModel) -> ChatTemplate | None:
        """Return the model's own chat template as a function of messages."""
        source = model.chat_template
        if source is None:
            return None
        formats = optional_import("llama_cpp.llama_chat_format", "llama")
        formatter = formats.Jinja2ChatFormatter(
            source, eos_token=model.end_text, bos_token=model.begin_text
        )
        formatter.strftime_now = lambda _: _TEMPLATE_DATE

        def render(messages: list[Message]) -> str:
            return str(formatter(messages=messages).prompt)

        return render

    def _checked_path(self) -> Path:
        """Return the model file's path, once it is known to be one."""
        check_number(self.max_text_tokens, "max_text_tokens", 1, integer=True)
        if self.n_threads is not None:
            check_number(self.n_threads, "n_threads", 1, integer=True)
        check_option(self.weights, "weights", WEIGHTS)
        check_option(self.reuse_prefix, "reuse_prefix", [True, False])
        check_option(self.exact, "exact", [True, False])
        check_option(self.whole_labels, "whole_labels", [True, False])
        path = Path(self.model_path)
        check_gguf(path)
        return path
