"""llama.cpp in process: many prompts that begin alike, scored in few decodes.

The high-level `llama_cpp.Llama` keeps the logits of every position (context length
times vocabulary) to give log-probabilities. What is needed here is the last position
of each prompt, so this speaks to the library's C interface directly.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skllkd._validation import FloatArray, IntArray, optional_import
from skllkd.exceptions import ModelFileError
from skllkd.teachers._label_trie import LabelTrie

_SEQUENCES = 128  # more of them cost cache bookkeeping and gain nothing
_CONTEXT_STEP = 256  # the library rounds a context up to a multiple of this


def check_gguf(path: Path) -> None:
    """Raise unless a file is there and begins as a GGUF does.

    Parameters
    ----------
    path : Path
        The model file.

    Raises
    ------
    ModelFileError
        If it is missing or is no GGUF.
    """
    if not path.is_file():
        raise ModelFileError(
            f"`model_path` must name a GGUF file; there is no file {str(path)!r}. Give "
            "the path of a model downloaded in GGUF format."
        )
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ModelFileError(
            f"`model_path` must name a GGUF file; {str(path)!r} begins with {magic!r}, "
            "not b'GGUF'. Convert the model, or download it in GGUF format."
        )


class LlamaModel:
    """The weights and vocabulary of a GGUF file.

    Parameters
    ----------
    path : Path
        The model file.

    Raises
    ------
    ModelFileError
        If llama.cpp cannot load it.
    """

    def __init__(self, path: Path) -> None:
        self.lib: Any = optional_import("llama_cpp", "llama")
        logging.getLogger("llama-cpp-python").setLevel(logging.ERROR)
        self.lib.llama_backend_init()
        parameters = self.lib.llama_model_default_params()
        self._model = self.lib.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self._model:
            raise ModelFileError(
                f"llama.cpp cannot load {str(path)!r}: the file is damaged, or of a kind "
                "this version of llama-cpp-python does not know."
            )
        for kind in ("recurrent", "hybrid", "diffusion"):
            if getattr(self.lib, f"llama_model_is_{kind}")(self._model):
                raise ModelFileError(
                    f"{str(path)!r} is a {kind} model, whose prompt cannot be evaluated "
                    "once and shared. Use a transformer language model."
                )
        self.vocabulary = self.lib.llama_model_get_vocab(self._model)
        self.n_vocabulary = int(self.lib.llama_vocab_n_tokens(self.vocabulary))
        self.context_length = int(self.lib.llama_model_n_ctx_train(self._model))

    @property
    def handle(self) -> Any:
        """The library's own handle."""
        return self._model

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the tokens of a text.

        Parameters
        ----------
        text : str
            The text.
        special : bool
            Whether the names of special tokens in it stand for these tokens. False
            for text from outside: there they are just characters.

        Returns
        -------
        list of int
            The tokens, without a beginning-of-text token.
        """
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        for _ in range(2):
            buffer = (ctypes.c_int32 * size)()
            count = self.lib.llama_tokenize(
                self.vocabulary, data, len(data), buffer, size, False, special
            )
            if count >= 0:
                break
            size = -count
        return list(buffer[:count])

    @property
    def max_sequences(self) -> int:
        """How many sequences the library evaluates together at most."""
        return int(self.lib.llama_max_parallel_sequences())

    @property
    def begin_tokens(self) -> list[int]:
        """The beginning-of-text token, if the model wants one."""
        if not self.lib.llama_vocab_get_add_bos(self.vocabulary):
            return []
        return [int(self.lib.llama_vocab_bos(self.vocabulary))]

    @property
    def end_token(self) -> int:
        """The token that ends a text, in a chat model mostly a turn."""
        return int(self.lib.llama_vocab_eos(self.vocabulary))

    def token_text(self, token: int) -> str:
        """Return a token as it is written.

        Parameters
        ----------
        token : int
            The token.

        Returns
        -------
        str
            Its text, "" for no token.
        """
        if token < 0:
            return ""
        text = self.lib.llama_vocab_get_text(self.vocabulary, token)
        return str(text.decode("utf-8", "replace"))

    @property
    def begin_text(self) -> str:
        """The beginning-of-text token as it is written."""
        return self.token_text(int(self.lib.llama_vocab_bos(self.vocabulary)))

    @property
    def end_text(self) -> str:
        """The end-of-text token as it is written."""
        return self.token_text(int(self.lib.llama_vocab_eos(self.vocabulary)))

    @property
    def chat_template(self) -> str | None:
        """The model's own chat template in Jinja, if it has one."""
        key, size = b"tokenizer.chat_template", 1 << 16
        for _ in range(2):
            buffer = ctypes.create_string_buffer(size)
            length = self.lib.llama_model_meta_val_str(self._model, key, buffer, size)
            if length < size:
                break
            size = length + 1
        return buffer.value.decode("utf-8", "replace") if length > 0 else None

    def close(self) -> None:
        """Free the weights."""
        if self._model:
            self.lib.llama_model_free(self._model)
            self._model = None


