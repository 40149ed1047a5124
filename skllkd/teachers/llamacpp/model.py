"""llama.cpp in process: models loaded once, and the contexts they are evaluated in."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

from skllkd._core.params import optional_import
from skllkd.exceptions import ModelFileError

#: The library rounds a cache, and the part of it in use, up to a multiple of this.
CACHE_STEP = 256


def up_to_step(n_cells: int) -> int:
    """Return a number of cells as the library rounds it.

    Parameters
    ----------
    n_cells : int
        How many are needed.

    Returns
    -------
    int
        How many there will be.
    """
    return -(-n_cells // CACHE_STEP) * CACHE_STEP


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
        # Its table of levels is one off, so that warnings of the library are ERROR there.
        logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)
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
            for text from outside: there they are just characters. Names that the
            library reads as tokens all the same, as `<start_of_image>` in Gemma, are
            taken apart.

        Returns
        -------
        list of int
            The tokens, without a beginning-of-text token.
        """
        tokens = self._tokens(text, special)
        if special or self._named_tokens.isdisjoint(tokens):
            return tokens
        for token in self._named_tokens.intersection(tokens):
            name = self.token_text(token)
            if name in text:
                inside = f"(?<={re.escape(name[0])})(?={re.escape(name[1:])})"
                apart = re.split(inside, text)
                return [t for part in apart for t in self.tokenize(part, special=False)]
        return tokens

    @cached_property
    def _named_tokens(self) -> frozenset[int]:
        """The tokens that stand for a name wherever it is read; not white space."""
        user_defined = self.lib.LLAMA_TOKEN_ATTR_USER_DEFINED
        tokens = (
            token
            for token in range(self.n_vocabulary)
            if self.lib.llama_vocab_get_attr(self.vocabulary, token) & user_defined
        )
        texts = {token: self.token_text(token) for token in tokens}
        return frozenset(
            token
            for token, text in texts.items()
            if len(text) > 1 and text.strip("\u2581 \t\r\n")
        )

    def _tokens(self, text: str, special: bool) -> list[int]:
        """Return what the library reads a text as."""
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
        return self._metadata("tokenizer.chat_template")

    @property
    def is_f32(self) -> bool:
        """Whether the file holds its weights in 32 bits already."""
        return self._metadata("general.file_type") == "0"

    @property
    def can_be_exact(self) -> bool:
        """Whether 32-bit attention gains anything: with 32-bit weights on the CPU."""
        return self.is_f32 and not self.lib.llama_supports_gpu_offload()

    @property
    def cell_bytes(self) -> int:
        """What a token's keys and values take in 32 bits."""
        architecture = self._metadata("general.architecture")
        width = self._metadata(f"{architecture}.attention.key_length")
        if width is None:
            heads = int(self.lib.llama_model_n_head(self._model))
            width = str(self.lib.llama_model_n_embd(self._model) // heads)
        n_layers = int(self.lib.llama_model_n_layer(self._model))
        return (
            8 * n_layers * int(self.lib.llama_model_n_head_kv(self._model)) * int(width)
        )

    @property
    def n_parameters(self) -> int:
        """How many weights the model has."""
        return int(self.lib.llama_model_n_params(self._model))

    def _metadata(self, key: str) -> str | None:
        """Return an entry of the file's header, if it is there."""
        size = 1 << 16
        for _ in range(2):
            buffer = ctypes.create_string_buffer(size)
            length = self.lib.llama_model_meta_val_str(
                self._model, key.encode(), buffer, size
            )
            if length < size:
                break
            size = length + 1
        return buffer.value.decode("utf-8", "replace") if length > 0 else None

    def close(self) -> None:
        """Free the weights."""
        if self._model:
            self.lib.llama_model_free(self._model)
            self._model = None


def new_context(
    model: LlamaModel,
    *,
    n_tokens: int,
    n_batch: int,
    n_sequences: int,
    n_threads: int,
    exact: bool,
) -> Any:
    """Return a context of the library, to evaluate a model in.

    Parameters
    ----------
    model : LlamaModel
        The model.
    n_tokens : int
        The most tokens in the cache; of each sequence where `exact`.
    n_batch : int
        The most tokens in a decode.
    n_sequences : int
        The most sequences.
    n_threads : int
        Threads for evaluation.
    exact : bool
        Whether attention keeps keys and values in 32 bits, which makes an answer
        independent of the texts it is evaluated with, to 1e-5 in log-probability with
        F32 weights. Each sequence has a cache of its own then, for this attention goes
        over all cells of a cache. Flash attention, the library's default, rounds keys
        and values to 16 bits (1e-2 off, up to 5e-3 between neighbours) and skips cells
        of other sequences, which share one cache.

    Returns
    -------
    pointer
        The context, to be freed by `llama_free`.

    Raises
    ------
    MemoryError
        If there is not enough.
    """
    lib = model.lib
    parameters = lib.llama_context_default_params()
    parameters.n_ctx = up_to_step(n_tokens) * (n_sequences if exact else 1)
    parameters.n_batch = parameters.n_ubatch = n_batch
    parameters.n_seq_max = n_sequences
    parameters.kv_unified = not exact
    parameters.n_threads = parameters.n_threads_batch = n_threads
    parameters.no_perf = True
    if exact:
        parameters.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.type_k = parameters.type_v = lib.GGML_TYPE_F32
    context = lib.llama_init_from_model(model.handle, parameters)
    if not context:
        raise MemoryError(
            f"llama.cpp could not allocate a context of {parameters.n_ctx} tokens."
        )
    return context


_models: dict[tuple[str, str, int, int], LlamaModel] = {}
_lock = threading.Lock()


def loaded_model(path: Path, origin: Path | None = None) -> LlamaModel:
    """Return the model of a file, loaded once a process.

    Parameters
    ----------
    path : Path
        The model file.
    origin : Path, optional
        The file it was made from, if it is a copy: `close_model` closes both.

    Returns
    -------
    LlamaModel
        The model.
    """
    check_gguf(path)
    stat = path.stat()
    origin_name = str((origin or path).resolve())
    key = (origin_name, str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    with _lock:
        if key not in _models:
            _models[key] = LlamaModel(path)
        return _models[key]


def close_model(path: Path) -> None:
    """Free the model of a file and of its copies, if it is loaded.

    Parameters
    ----------
    path : Path
        The model file.
    """
    name = str(path.resolve())
    with _lock:
        for key in [key for key in _models if key[0] == name]:
            _models.pop(key).close()