class PromptScorer:
    """Label log-probabilities of many prompts that share a prefix.

    The prefix is evaluated once and its cache shared by every sequence. Each prompt
    is the prefix, a body and a suffix; the label tree hangs from its end as further
    sequences that share the prompt. As many prompts as fit go into one decode.

    Parameters
    ----------
    model : LlamaModel
        The model.
    prefix : sequence of int
        The tokens every prompt begins with.
    suffix : sequence of int
        The tokens every prompt ends with.
    trie : LabelTrie
        The labels.
    batch_tokens : int
        The most tokens in a decode.
    max_body_tokens : int
        The most tokens a body may have; with the suffix and the labels they must fit
        into a decode.
    n_threads : int
        Threads for evaluation.
    """

    def __init__(
        self,
        model: LlamaModel,
        prefix: Sequence[int],
        suffix: Sequence[int],
        trie: LabelTrie,
        *,
        batch_tokens: int,
        max_body_tokens: int,
        n_threads: int,
    ) -> None:
        self._model, self._lib = model, model.lib
        self._prefix, self._suffix, self._trie = list(prefix), list(suffix), trie
        self._batch_tokens = batch_tokens
        self.max_body_tokens = max_body_tokens
        self._extra_tokens = len(suffix) + len(trie.node_tokens)
        most = min(_SEQUENCES, model.max_sequences)
        self._texts_at_once = max(1, (most - 1) // trie.n_branches)
        n_sequences = 1 + self._texts_at_once * trie.n_branches

        parameters = self._lib.llama_context_default_params()
        cells = len(prefix) + batch_tokens
        parameters.n_ctx = -(-cells // _CONTEXT_STEP) * _CONTEXT_STEP
        parameters.n_batch = parameters.n_ubatch = max(batch_tokens, len(prefix))
        parameters.n_seq_max = n_sequences
        parameters.kv_unified = True
        parameters.n_threads = parameters.n_threads_batch = n_threads
        parameters.no_perf = True
        self._context = self._lib.llama_init_from_model(model.handle, parameters)
        if not self._context:
            raise MemoryError(
                f"llama.cpp could not allocate a context of {parameters.n_ctx} tokens."
            )
        self._memory = self._lib.llama_get_memory(self._context)
        self._batch = self._lib.llama_batch_init(
            parameters.n_batch, 0, max(1, trie.n_branches)
        )
        if self._prefix:
            for position, token in enumerate(self._prefix):
                self._put(position, token, position, [0])
            self._decode(len(self._prefix))
            for sequence in range(1, n_sequences):
                self._lib.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)

    def score(
        self, bodies: Sequence[Sequence[int]]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield the log-probabilities of the labels, decode by decode.

        Parameters
        ----------
        bodies : sequence of sequence of int
            The tokens of each prompt's body, at most `max_body_tokens`.

        Yields
        ------
        places : ndarray of shape (n,), int
            Which bodies these are.
        log_prob : ndarray of shape (n, n_labels)
            Their labels' log-probabilities in nats.
        """
        group: list[int] = []
        used = 0
        for place, body in enumerate(bodies):
            size = len(body) + self._extra_tokens
            if group and (
                used + size > self._batch_tokens or len(group) == self._texts_at_once
            ):
                yield np.array(group), self._score_group([bodies[i] for i in group])
                group, used = [], 0
            group.append(place)
            used += size
        if group:
            yield np.array(group), self._score_group([bodies[i] for i in group])

    def _score_group(self, bodies: Sequence[Sequence[int]]) -> FloatArray:
        """Return the labels' log-probabilities for bodies that fit into one decode."""
        trie, n_tokens = self._trie, 0
        read_at: list[list[int]] = []  # for each body, the batch index of each place
        for place, body in enumerate(bodies):
            first = 1 + place * trie.n_branches
            branches = range(first, first + trie.n_branches)
            position = len(self._prefix)
            for token in (*body, *self._suffix):
                self._put(n_tokens, token, position, branches)
                n_tokens, position = n_tokens + 1, position + 1
            indices = [n_tokens - 1]
            for token, depth, on in zip(
                trie.node_tokens, trie.node_depths, trie.node_branches, strict=True
            ):
                where = position - 1 + depth
                self._put(n_tokens, token, where, [first + branch for branch in on])
                indices.append(n_tokens)
                n_tokens += 1
            for index in indices:
                self._batch.logits[index] = 1
            read_at.append(indices)
        self._decode(n_tokens)
        log_prob = np.array([self._read(indices) for indices in read_at])
        for sequence in range(1, 1 + len(bodies) * trie.n_branches):
            self._lib.llama_memory_seq_rm(self._memory, sequence, len(self._prefix), -1)
        return log_prob

    def _read(self, indices: Sequence[int]) -> list[float]:
        """Return the log-probability of each label from the logits of one prompt."""
        rows: dict[int, tuple[Any, float]] = {}
        for place, index in enumerate(indices):
            pointer = self._lib.llama_get_logits_ith(self._context, index)
            logits = np.ctypeslib.as_array(pointer, (self._model.n_vocabulary,))
            highest = float(logits.max())
            total = float(np.exp(logits - highest).sum(dtype=np.float64))
            rows[place] = logits, highest + float(np.log(total))
        return [
            sum(float(rows[place][0][token]) - rows[place][1] for place, token in steps)
            for steps in self._trie.steps
        ]

    def _put(
        self, index: int, token: int, position: int, sequences: Sequence[int]
    ) -> None:
        """Write one token into the batch."""
        batch = self._batch
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = len(sequences)
        for slot, sequence in enumerate(sequences):
            batch.seq_id[index][slot] = sequence
        batch.logits[index] = 0

    def _decode(self, n_tokens: int) -> None:
        """Evaluate the batch."""
        self._batch.n_tokens = n_tokens
        status = self._lib.llama_decode(self._context, self._batch)
        if status != 0:
            raise RuntimeError(
                f"llama_decode failed with status {status} on {n_tokens} tokens."
            )

    def close(self) -> None:
        """Free the context."""
        if self._context:
            self._lib.llama_batch_free(self._batch)
            self._lib.llama_free(self._context)
            self._context = None


_models: dict[tuple[str, int, int], LlamaModel] = {}
_lock = threading.Lock()


def loaded_model(path: Path) -> LlamaModel:
    """Return the model of a file, loaded once a process.

    Parameters
    ----------
    path : Path
        The model file.

    Returns
    -------
    LlamaModel
        The model.
    """
    check_gguf(path)
    stat = path.stat()
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    with _lock:
        if key not in _models:
            _models[key] = LlamaModel(path)
        return _models[key]


def close_model(path: Path) -> None:
    """Free the model of a file, if it is loaded.

    Parameters
    ----------
    path : Path
        The model file.
    """
    name = str(path.resolve())
    with _lock:
        for key in [key for key in _models if key[0] == name]:
            _models.pop(key).close()
